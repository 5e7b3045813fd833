//! A body that comes in pieces: a short one is gathered in memory, a longer one goes to a file as it comes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::BytesMut;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::{Content, Hash, HeldFile, LONG};
use crate::{Store, StoreError};

/// So much is written at once; while it is, as much may be gathered.
const PIECE: usize = 256 << 10;

/// So much is written until the disk is told to begin with it: the sync at the end has little left to do.
const UNSYNCED: u64 = 32 << 20;

/// Tells the files of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Gathers one body. Dropped before its end, it leaves nothing behind.
pub struct Spool {
    store: Arc<dyn Store>,
    gathered: BytesMut,
    length: u64,
    writing: Option<JoinHandle<io::Result<Writing>>>,
}

/// A file as far as it is written.
struct Writing {
    file: File,
    /// Takes the file away unless it was given on.
    path: Unfinished,
    sha: Sha256,
    length: u64,
    unsynced: u64,
}

struct Unfinished(Option<PathBuf>);

impl Spool {
    /// Begins with nothing; what becomes long goes into this store's folder for it.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, gathered: BytesMut::new(), length: 0, writing: None }
    }

    pub fn len(&self) -> u64 {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether it has left memory for a file.
    pub fn is_apart(&self) -> bool {
        self.writing.is_some()
    }

    /// Adds a piece. After an error nothing can be added.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.length += piece.len() as u64;
        self.gathered.extend_from_slice(piece);
        let most = if self.is_apart() { PIECE } else { LONG };
        if self.gathered.len() < most {
            return Ok(());
        }
        if !self.is_apart() {
            let Some(folder) = self.store.spool()? else { return Ok(()) };
            self.writing = Some(tokio::task::spawn_blocking(move || Writing::begin(&folder)));
        }
        self.pass_on().await
    }

    /// What was gathered, once all has come.
    pub async fn end(mut self) -> Result<Content, StoreError> {
        if !self.is_apart() {
            return Ok(self.gathered.freeze().into());
        }
        self.pass_on().await?;
        self.written().await.map(Writing::end)
    }

    /// All of another body, as one of its own.
    pub async fn of(mut self, content: &Content) -> Result<Content, StoreError> {
        let mut stream = content.stream();
        let unread = |error| StoreError(format!("a long body cannot be read: {error}"));
        while let Some(piece) = stream.next().await.map_err(unread)? {
            self.write(&piece).await?;
        }
        self.end().await
    }

    /// Has the gathered bytes written, once those before them are.
    async fn pass_on(&mut self) -> Result<(), StoreError> {
        let writing = self.written().await?;
        let piece = std::mem::replace(&mut self.gathered, BytesMut::with_capacity(PIECE));
        self.writing = Some(tokio::task::spawn_blocking(move || writing.with(&piece)));
        Ok(())
    }

    async fn written(&mut self) -> Result<Writing, StoreError> {
        let failed = |why: String| StoreError(format!("a long body cannot be written: {why}"));
        let Some(writing) = self.writing.take() else { return Err(failed("it failed before".to_owned())) };
        let written = writing.await.map_err(|_| failed("the writing was cut".to_owned()))?;
        written.map_err(|error| failed(error.to_string()))
    }
}

impl Writing {
    fn begin(folder: &Path) -> io::Result<Self> {
        let name = format!("{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path: Unfinished(Some(path)), sha: Sha256::new(), length: 0, unsynced: 0 })
    }

    fn with(mut self, piece: &[u8]) -> io::Result<Self> {
        self.file.write_all(piece)?;
        self.sha.update(piece);
        self.length += piece.len() as u64;
        self.unsynced += piece.len() as u64;
        if self.unsynced >= UNSYNCED {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(self)
    }

    fn end(mut self) -> Content {
        let path = self.path.0.take().expect("it is taken once, at the end");
        let hash = Hash(self.sha.finalize().into());
        Content::in_file(Arc::new(HeldFile::written(path, self.file, (self.length, hash))))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What stays is taken away at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}
