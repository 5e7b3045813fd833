//! Large bodies: each in a file of its own, on disk before anything speaks of it.
//!
//! Neither the journal nor a span holds such bytes, and nobody who writes waits for them. What was spooled as it came is taken
//! over as it lies; what steps made of it is kept as its new bytes and where in that file the others stand.

mod stretch;

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use engine::{Content, Hash, HeldFile, StoreError, Stretch};

use crate::rows::{Body, StretchRow};

pub(crate) const FOLDER: &str = "large";
/// Where bodies are written while they come. Nothing here is anybody's at a start.
const SPOOL: &str = "spool";
/// From this length on a body is large.
const LARGE: usize = 1 << 20;

pub(crate) struct Large {
    folder: PathBuf,
    spool: PathBuf,
    /// When this run began, in nanoseconds: no two runs give the same name.
    began: u128,
    next: AtomicU64,
    /// Files that somebody holds, by their names: opened, and looked through, once for all of them.
    held: Mutex<HashMap<String, Weak<HeldFile>>>,
}

impl Large {
    pub(crate) fn open(store: &Path) -> io::Result<Self> {
        let (folder, spool) = (store.join(FOLDER), store.join(SPOOL));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&spool)?;
        for left in fs::read_dir(&spool)? {
            fs::remove_file(left?.path())?;
        }
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Ok(Self { folder, spool, began, next: AtomicU64::new(0), held: Mutex::default() })
    }

    /// Where bodies are written while they come.
    pub(crate) fn spool(&self) -> PathBuf {
        self.spool.clone()
    }

    /// The bytes as a row holds them: `of` is the message, whose number begins the name.
    pub(crate) async fn keep(self: &Arc<Self>, of: u64, content: &Content) -> Result<Body, StoreError> {
        if let Some(bytes) = content.bytes().filter(|_| !is_large(content)) {
            return Ok(Body::Here(bytes.clone()));
        }
        let (large, content) = (Arc::clone(self), content.clone());
        match tokio::task::spawn_blocking(move || large.keep_apart(of, &content)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => Err(StoreError(format!("a large body cannot be written: {error}"))),
            Err(_) => Err(StoreError("writing a large body was cut".to_owned())),
        }
    }

    fn keep_apart(&self, of: u64, content: &Content) -> io::Result<Body> {
        if let Some(file) = content.file() {
            let name = self.name(of, file.hash());
            let to = self.folder.join(&name);
            if file.adopt(&to)? {
                self.remember(name.clone(), file);
            } else if let Some(known) = self.name_in(of, file) {
                return Ok(Body::Apart(known));
            } else if fs::hard_link(file.path(), &to).is_err() {
                // Its name was taken away, or lies elsewhere: the bytes can still be read.
                return self.write(of, content);
            }
            File::open(&self.folder)?.sync_all()?;
            return Ok(Body::Apart(name));
        }
        match self.rows(of, content) {
            Some(rows) => Ok(Body::Pieced(rows)),
            None => self.write(of, content),
        }
    }

    /// The stretches as rows hold them, where all that lies apart goes with this very message.
    fn rows(&self, of: u64, content: &Content) -> Option<Vec<StretchRow>> {
        if content.bytes().is_some() || content.weight() >= LARGE {
            return None;
        }
        let row = |stretch| match stretch {
            Stretch::Here(bytes) => Some(StretchRow::Here(bytes)),
            Stretch::Apart { file, range } => {
                Some(StretchRow::Apart { name: self.name_in(of, &file)?, from: range.start, to: range.end })
            }
        };
        content.stretches().into_iter().map(row).collect()
    }

    /// Writes all of it to a file of its own.
    fn write(&self, of: u64, content: &Content) -> io::Result<Body> {
        let beside = self.spool.join(format!("{of}.{}", self.next.fetch_add(1, Ordering::SeqCst)));
        let written = self.fill(of, content, &beside);
        if written.is_err() {
            let _ = fs::remove_file(beside);
        }
        written
    }

    fn fill(&self, of: u64, content: &Content, beside: &Path) -> io::Result<Body> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
        let hash = match content.bytes() {
            Some(bytes) => {
                file.write_all(bytes)?;
                content.hash()
            }
            None => Hash::of_reader(&mut Copying { from: content.reader(), to: &mut file })?,
        };
        file.sync_all()?;
        let name = self.name(of, hash);
        fs::rename(beside, self.folder.join(&name))?;
        File::open(&self.folder)?.sync_all()?;
        Ok(Body::Apart(name))
    }

    fn name(&self, of: u64, hash: Hash) -> String {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        format!("{of:020}.{}.{number}.{}", self.began, seal(hash))
    }

    /// The name of a file, where it is one of this message's.
    fn name_in(&self, of: u64, file: &HeldFile) -> Option<String> {
        let path = file.path();
        let is_its = path.parent() == Some(&self.folder) && message_of(&path) == Some(of);
        path.file_name().filter(|_| is_its)?.to_str().map(str::to_owned)
    }

    /// Takes back what was kept for a message that is not kept after all. Its bytes stay with whoever holds them.
    pub(crate) fn take_back(&self, body: &Body, content: &Content) {
        let Body::Apart(name) = body else { return };
        match content.file().filter(|file| file.path() == self.folder.join(name)) {
            Some(file) => file.disown(),
            // What stays is taken away at the next start.
            None => drop(fs::remove_file(self.folder.join(name))),
        }
    }

    /// The bytes that a row speaks of.
    pub(crate) fn read(&self, body: Body) -> rusqlite::Result<Content> {
        let unread = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
        match body {
            Body::Here(bytes) => Ok(Content::from(bytes)),
            Body::Apart(name) => self.hold(name).map(Content::in_file).map_err(unread),
            Body::Pieced(rows) => {
                let stretch = |row| match row {
                    StretchRow::Here(bytes) => Ok(Stretch::Here(bytes)),
                    StretchRow::Apart { name, from, to } => {
                        self.hold(name).map(|file| Stretch::Apart { file, range: from..to })
                    }
                };
                let stretches = rows.into_iter().map(stretch).collect::<io::Result<_>>();
                stretches.map(Content::of_stretches).map_err(unread)
            }
        }
    }

    fn hold(&self, name: String) -> io::Result<Arc<HeldFile>> {
        let known = self.held().get(&name).and_then(Weak::upgrade);
        if let Some(known) = known {
            return Ok(known);
        }
        let file = Arc::new(open_whole(&self.folder.join(&name))?);
        self.remember(name, &file);
        Ok(file)
    }

    fn remember(&self, name: String, file: &Arc<HeldFile>) {
        let mut held = self.held();
        held.retain(|_, file| file.strong_count() > 0);
        held.insert(name, Arc::downgrade(file));
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<String, Weak<HeldFile>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the files of these messages away. What is gone already is no fault.
    pub(crate) fn forget(&self, is_forgotten: impl Fn(u64) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if message_of(&path).is_some_and(&is_forgotten) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    pub(crate) fn files(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path())).collect()
    }
}

/// Reads, and writes what it read.
struct Copying<'f> {
    from: engine::Reader,
    to: &'f mut File,
}

impl io::Read for Copying<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = io::Read::read(&mut self.from, into)?;
        self.to.write_all(&into[..read])?;
        Ok(read)
    }
}

/// Opens a file, if its bytes are those that were written.
pub(crate) fn open_whole(path: &Path) -> io::Result<HeldFile> {
    let file = HeldFile::open(path)?;
    let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    // Those of the first versions are named without a seal.
    match name.split('.').nth(3) {
        Some(sealed) if sealed != seal(file.hash()) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not those that were kept"))
        }
        _ => Ok(file),
    }
}

/// A piece of the bytes' hash.
fn seal(hash: Hash) -> String {
    hash.to_string()[..16].to_owned()
}

/// Whether these bytes lie in a file of their own.
pub(crate) fn is_large(content: &Content) -> bool {
    content.len() >= LARGE || content.bytes().is_none()
}

pub(crate) fn message_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
