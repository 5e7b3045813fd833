//! A process of this same binary, and what it costs: processor, memory, bytes to the disk.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{self, Command},
    time::timeout,
};

use crate::cli::Complaint;

/// How long a start may take before it counts as failed; a store with many messages takes its time.
const PATIENCE: Duration = Duration::from_mins(10);
/// This binary, even where another one was put in its place meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// Linux counts processor time in hundredths of a second, whatever its own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// A child, killed when it is dropped.
pub(super) struct Child {
    process: process::Child,
    id: u32,
    /// From its start to the line that says that it serves.
    pub(super) started_in: Duration,
    /// That line.
    pub(super) greeting: String,
}

/// What a process has used since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// Of all its threads.
    pub(super) processor: Duration,
    /// What it handed to the file system.
    pub(super) written: u64,
    /// Memory that is really there.
    pub(super) memory: u64,
    /// As much as that ever was.
    pub(super) memory_peak: u64,
    pub(super) files: u64,
}

impl Child {
    /// Starts this binary with `words`, and waits until it says that it serves.
    pub(super) async fn start(words: &[&str], folder: &Path) -> Result<Self, Complaint> {
        let failed = |error: std::io::Error| Complaint::wrong(format!("cannot start the child: {error}"));
        let mut command = Command::new(OURSELVES);
        command.arg0("relais").args(words).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
        let began = Instant::now();
        let mut process = command.kill_on_drop(true).spawn().map_err(failed)?;
        let id = process.id().ok_or_else(|| Complaint::wrong("the child ended as it began"))?;
        let output = process.stdout.take().ok_or_else(|| Complaint::wrong("the child cannot be heard"))?;
        let greeting = timeout(PATIENCE, greeting(BufReader::new(output))).await;
        let greeting = greeting.ok().flatten().ok_or_else(|| {
            Complaint::wrong(format!("`relais {}` did not begin to serve", words.join(" ")))
        })?;
        Ok(Self { process, id, started_in: began.elapsed(), greeting })
    }

    pub(super) fn usage(&self) -> Usage {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.id)).unwrap_or_default();
        let (status, io, stat) = (read("status"), read("io"), read("stat"));
        let kilobytes = |name| number_after(&status, name) * 1024;
        // The name stands in brackets and may hold anything; the numbers come after it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        Usage {
            processor: Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS_PER_SECOND),
            // Not `write_bytes`: that counts the whole of a large page for each byte changed in it.
            written: number_after(&io, "wchar:"),
            memory: kilobytes("VmRSS:"),
            memory_peak: kilobytes("VmHWM:"),
            files: fs::read_dir(format!("/proc/{}/fd", self.id)).map_or(0, |entries| entries.count() as u64),
        }
    }

    /// From now on the peak is the highest since now.
    pub(super) fn forget_memory_peak(&self) {
        // Where the system does not let it, the peak is the one since the start.
        let _ = fs::write(format!("/proc/{}/clear_refs", self.id), "5");
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(mut self) -> Result<(), Complaint> {
        let id = i32::try_from(self.id).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // It may have gone by itself: waiting tells.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        match timeout(PATIENCE, self.process.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Complaint::wrong(format!("the child left with {status}"))),
            Ok(Err(error)) => Err(Complaint::wrong(format!("cannot wait for the child: {error}"))),
            Err(_) => Err(Complaint::wrong("the child does not stop")),
        }
    }
}

/// Reads what it says until it serves; then on, so that it can always speak.
async fn greeting(output: BufReader<process::ChildStdout>) -> Option<String> {
    let mut lines = output.lines();
    loop {
        let line = lines.next_line().await.ok()??;
        if line.starts_with("serving") {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some(line);
        }
    }
}

/// The number behind a name in a file of `/proc`.
pub(super) fn number_after(text: &str, name: &str) -> u64 {
    let words = text.lines().find_map(|line| line.strip_prefix(name));
    words.and_then(|words| words.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
