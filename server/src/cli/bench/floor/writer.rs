//! The floor's file: written over and over in place, one sync for all that came meanwhile.

use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::cli::Complaint;

/// The file's size: written before the measure, so that no sync has to note where its blocks are.
const SIZE: usize = 128 << 20;

/// Messages to be made durable, and who waits for it.
pub(super) struct Job {
    pub(super) messages: Vec<Bytes>,
    pub(super) durable: oneshot::Sender<()>,
}

/// Makes the file, full and durable.
pub(super) fn prepare(path: &Path) -> Result<File, Complaint> {
    let failed = |error| Complaint::wrong(format!("cannot prepare {}: {error}", path.display()));
    let mut file = File::create(path).map_err(failed)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..SIZE / zeros.len() {
        file.write_all(&zeros).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    Ok(file)
}

/// Starts the one thread that writes. It ends with the last sender.
pub(super) fn start(file: File) -> Sender<Job> {
    let (jobs, asked) = channel();
    std::thread::spawn(move || write(&Journal::new(file), &asked));
    jobs
}

/// Nothing waits for company: what comes during a sync shares the next one.
fn write(journal: &Journal, asked: &Receiver<Job>) {
    let (mut at, mut together) = (0, Vec::new());
    while let Ok(first) = asked.recv() {
        let jobs: Vec<Job> = std::iter::once(first).chain(asked.try_iter()).collect();
        together.clear();
        jobs.iter().flat_map(|job| &job.messages).for_each(|message| together.extend_from_slice(message));
        at = match journal.append(at, &together) {
            Ok(at) => at,
            // Whoever waits sees that nobody answers: the measure fails.
            Err(_) => return,
        };
        for job in jobs {
            // Its sender may have gone.
            let _ = job.durable.send(());
        }
    }
}

/// The file, written from its beginning again when it is full.
pub(super) struct Journal(File);

impl Journal {
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }

    /// Writes at a place and syncs; returns the place behind.
    pub(super) fn append(&self, at: usize, bytes: &[u8]) -> std::io::Result<usize> {
        let at = if at + bytes.len() > SIZE { 0 } else { at };
        self.0.write_all_at(bytes, at as u64)?;
        self.0.sync_data()?;
        Ok(at + bytes.len())
    }
}
