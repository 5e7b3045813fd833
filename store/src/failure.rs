//! What can go wrong here, in words that say what to do.

use std::{io, path::PathBuf};

use engine::StoreError;
use rusqlite::ErrorCode;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on this folder.
    #[error("the store in `{folder}` is in use by process {pid} since {since}; stop that one first", folder = folder.display())]
    InUse { folder: PathBuf, pid: String, since: String },
    /// The folder cannot be made or written.
    #[error("cannot write in the store's folder `{folder}`: {cause}; {advice}", folder = folder.display())]
    Folder { folder: PathBuf, cause: io::Error, advice: &'static str },
    /// A version of this program from before its first release wrote the store.
    #[error(
        "the store in `{folder}` has a layout from before the first release (1); let the version that wrote it deliver what waits, then begin with an empty folder",
        folder = folder.display()
    )]
    Older { folder: PathBuf },
    /// A newer version of this program wrote the store.
    #[error(
        "the store in `{folder}` was written by a newer version (layout {found}, this one knows {known}); run that version, or a newer one",
        folder = folder.display()
    )]
    Newer { folder: PathBuf, found: i64, known: i64 },
    /// Something that was answered is not there any more.
    #[error("the store in `{folder}` is damaged: {why}", folder = folder.display())]
    Damaged { folder: PathBuf, why: String },
    /// `SQLite` cannot read or write the file.
    #[error("cannot open the store in `{folder}`: {why}", folder = folder.display())]
    Database { folder: PathBuf, why: String },
}

/// Why one command was not carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command does not fit what is kept; said before it wrote anything.
    Refused(String),
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Refused(of_the_disk(&error))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self(why),
            Failure::Database(error) => Self(words(&error)),
        }
    }
}

/// Says what the disk found, and what a person can do about it.
pub(crate) fn of_the_disk(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "no space is left; free some, and it goes on by itself"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "it cannot be written; give this user the right to"
        }
        _ => "the disk failed; see the system's log, and free space if there is little",
    };
    format!("{advice} ({error})")
}

/// Says what `SQLite` found, and what a person can do about it. Holds nothing of any message.
pub(crate) fn words(error: &rusqlite::Error) -> String {
    let rusqlite::Error::SqliteFailure(cause, _) = error else {
        return match error {
            rusqlite::Error::SqlInputError { msg, .. } => format!("a statement is wrong: {msg}"),
            _ => "a row cannot be read as it stands".to_owned(),
        };
    };
    let advice = match cause.code {
        ErrorCode::DiskFull => "no space is left; free some, and it goes on by itself",
        ErrorCode::SystemIoFailure => {
            "the disk failed; see the system's log, and free space if there is little"
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            "it cannot be written; give this user the right to"
        }
        ErrorCode::CannotOpen => "a file cannot be opened; see its rights and the limit of open files",
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another program holds the file; close that one"
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            "the file is damaged; restore it from a backup"
        }
        _ => "SQLite gave up",
    };
    format!("{advice} (SQLite {}: {})", cause.extended_code, rusqlite::ffi::code_to_str(cause.extended_code))
}
