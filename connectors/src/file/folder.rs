//! The folder that files go to, opened step by step so that no link leads out of it.

use std::{
    ffi::OsStr,
    os::fd::{BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use engine::{Hindered, Hindrance, SendError};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, fsync, linkat, mkdirat, openat, renameat_with, unlinkat},
    io::Errno,
};

use super::name::Name;

/// What new folders and files may be, before the system's mask takes from it.
pub(super) const FOLDER: Mode = Mode::from_raw_mode(0o777);
pub(super) const FILE: Mode = Mode::from_raw_mode(0o666);

const OPEN: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// Where a destination writes.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
    /// As it is written in the settings.
    written: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path, written: &str) -> Self {
        Self { root: root.to_owned(), written: written.into() }
    }

    /// How people call it.
    pub(super) fn shown(&self) -> String {
        self.written.display().to_string()
    }

    /// Opens the folder of a file. Folders below are made as needed; the folder itself only inside the project:
    /// elsewhere a missing one may be a disk that is not there.
    pub(super) fn open(&self, name: &Name) -> Result<OwnedFd, SendError> {
        let mut folder = self.open_itself()?;
        for part in &name.folders {
            folder = step(&folder, part).map_err(|error| match error {
                Errno::LOOP | Errno::NOTDIR => {
                    SendError::refused("a part of the file's name is a link or a file, not a folder")
                }
                error => self.failed("open a folder in", error),
            })?;
        }
        Ok(folder)
    }

    fn open_itself(&self) -> Result<OwnedFd, SendError> {
        self.opened().map_err(|error| self.failed("open", error))
    }

    /// Opens the folder itself, made where it may be.
    pub(super) fn opened(&self) -> Result<OwnedFd, Errno> {
        match openat(CWD, self.root.join(&self.written), OPEN, Mode::empty()) {
            Err(Errno::NOENT) if self.is_inside() => self.make(),
            opened => opened,
        }
    }

    fn is_inside(&self) -> bool {
        self.written.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    }

    fn make(&self) -> Result<OwnedFd, Errno> {
        let mut folder = openat(CWD, &self.root, OPEN, Mode::empty())?;
        for part in self.written.components() {
            if let Component::Normal(part) = part {
                make_in(&folder, part)?;
                folder = openat(&folder, part, OPEN, Mode::empty())?;
            }
        }
        Ok(folder)
    }

    /// Whether the folder can be listed. Makes nothing: for one that is yet to be made, tries the one in which it would be.
    pub(super) fn try_reading(&self) -> Result<(), String> {
        self.nearest().map(drop).map_err(|error| self.cannot("open", error))
    }

    /// Whether files can be written here. Makes nothing that stays: for a folder that is yet to be made, tries the
    /// one in which it would be.
    pub(super) fn try_writing(&self) -> Result<(), String> {
        let folder = self.nearest().map_err(|error| self.cannot("open", error))?;
        let file = format!(".relais-{}.tmp", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&folder, file.as_str(), flags, FILE).map_err(|error| self.cannot("write to", error))?;
        match unlinkat(&folder, file.as_str(), AtFlags::empty()) {
            // Another destination tries the same folder at the same time.
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.cannot("remove a file from", error)),
        }
    }

    fn nearest(&self) -> Result<OwnedFd, Errno> {
        for folder in self.written.ancestors() {
            match openat(CWD, self.root.join(folder), OPEN, Mode::empty()) {
                Err(Errno::NOENT) if self.is_inside() => {}
                opened => return opened,
            }
        }
        Err(Errno::NOENT)
    }

    /// The folder cannot be written to now; nothing is wrong with the message.
    pub(super) fn failed(&self, doing: &str, error: Errno) -> SendError {
        SendError::not_delivered(hindered(self.cannot(doing, error), error))
    }

    fn cannot(&self, doing: &str, error: Errno) -> String {
        format!("cannot {doing} `{}`: {}", self.shown(), words(error))
    }
}

/// Opens a folder in another one, made if it is missing, and never through a link.
fn step(folder: &OwnedFd, part: &str) -> Result<OwnedFd, Errno> {
    match enter(folder, part.as_ref()) {
        Err(Errno::NOENT) => {
            make_in(folder, part.as_ref())?;
            enter(folder, part.as_ref())
        }
        opened => opened,
    }
}

/// Opens a folder in another one, and never through a link.
pub(super) fn enter(folder: &OwnedFd, part: &OsStr) -> Result<OwnedFd, Errno> {
    openat(folder, part, OPEN | OFlags::NOFOLLOW, Mode::empty())
}

/// Gives a file another name, and never that of another file.
pub(super) fn rename_to_free(
    (from, old): (BorrowedFd<'_>, &OsStr),
    (to, new): (BorrowedFd<'_>, &OsStr),
) -> Result<(), Errno> {
    match renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        // Not every file system can (NFS); a second name does the same in two steps.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            linkat(from, old, to, new, AtFlags::empty())?;
            unlinkat(from, old, AtFlags::empty())
        }
        renamed => renamed,
    }
}

/// Makes a folder that stays after a crash. One that somebody else made meanwhile is as good.
pub(super) fn make_in(folder: &OwnedFd, part: &OsStr) -> Result<(), Errno> {
    match mkdirat(folder, part, FOLDER) {
        Ok(()) => fsync(folder),
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Words about an error, with what it says of the disk and of our rights there.
pub(super) fn hindered(words: String, error: Errno) -> Hindered {
    let by = match error {
        Errno::NOSPC | Errno::DQUOT => Some(Hindrance::NoRoom),
        Errno::ACCESS | Errno::PERM => Some(Hindrance::SignedOut),
        _ => None,
    };
    Hindered { words, by }
}

pub(super) fn words(error: Errno) -> String {
    std::io::Error::from(error).to_string()
}
