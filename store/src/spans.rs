//! The spans: one file for the messages of a stretch of time, named by the first of them.
//!
//! A span that is full is followed by the next one: what a message costs does not grow with what is kept, and what is
//! old enough goes as a whole file. Nobody writes here but the filer; everybody reads on connections of their own.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use engine::StoreError;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{
    failure::{Failure, words},
    packing::Unpacker,
    tables,
};

/// The folder of the spans, in the store's folder.
pub(crate) const FOLDER: &str = "spans";
/// How many read at once for people; the others wait their turn.
const SEATS: usize = 4;
/// How many connections that nobody reads on at the moment are kept open.
const IDLE: usize = 12;

pub(crate) struct Spans {
    folder: PathBuf,
    /// Oldest first.
    list: RwLock<Vec<Arc<Span>>>,
    idle: Mutex<Vec<(PathBuf, Reader)>>,
    seats: Semaphore,
}

/// One span.
pub(crate) struct Span {
    /// The number of the first message it may hold; the next span's first ends it.
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
    /// The numbers of its deliveries lie between these two.
    lowest: AtomicU64,
    highest: AtomicU64,
}

/// A connection that reads one span.
pub(crate) struct Reader {
    pub(crate) connection: Connection,
    pub(crate) unpacker: Unpacker,
}

impl Spans {
    pub(crate) fn open(store: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(store.join(FOLDER))?;
        Self::listed(store.join(FOLDER))
    }

    /// The spans of a store that somebody else may write; `None` where there is none.
    pub(crate) fn look_at(store: &Path) -> Option<Self> {
        Self::listed(store.join(FOLDER)).ok()
    }

    fn listed(folder: PathBuf) -> io::Result<Self> {
        let mut list = Vec::new();
        for entry in fs::read_dir(&folder)? {
            list.extend(Span::named(&entry?.path()));
        }
        list.sort_by_key(|span| span.first);
        let list = RwLock::new(list.into_iter().map(Arc::new).collect());
        Ok(Self { folder, list, idle: Mutex::default(), seats: Semaphore::new(SEATS) })
    }

    /// Oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Span>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first number of each, oldest first.
    pub(crate) fn firsts(&self) -> Vec<u64> {
        self.all().iter().map(|span| span.first).collect()
    }

    /// The span that a message belongs to.
    pub(crate) fn of(&self, message: u64) -> Option<Arc<Span>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let behind = list.partition_point(|span| span.first <= message);
        // One that is older than the oldest was given its number long ago, and goes there.
        list.get(behind.saturating_sub(1)).cloned()
    }

    /// The spans that may hold some of these messages, newest first.
    pub(crate) fn within(&self, first: u64, through: u64) -> Vec<Arc<Span>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let from = list.partition_point(|span| span.first <= first).saturating_sub(1);
        let behind = list.partition_point(|span| span.first <= through);
        list.get(from..behind).unwrap_or_default().iter().rev().cloned().collect()
    }

    /// The last message that a span may hold, where another one follows.
    pub(crate) fn end_of(&self, first: u64) -> Option<u64> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let behind = list.partition_point(|span| span.first <= first);
        list.get(behind).map(|next| next.first - 1)
    }

    pub(crate) fn newest(&self) -> Option<Arc<Span>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// The spans that may hold a delivery, newest first.
    pub(crate) fn with_delivery(&self, id: u64) -> Vec<Arc<Span>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().rev().filter(|span| span.may_hold(id)).cloned().collect()
    }

    /// Where the next span would lie.
    pub(crate) fn path_from(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{first:020}.db"))
    }

    /// Takes up a span whose file was made.
    pub(crate) fn add(&self, first: u64) -> Arc<Span> {
        let span = Arc::new(Span::new(first, self.path_from(first)));
        self.list.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&span));
        span
    }

    /// Gives a span's file back to the disk, at once.
    pub(crate) fn remove(&self, first: u64) -> io::Result<()> {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = list.iter().position(|span| span.first == first) else { return Ok(()) };
        let span = list.remove(index);
        drop(list);
        self.idle().retain(|(path, _)| *path != span.path);
        for end in ["", "-wal", "-shm"] {
            let mut name = span.path.clone().into_os_string();
            name.push(end);
            match fs::remove_file(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads one span; all that `look` sees is of one instant.
    pub(crate) fn read<T>(
        &self,
        span: &Span,
        look: impl FnOnce(&mut Reader) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut reader = match self.take_idle(&span.path) {
            Some(reader) => reader,
            None if !span.path.exists() => {
                return Err(Failure::Refused(
                    "what is looked for was forgotten just now; ask again".to_owned(),
                ));
            }
            None => Reader { connection: tables::open_reader(&span.path)?, unpacker: Unpacker::default() },
        };
        reader.connection.execute_batch("BEGIN")?;
        let seen = look(&mut reader);
        let ended = reader.connection.execute_batch("COMMIT");
        let seen = seen?;
        ended?;
        // One that failed is not used again.
        self.give_back(span.path.clone(), reader);
        Ok(seen)
    }

    fn take_idle(&self, path: &Path) -> Option<Reader> {
        let mut idle = self.idle();
        let index = idle.iter().rposition(|(of, _)| of == path)?;
        Some(idle.remove(index).1)
    }

    fn give_back(&self, path: PathBuf, reader: Reader) {
        let mut idle = self.idle();
        if idle.len() >= IDLE {
            idle.remove(0);
        }
        idle.push((path, reader));
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(PathBuf, Reader)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks into the spans on a thread that may wait for the disk.
pub(crate) async fn look<T: Send + 'static>(
    spans: &Arc<Spans>,
    look: impl FnOnce(&Spans) -> Result<T, Failure> + Send + 'static,
) -> Result<T, StoreError> {
    let here = Arc::clone(spans);
    let _seat = spans.seats.acquire().await.expect("the seats are never taken away");
    let seen = tokio::task::spawn_blocking(move || look(&here)).await;
    seen.unwrap_or_else(|_| Err(Failure::Refused("reading was cut".to_owned()))).map_err(|failure| {
        match failure {
            Failure::Refused(why) => StoreError(why),
            Failure::Database(error) => StoreError(words(&error)),
        }
    })
}

impl Span {
    fn new(first: u64, path: PathBuf) -> Self {
        Self { first, path, lowest: AtomicU64::new(u64::MAX), highest: AtomicU64::new(0) }
    }

    fn named(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".db")?;
        Some(Self::new(name.parse().ok()?, path.to_owned()))
    }

    /// Widens the bounds of its deliveries.
    pub(crate) fn holds(&self, delivery: u64) {
        self.lowest.fetch_min(delivery, Ordering::SeqCst);
        self.highest.fetch_max(delivery, Ordering::SeqCst);
    }

    fn may_hold(&self, delivery: u64) -> bool {
        (self.lowest.load(Ordering::SeqCst)..=self.highest.load(Ordering::SeqCst)).contains(&delivery)
    }
}
