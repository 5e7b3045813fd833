//! Where the measured stores lie: a folder on a disk, what kind it is, and how much it was written to.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::cli::Complaint;

/// How `statfs` calls file systems that are memory.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// A folder that goes when the measure ends.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn make(within: &Path) -> Result<Self, Complaint> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let path = within.join(format!("relais-bench-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)
            .map_err(|error| Complaint::wrong(format!("cannot make {}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind it costs room, nothing else.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folder asked for, else the first usual one that lies on a disk.
pub(super) fn choose(asked: Option<&Path>) -> Result<PathBuf, Complaint> {
    if let Some(asked) = asked {
        return fs::canonicalize(asked)
            .map_err(|error| Complaint::misused(format!("cannot use {}: {error}", asked.display())));
    }
    let usual = [std::env::temp_dir(), PathBuf::from("/var/tmp"), PathBuf::from(".")];
    let on_disk = usual.into_iter().find(|folder| folder.is_dir() && !is_in_memory(folder));
    let none = || Complaint::misused("no usual folder lies on a disk; name one with --dir");
    on_disk.and_then(|folder| fs::canonicalize(folder).ok()).ok_or_else(none)
}

/// Whether a sync there costs nothing.
pub(super) fn is_in_memory(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|found| IN_MEMORY.contains(&(found.f_type as u64)))
}

/// Kind and device of the file system under the folder: `ext4 on /dev/vda`.
pub(super) fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let found = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, point, kind) = (words.next()?, words.next()?, words.next()?);
        folder.starts_with(point).then(|| (point.len(), format!("{kind} on {device}")))
    });
    // Of two at one place the later one hides the other.
    found.max_by_key(|(length, _)| *length).map_or_else(|| "unknown".to_owned(), |(_, words)| words)
}

/// What was asked of a disk since the system started, by anybody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disk {
    /// How often it was to make durable what it holds.
    pub(super) flushes: u64,
    pub(super) written: u64,
}

/// The disk under the folder. `None` where the system does not count.
pub(super) fn disk(folder: &Path) -> Option<Disk> {
    let device = fs::metadata(folder).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let found = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    // A partition's are counted with its disk's.
    let disk = if found.join("partition").exists() { found.join("..") } else { found };
    let counts = fs::read_to_string(disk.join("stat")).ok()?;
    let counts: Vec<u64> = counts.split_whitespace().filter_map(|count| count.parse().ok()).collect();
    Some(Disk { flushes: *counts.get(15)?, written: *counts.get(6)? * 512 })
}

/// What the files below take on the disk, in bytes.
pub(super) fn occupied(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file that went meanwhile takes nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        sum += if metadata.is_dir() { occupied(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(sum)
}
