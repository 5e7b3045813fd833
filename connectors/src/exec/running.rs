//! Programs that still run although the engine that started them is gone: found by a mark in their environment.

use std::{
    fs::{self, File},
    io::Read,
};

/// The variable that holds the mark of a run.
pub(super) const MARK: &str = "RELAIS_RUN";

/// The variable that names the file with the message.
pub(super) const FILE: &str = "RELAIS_FILE";

/// Longer environments are looked at so far.
const LONGEST: u64 = 4 << 20;

/// A process, and what a variable of its environment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) process: u32,
    pub(super) value: String,
}

/// Every process whose environment has this variable. Those of other users are not seen, unless we are root.
pub(super) fn with(variable: &str) -> Vec<Marked> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter_map(|process| value(process, variable).map(|value| Marked { process, value })).collect()
}

impl Marked {
    /// Whether it runs still: its number may be another's by now.
    pub(super) fn still_runs(&self, variable: &str) -> bool {
        value(self.process, variable).is_some_and(|value| value == self.value)
    }
}

fn value(process: u32, variable: &str) -> Option<String> {
    let mut environment = Vec::new();
    File::open(format!("/proc/{process}/environ")).ok()?.take(LONGEST).read_to_end(&mut environment).ok()?;
    let beginning = format!("{variable}=");
    let entry =
        environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(beginning.as_bytes()))?;
    Some(String::from_utf8_lossy(entry).into_owned())
}
