//! The machine that was measured: every figure is worth as much as what is known of it.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{child::number_after, place};
use crate::terminal::sized;

/// Processor, cores, memory, system, disk.
pub(super) fn describe(folder: &Path) -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    json!({
        "processor": model.trim_start_matches([' ', '\t', ':']),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory_bytes": number_after(&read("/proc/meminfo"), "MemTotal:") * 1024,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "file_system": place::file_system(folder),
    })
}

/// How many processes wanted to run in the last 1, 5 and 15 minutes.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// One line of it for people.
pub(super) fn in_words(machine: &Value) -> String {
    let word = |name: &str| machine[name].as_str().unwrap_or("unknown").to_owned();
    format!(
        "{} cores of {}, {}, Linux {}, {}",
        machine["cores"],
        word("processor"),
        sized(machine["memory_bytes"].as_u64().unwrap_or(0)),
        word("kernel"),
        word("file_system")
    )
}
