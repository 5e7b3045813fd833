//! The directory: resources of other servers with their versions, and how far each of them is in step. One file of its own.

mod instant;
mod mirror;
mod packing;
mod pages;
mod resources;
mod searching;
mod terms;
mod verify;

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use engine::StoreError;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::watch;

pub(crate) use self::{
    instant::{Held, count_on},
    verify::verify,
};
use crate::{failure::words, tables::prepare_once};

/// The file, in the store's folder.
pub(crate) const DIRECTORY: &str = "directory.db";

/// The layouts, one a step; the file's `user_version` says how many were taken.
const STEPS: [&str; 1] = [include_str!("../steps/directory.sql")];

/// So many connections read at once; more wait for one of them.
const READERS: usize = 4;

/// A directory in a file. Whoever writes waits for the one before; readers wait for nobody.
pub struct Directory {
    path: PathBuf,
    name: String,
    writer: Mutex<Connection>,
    /// When the last version was written.
    last: AtomicI64,
    readers: Mutex<Vec<Connection>>,
    wishes: watch::Sender<i64>,
    /// What syncs wait for, as they say.
    said: Mutex<HashMap<i64, String>>,
}

impl Directory {
    /// Opens that of a store's folder, and makes it where there is none.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join(DIRECTORY);
        let failed = |why: String| format!("cannot open the directory {}: {why}", path.display());
        let created = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        created.map_err(|error: io::Error| failed(error.to_string()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags).and_then(|mut connection| {
            tune(&connection)?;
            let name = migrate(&mut connection)?;
            let last = connection.query_row("SELECT max(updated) FROM resources", [], |row| row.get(0));
            Ok((connection, name, last.map(Option::unwrap_or_default)?))
        });
        let (writer, name, last) = opened.map_err(|error| failed(words(&error)))?;
        let name = name.ok_or_else(|| failed("it was written by a newer relais: use that one".to_owned()))?;
        Ok(Self {
            path,
            name,
            writer: Mutex::new(writer),
            last: AtomicI64::new(last),
            readers: Mutex::default(),
            wishes: watch::Sender::new(0),
            said: Mutex::default(),
        })
    }

    /// Writes, in one transaction that is on disk when this returns.
    fn commit<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        let mut connection = self.writer();
        let done = (|| {
            let transaction = connection.transaction()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })();
        done.map_err(|fault: Fault| fault.into())
    }

    /// The time of all versions of one transaction: later than of any that can be read. Asked while writing.
    fn instant(&self) -> i64 {
        let instant = now().max(self.last.load(Ordering::SeqCst) + 1);
        self.last.store(instant, Ordering::SeqCst);
        instant
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self) -> MutexGuard<'_, HashMap<i64, String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads, beside whoever writes.
    fn look<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => crate::tables::open_reader(&self.path).map_err(Fault::from)?,
        };
        let looked = work(&connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(connection);
        }
        looked.map_err(StoreError::from)
    }
}

/// Why something could not be read or written.
enum Fault {
    Database(rusqlite::Error),
    Refused(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Database(error) => StoreError(format!("the directory: {}", words(&error))),
            Fault::Refused(why) => StoreError(format!("the directory: {why}")),
        }
    }
}

fn tune(connection: &Connection) -> rusqlite::Result<()> {
    prepare_once(connection, 64)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -16384)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What people search by has no order in which it comes: the same pages of the tree are written again and again, and go
    // into the file once for all that waits in the journal.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 16000, |_| Ok(()))
}

/// Brings the layout up to date, and says what the directory is called; `None` where it is of a later layout.
fn migrate(connection: &mut Connection) -> rusqlite::Result<Option<String>> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > STEPS.len() as i64 {
        return Ok(None);
    }
    let transaction = connection.transaction()?;
    for step in STEPS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    if found == 0 {
        transaction.execute("INSERT INTO names VALUES (lower(hex(randomblob(16))))", [])?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
    transaction.commit()?;
    connection.query_row("SELECT name FROM names", [], |row| row.get(0)).map(Some)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64
}
