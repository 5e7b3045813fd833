//! The file that a program leaves as its answer.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use crate::file::name::Name;

/// Where the answer of one run is to lie.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
}

/// What lay there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    File { bytes: Bytes, is_cut: bool },
}

impl Place {
    /// A place in a folder. Its name never leads out of it, whatever a message holds.
    pub(super) fn new(folder: &Path, name: &str) -> Result<Self, String> {
        let name = Name::read(name).map_err(|why| format!("`answer`: {why}"))?;
        Ok(Self { path: folder.join(name.with(&name.file)) })
    }

    /// Makes the folder where it is missing.
    pub(super) fn make_folder(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), std::fs::create_dir_all)
    }

    /// Takes away what an earlier run left: it is not the answer of the next.
    pub(super) fn clear(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads the answer, up to a size. A link, a folder or a pipe is none.
    pub(super) fn read(&self, most: usize) -> io::Result<Left> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(CWD, &self.path, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(Left::Nothing),
            opened => opened?,
        };
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        File::from(file).take(most as u64 + 1).read_to_end(&mut bytes)?;
        let is_cut = bytes.len() > most;
        bytes.truncate(most);
        Ok(Left::File { bytes: bytes.into(), is_cut })
    }
}
