//! Puts a whole file in its place: written under a hidden name, made durable, then shown.
//!
//! A reader never sees half a file, and no file is lost under another one's name.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
};

use engine::{Content, SendError};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, fstat, fsync, openat, renameat, statat, unlinkat},
    io::Errno,
};

use super::{
    folder::{FILE, Folder, hindered, rename_to_free, words},
    name::numbered,
    rounds::Folders,
};
use crate::flow::Existing;

/// One file on its way.
pub(super) struct Placing<'a> {
    pub(super) folder: &'a Folder,
    pub(super) opened: &'a OwnedFd,
    pub(super) folders: &'a Folders,
    /// The name under which it is written.
    pub(super) hidden: String,
    /// The name it shall have.
    pub(super) file: &'a str,
    pub(super) body: &'a Content,
    pub(super) existing: Existing,
}

/// What stands under a name.
#[derive(Debug, PartialEq, Eq)]
enum There {
    Nothing,
    Same,
    Other,
}

impl Placing<'_> {
    /// Returns the name that the file got.
    pub(super) fn run(&self) -> Result<String, SendError> {
        let mut number = 0;
        if let Some(name) = self.free_or_same(&mut number)? {
            self.sync(&name)?;
            return Ok(name);
        }
        self.write_hidden().inspect_err(|_| self.remove_hidden())?;
        let name = self.show(&mut number).inspect_err(|_| self.remove_hidden())?;
        self.folders.sync(self.opened).map_err(|error| self.in_doubt("make the folder durable", error))?;
        Ok(name)
    }

    /// Moves the number on to a name that nothing has; the name, if our bytes stand there already.
    fn free_or_same(&self, number: &mut u32) -> Result<Option<String>, SendError> {
        loop {
            let name = numbered(self.file, *number);
            match (self.look(&name)?, self.existing) {
                (There::Nothing, _) | (There::Other, Existing::Replace) => return Ok(None),
                (There::Same, _) => return Ok(Some(name)),
                (There::Other, Existing::Number) => *number += 1,
                (There::Other, Existing::Refuse) => {
                    return Err(SendError::refused("a file of this name holds something else"));
                }
            }
        }
    }

    fn look(&self, name: &str) -> Result<There, SendError> {
        match statat(self.opened, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(There::Nothing),
            Err(Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL) => {
                Err(SendError::refused("the file system does not take a file of this name"))
            }
            Err(error) => Err(self.folder.failed("look into", error)),
            Ok(stat) => {
                let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                let same = is_file && stat.st_size == self.body.len() as i64 && self.holds_our_bytes(name);
                Ok(if same { There::Same } else { There::Other })
            }
        }
    }

    /// A file that cannot be read counts as another one.
    fn holds_our_bytes(&self, name: &str) -> bool {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = openat(self.opened, name, flags, Mode::empty()) else { return false };
        let mut file = File::from(file);
        let mut ours = self.body.reader();
        let mut there = vec![0; self.body.len().clamp(1, 64 * 1024)];
        let mut wanted = there.clone();
        loop {
            match file.read(&mut there) {
                Ok(0) => return ours.read(&mut wanted).is_ok_and(|count| count == 0),
                Ok(count) => {
                    let is_same = ours.read_exact(&mut wanted[..count]).is_ok();
                    if !is_same || wanted[..count] != there[..count] {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }

    fn write_hidden(&self) -> Result<(), SendError> {
        // What an attempt before a crash left under this name is ours.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.opened, self.hidden.as_str(), flags, FILE)
            .map_err(|error| self.folder.failed("write to", error))?;
        let mut file = File::from(file);
        self.fill(&mut file).and_then(|()| file.sync_all()).map_err(|error| {
            let why = format!("cannot write to `{}`: {error}", self.folder.shown());
            SendError::not_delivered(match Errno::from_io_error(&error) {
                Some(error) => hindered(why, error),
                None => why.into(),
            })
        })
    }

    fn fill(&self, file: &mut File) -> io::Result<()> {
        match self.body.bytes() {
            Some(bytes) => file.write_all(bytes),
            None => io::copy(&mut self.body.reader(), file).map(drop),
        }
    }

    /// Gives the file its name, and no other file's.
    fn show(&self, number: &mut u32) -> Result<String, SendError> {
        loop {
            let name = numbered(self.file, *number);
            match self.rename(&name) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) => {
                    if let Some(same) = self.free_or_same(number)? {
                        self.remove_hidden();
                        return Ok(same);
                    }
                }
                Err(Errno::ISDIR) => return Err(SendError::refused("a folder has this name")),
                Err(error) => return Err(self.folder.failed("put a file in", error)),
            }
        }
    }

    fn rename(&self, name: &str) -> Result<(), Errno> {
        let (folder, hidden) = (self.opened.as_fd(), self.hidden.as_str());
        if self.existing == Existing::Replace {
            return renameat(folder, hidden, folder, name);
        }
        rename_to_free((folder, hidden.as_ref()), (folder, name.as_ref()))
    }

    /// Nothing of a failed attempt stays; if even that fails, the next attempt writes over it.
    fn remove_hidden(&self) {
        let _ = unlinkat(self.opened, self.hidden.as_str(), AtFlags::empty());
    }

    /// Bytes that an earlier attempt left may not be durable yet.
    fn sync(&self, name: &str) -> Result<(), SendError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(self.opened, name, flags, Mode::empty())
            .and_then(|file| fstat(&file).and_then(|_| fsync(&file)))
            .and_then(|()| self.folders.sync(self.opened))
            .map_err(|error| self.in_doubt("make the file durable", error))
    }

    fn in_doubt(&self, doing: &str, error: Errno) -> SendError {
        SendError::unknown(format!("cannot {doing} in `{}`: {}", self.folder.shown(), words(error)))
    }
}
