//! Where messages are kept: embedded `SQLite`.
//!
//! One thread writes, with group commit; an answer goes out only after its commit is on disk. Readers have
//! their own connections. See [`engine::Store`] for what each write means, and `writer.rs` for what holds
//! when the disk fails.

mod codes;
mod deliveries;
mod failure;
mod followers;
mod history;
mod intake;
mod late;
mod lock;
mod marks;
mod messages;
mod people;
mod readers;
mod repeats;
mod store;
mod succession;
mod tables;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

pub use failure::OpenError;
pub use people::Audited;

use engine::MessageId;
use marks::Marks;
use readers::Readers;
use tables::Tables;
use writer::Writer;

/// Keeps messages in one file of a folder. Open one for each folder: a second is refused.
pub struct Sqlite {
    folder: PathBuf,
    /// The first message of this run.
    began: MessageId,
    next_message: AtomicU64,
    next_delivery: AtomicU64,
    readers: Readers,
    // Dropped in this order: what was asked is written before the folder is let go.
    marks: Marks,
    writer: Writer,
    _lock: lock::Lock,
}

/// How many deliveries wait in the store of a folder, by channel and destination, read without opening it to write.
/// `None` where there is none, or where it cannot be read so.
pub fn waiting(folder: &Path) -> Option<Vec<(String, String, u64)>> {
    history::find::depths(&tables::open_reader(folder).ok()?).ok()
}

impl Sqlite {
    /// Opens the store of a folder, and makes it where there is none.
    ///
    /// A delivery that was begun and never settled is found `unsure`.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let lock = lock::Lock::take(folder)?;
        let tables = Tables::open(folder)?;
        let wrong = |error: rusqlite::Error| OpenError::Database {
            folder: folder.to_owned(),
            why: failure::words(&error),
        };
        // What the last run left in the log is on disk from here on, and so is what is read of it. Somebody who only
        // looks at the file meanwhile is no reason not to start.
        tables.empty_the_log().or_else(failure::unless_busy).map_err(wrong)?;
        deliveries::doubt_what_was_begun(&tables).map_err(wrong)?;
        let marks = Marks::open(folder, &tables).map_err(wrong)?;
        let next_message = highest(&tables, "messages").map_err(wrong)? + 1;
        let next_delivery = highest(&tables, "deliveries").map_err(wrong)? + 1;
        let writer = Writer::start(folder.to_owned(), tables).map_err(|error| OpenError::Database {
            folder: folder.to_owned(),
            why: format!("no thread can be started: {error}"),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            began: MessageId(next_message),
            next_message: AtomicU64::new(next_message),
            next_delivery: AtomicU64::new(next_delivery),
            readers: Readers::new(folder.to_owned()),
            marks,
            writer,
            _lock: lock,
        })
    }

    /// What people did, newest first.
    pub async fn audit(&self, limit: usize) -> Result<Vec<Audited>, engine::StoreError> {
        self.readers.read(move |connection| Ok(people::audit(connection, limit)?)).await
    }

    fn reserve(next: &AtomicU64) -> u64 {
        next.fetch_add(1, Ordering::SeqCst)
    }
}

/// The highest id that was ever given and kept.
fn highest(tables: &Tables, table: &'static str) -> rusqlite::Result<u64> {
    let kept = format!("SELECT coalesce(max(id), 0) FROM {table}");
    let kept: i64 = tables.connection.query_row(&kept, [], |row| row.get(0))?;
    let forgotten = tables.first("SELECT id FROM highest WHERE what = ?1", [table], |row| row.get(0))?;
    Ok(kept.max(forgotten.unwrap_or(0)) as u64)
}
