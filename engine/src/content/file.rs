//! A file that is held open: its bytes can be read as long as somebody holds it, whoever takes its name away.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Hash;

/// A file whose bytes do not change, and whose hash is known.
#[derive(Debug)]
pub struct HeldFile {
    file: File,
    length: u64,
    hash: Hash,
    place: Mutex<Place>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    owner: Owner,
}

/// Who takes the file's name away when it is no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Whoever holds it last: nothing that is durable speaks of it.
    Holder,
    Store,
}

impl HeldFile {
    /// One that was just written, and is gone with the last who holds it unless it is adopted.
    pub(super) fn written(path: PathBuf, file: File, (length, hash): (u64, Hash)) -> Self {
        Self { file, length, hash, place: Mutex::new(Place { path, owner: Owner::Holder }) }
    }

    /// Opens a file of the store; all of it is read once, to know its hash.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let hash = super::read::hash(&mut &file)?;
        let place = Mutex::new(Place { path: path.to_owned(), owner: Owner::Store });
        Ok(Self { file, length, hash, place })
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Where it lies, unless it was taken away meanwhile.
    pub fn path(&self) -> PathBuf {
        self.place().path.clone()
    }

    /// Makes its bytes durable and moves it there, where it belongs to the store; says whether it did not belong to it before.
    ///
    /// The folder that it is moved to is for the caller to make durable.
    pub fn adopt(&self, to: &Path) -> io::Result<bool> {
        let mut place = self.place();
        if place.owner == Owner::Store {
            return Ok(false);
        }
        self.file.sync_all()?;
        fs::rename(&place.path, to)?;
        *place = Place { path: to.to_owned(), owner: Owner::Store };
        Ok(true)
    }

    /// Takes it back from the store, which speaks of it nowhere.
    pub fn disown(&self) {
        self.place().owner = Owner::Holder;
    }

    /// Some bytes from a place on; none behind the end, and an error where the file ends before that.
    pub(super) fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, at)?;
        if read == 0 && at < self.length && !into.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        let place = self.place.get_mut().unwrap_or_else(PoisonError::into_inner);
        if place.owner == Owner::Holder {
            // What stays is taken away at the next start.
            let _ = fs::remove_file(&place.path);
        }
    }
}
