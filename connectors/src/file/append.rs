//! Adds texts to the end of a file, one at a time, and never twice.
//!
//! From `prepare` to the end of `send` a delivery holds the file's lock, so the length it noted is where
//! its text begins. A second try looks there before it writes.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use engine::{Hash, Note, SendError};
use rustix::{
    fs::{FallocateFlags, FileType, FlockOperation, OFlags, fallocate, flock, fstat, fsync, openat},
    io::{Errno, pread, write},
};
use serde::{Deserialize, Serialize};

use super::{
    folder::{FILE, Folder, hindered, words},
    name::Name,
};

/// How long a delivery waits for another one that writes to the same file.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks whether the file is free.
const LOOKS: Duration = Duration::from_millis(5);
/// A turn whose send never came is given up: the store failed in between, and the delivery begins anew.
const FORSAKEN: Duration = Duration::from_mins(1);

/// Whose turn it is at which file.
#[derive(Default)]
pub(super) struct Turns(Mutex<Taken>);

/// When a turn was taken, and the turn, or why there is none; by the effect of its delivery.
type Taken = HashMap<Hash, (Instant, Result<Turn, SendError>)>;

/// A file that is ours to write to until this is dropped.
pub(super) struct Turn {
    file: OwnedFd,
    folder: OwnedFd,
    begins: Begins,
    /// How much of the text an earlier attempt wrote.
    written: usize,
}

/// Where a text begins, and in which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Begins {
    length: u64,
    inode: u64,
}

impl Turns {
    pub(super) fn put(&self, effect: Hash, turn: Result<Turn, SendError>) {
        let mut turns = self.lock();
        turns.retain(|_, (since, _)| since.elapsed() < FORSAKEN);
        turns.insert(effect, (Instant::now(), turn));
    }

    pub(super) fn take(&self, effect: &Hash) -> Option<Result<Turn, SendError>> {
        self.lock().remove(effect).map(|(_, turn)| turn)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the file and waits until nobody else writes to it.
pub(super) async fn open(folder: &Folder, name: &Name) -> Result<Turn, SendError> {
    let (shared, named) = (folder.clone(), name.clone());
    let (file, opened) = super::destination::blocking(move || open_file(&shared, &named)).await?;
    let began = Instant::now();
    while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        match error {
            Errno::WOULDBLOCK | Errno::INTR if began.elapsed() < PATIENCE => tokio::time::sleep(LOOKS).await,
            Errno::WOULDBLOCK | Errno::INTR => {
                return Err(SendError::not_delivered("somebody else writes to the file"));
            }
            // A file system without locks: our own lanes still take turns, other programs are not kept out.
            Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL => break,
            error => return Err(folder.failed("lock a file in", error)),
        }
    }
    let begins = begins(&file).map_err(|error| folder.failed("look into", error))?;
    Ok(Turn { file, folder: opened, begins, written: 0 })
}

fn open_file(folder: &Folder, name: &Name) -> Result<(OwnedFd, OwnedFd), SendError> {
    let opened = folder.open(name)?;
    let flags = OFlags::RDWR
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let file = openat(&opened, name.file.as_str(), flags, FILE).map_err(|error| match error {
        Errno::LOOP | Errno::ISDIR | Errno::NXIO => {
            SendError::refused("the name is that of a link or a folder")
        }
        Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL => {
            SendError::refused("the file system does not take a file of this name")
        }
        error => folder.failed("open a file in", error),
    })?;
    let stat = fstat(&file).map_err(|error| folder.failed("look into", error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SendError::refused("the name is that of something else than a file"));
    }
    Ok((file, opened))
}

fn begins(file: &OwnedFd) -> Result<Begins, Errno> {
    let stat = fstat(file)?;
    Ok(Begins { length: stat.st_size as u64, inode: stat.st_ino })
}

fn unwritten(error: Errno) -> SendError {
    SendError::not_delivered(hindered(format!("cannot write: {}", words(error)), error))
}

impl Turn {
    /// Looks where the attempt before began: its text stands there whole, or torn at the file's end, or not at all.
    pub(super) fn recall(&mut self, previous: Option<&Note>, text: &[u8]) -> Result<(), SendError> {
        let previous = previous.and_then(|note| serde_json::from_value::<Begins>(note.clone()).ok());
        let Some(previous) = previous.filter(|previous| previous.inode == self.begins.inode) else {
            return Ok(());
        };
        let behind = self.begins.length.saturating_sub(previous.length);
        let tail = self
            .read(previous.length, behind.min(text.len() as u64) as usize)
            .map_err(|error| SendError::not_delivered(format!("cannot read the file: {}", words(error))))?;
        let is_whole = tail.len() == text.len();
        let is_torn = tail.len() as u64 == behind;
        if !tail.is_empty() && text.starts_with(&tail) && (is_whole || is_torn) {
            self.written = tail.len();
            self.begins = previous;
        }
        Ok(())
    }

    /// What a second try must know.
    pub(super) fn note(&self) -> Option<Note> {
        serde_json::to_value(self.begins).ok()
    }

    /// Writes what is missing of the text and makes it durable.
    pub(super) fn write(self, text: &[u8]) -> Result<(), SendError> {
        let missing = &text[self.written..];
        self.reserve(missing.len())?;
        let mut left = missing;
        while !left.is_empty() {
            match write(&self.file, left) {
                Ok(count) => left = &left[count..],
                Err(Errno::INTR) => {}
                Err(error) if left.len() == text.len() => {
                    return Err(unwritten(error));
                }
                Err(error) => {
                    return Err(SendError::unknown(format!("only a part was written: {}", words(error))));
                }
            }
        }
        fsync(&self.file)
            .and_then(|()| fsync(&self.folder))
            .map_err(|error| SendError::unknown(format!("cannot make the file durable: {}", words(error))))
    }

    /// Asks for the room beforehand, so that a full disk leaves no torn text.
    fn reserve(&self, length: usize) -> Result<(), SendError> {
        if length == 0 {
            return Ok(());
        }
        let end = begins(&self.file).map_or(0, |begins| begins.length);
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, end, length as u64) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(unwritten(error)),
            // Not every file system can; then the write itself tells.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn read(&self, from: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut read = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match pread(&self.file, &mut read[filled..], from + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        read.truncate(filled);
        Ok(read)
    }
}
