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
    /// A newer version of this program wrote the store.
    #[error(
        "the store in `{folder}` was written by a newer version (layout {found}, this one knows {known}); run that version, or a newer one",
        folder = folder.display()
    )]
    Newer { folder: PathBuf, found: i64, known: i64 },
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

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self(why),
            Failure::Database(error) => Self(words(&error)),
        }
    }
}

/// Whether a command alone is to blame: the others of its batch can go on without it.
pub(crate) fn is_of_the_command(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(cause, _) => {
            matches!(cause.code, ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
        }
        _ => true,
    }
}

/// Passes over an error that says another program uses the file at this moment.
pub(crate) fn unless_busy(error: rusqlite::Error) -> rusqlite::Result<()> {
    let is_busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
    if is_busy { Ok(()) } else { Err(error) }
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
