//! Large bodies: each in a file of its own, on disk before anything speaks of it.
//!
//! Neither the journal nor a span holds such bytes, and nobody who writes waits for them.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use engine::{Content, StoreError};

use crate::rows::Body;

pub(crate) const FOLDER: &str = "large";
/// From this length on a body is large.
const LARGE: usize = 1 << 20;

pub(crate) struct Large {
    folder: PathBuf,
    /// When this run began, in nanoseconds: no two runs give the same name.
    began: u128,
    next: AtomicU64,
}

impl Large {
    pub(crate) fn open(store: &Path) -> io::Result<Self> {
        let folder = store.join(FOLDER);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Ok(Self { folder, began, next: AtomicU64::new(0) })
    }

    /// The bytes as a row holds them: `of` is the message, whose number begins the name.
    pub(crate) async fn keep(&self, of: u64, content: &Content) -> Result<Body, StoreError> {
        if !is_large(content) {
            return Ok(Body::Here(content.bytes().clone()));
        }
        let begins = format!("{of:020}.{}.{}", self.began, self.next.fetch_add(1, Ordering::SeqCst));
        let (folder, content) = (self.folder.clone(), content.clone());
        let written = tokio::task::spawn_blocking(move || {
            let name = format!("{begins}.{}", seal(&content));
            write(&folder, &name, content.bytes()).map(|()| name)
        });
        match written.await {
            Ok(Ok(name)) => Ok(Body::Apart(name)),
            Ok(Err(error)) => Err(StoreError(format!("a large body cannot be written: {error}"))),
            Err(_) => Err(StoreError("writing a large body was cut".to_owned())),
        }
    }

    /// The bytes that a row speaks of.
    pub(crate) fn read(&self, body: Body) -> rusqlite::Result<Content> {
        match body {
            Body::Here(bytes) => Ok(Content::from(bytes)),
            Body::Apart(name) => read_whole(&self.folder.join(name))
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error))),
        }
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

    /// The messages that have bytes here.
    pub(crate) fn messages(&self) -> io::Result<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            found.extend(message_of(&entry?.path()));
        }
        Ok(found)
    }
}

/// The bytes of a file, if they are those that were written.
pub(crate) fn read_whole(path: &Path) -> io::Result<Content> {
    let content = Content::from(fs::read(path)?);
    let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    // Those of the first versions are named without a seal.
    match name.split('.').nth(3) {
        Some(sealed) if sealed != seal(&content) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not those that were kept"))
        }
        _ => Ok(content),
    }
}

/// A piece of the bytes' hash.
fn seal(content: &Content) -> String {
    content.hash().to_string()[..16].to_owned()
}

/// Whether these bytes lie in a file of their own.
pub(crate) fn is_large(content: &Content) -> bool {
    content.len() >= LARGE
}

pub(crate) fn message_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    // What is there already is somebody else's, and stays.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let written = fill(file, bytes).and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_another_run_wrote_for_the_same_message_stays() {
        let folder = tempfile::tempdir().unwrap();
        let body = |byte: u8| Content::from(vec![byte; LARGE]);
        let mut kept = Vec::new();
        // In a container each run has the same number among the processes.
        for byte in [b'a', b'b'] {
            let large = Large::open(folder.path()).unwrap();
            kept.push(large.keep(7, &body(byte)).await.unwrap());
        }
        let large = Large::open(folder.path()).unwrap();
        for (byte, kept) in [b'a', b'b'].into_iter().zip(kept) {
            assert_eq!(large.read(kept).unwrap(), body(byte));
        }
    }
}
