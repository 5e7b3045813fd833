//! One process at a time: a lock on the folder that dies with whoever holds it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::SystemTime,
};

use rustix::fs::{FlockOperation, flock};

use crate::{codes, failure::OpenError};

/// Holds a folder until it is dropped.
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl Lock {
    /// Makes the folder where there is none, readable by its owner alone, and locks it.
    pub(crate) fn take(folder: &Path) -> Result<Self, OpenError> {
        let wrong = |cause: io::Error| cannot_write(folder, cause);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrong)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("lock"))
            .map_err(wrong)?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            return Err(match error {
                rustix::io::Errno::WOULDBLOCK => in_use(folder, &mut file),
                error => cannot_write(folder, error.into()),
            });
        }
        write_holder(&mut file).map_err(wrong)?;
        Ok(Self(file))
    }
}

/// Says in the file who holds it, for the process that comes second.
fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    let since = codes::written(codes::nanoseconds(SystemTime::now()));
    writeln!(file, "{} {since}", std::process::id())
}

fn in_use(folder: &Path, file: &mut File) -> OpenError {
    let mut holder = String::new();
    // The holder may be about to write: then it is named as unknown.
    let _ = file.read_to_string(&mut holder);
    let mut words = holder.split_whitespace().map(str::to_owned);
    let mut word = || words.next().unwrap_or_else(|| "unknown".to_owned());
    OpenError::InUse { folder: folder.to_owned(), pid: word(), since: word() }
}

fn cannot_write(folder: &Path, cause: io::Error) -> OpenError {
    let advice = match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            "give this user the right to write there, or choose another folder"
        }
        io::ErrorKind::ReadOnlyFilesystem => "mount it writable, or choose another folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or choose another folder"
        }
        _ => "choose another folder",
    };
    OpenError::Folder { folder: folder.to_owned(), cause, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::take(folder.path()).unwrap();
        let refused = Lock::take(folder.path()).err().unwrap().to_string();
        assert!(refused.contains(&format!("process {} since 20", std::process::id())), "{refused}");
        drop(held);
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a-file");
        fs::write(&file, "").unwrap();
        let refused = Lock::take(&file.join("store")).err().unwrap().to_string();
        assert!(refused.contains("choose another folder"), "{refused}");
    }
}
