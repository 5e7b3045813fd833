//! One connection that writes, and the small numbers it knows names by.

use std::{
    cell::RefCell, collections::HashMap, fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path,
    time::Duration,
};

use engine::Hash;
use rusqlite::{Connection, OpenFlags, Params, Row, Transaction, TransactionBehavior};

use crate::failure::OpenError;

/// The store's file in its folder.
pub(crate) const FILE: &str = "relais.db";

/// The layout, one file a step; the database's `user_version` says how many were taken.
const STEPS: &[&str] =
    &[include_str!("steps/0001.sql"), include_str!("steps/0002.sql"), include_str!("steps/0003.sql")];

/// How many prepared statements a connection keeps: more than there are in this crate.
const STATEMENTS: usize = 128;

/// The writer's view of the database.
pub(crate) struct Tables {
    pub(crate) connection: Connection,
    names: RefCell<Names>,
}

/// Rows that never change once they are there. Forgotten with the transaction that made them.
#[derive(Default)]
struct Names {
    channels: HashMap<String, i64>,
    outlets: HashMap<i64, HashMap<String, i64>>,
    versions: HashMap<Hash, i64>,
}

impl Tables {
    /// Opens the file for writing, makes it where there is none, and brings its layout up to date.
    pub(crate) fn open(folder: &Path) -> Result<Self, OpenError> {
        let wrong = |error: rusqlite::Error| OpenError::Database {
            folder: folder.to_owned(),
            why: crate::failure::words(&error),
        };
        let path = folder.join(FILE);
        // Made here and not by SQLite, which would let everybody read it; its other files take over the mode.
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        made.map_err(|cause| OpenError::Folder {
            folder: folder.to_owned(),
            cause,
            advice: "give this user the right to write there, or choose another folder",
        })?;
        let mut connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(wrong)?;
        let found = layout(&connection).map_err(wrong)?;
        let known = STEPS.len() as i64;
        if found > known {
            return Err(OpenError::Newer { folder: folder.to_owned(), found, known });
        }
        tune(&connection).map_err(wrong)?;
        migrate(&mut connection, found).map_err(wrong)?;
        Ok(Self { connection, names: RefCell::default() })
    }

    /// Moves all that was committed out of the log into the file, syncs both, and empties the log.
    ///
    /// After a failed sync nobody knows which pages of the log are on disk: what is appended behind a lost
    /// one would be lost with it. An emptied log has no such place.
    pub(crate) fn empty_the_log(&self) -> rusqlite::Result<()> {
        let busy: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        Err(rusqlite::Error::SqliteFailure(busy, None))
    }

    /// Writes something small, to see whether writing works.
    pub(crate) fn pulse(&self, at: i64) -> rusqlite::Result<()> {
        self.run("INSERT INTO pulse (id, at) VALUES (1, ?1) ON CONFLICT DO UPDATE SET at = ?1", [at])
            .map(drop)
    }

    /// Forgets the numbers that a transaction which was rolled back may have given.
    pub(crate) fn forget_names(&self) {
        self.names.take();
    }

    /// Runs a statement that returns nothing; says how many rows it changed.
    pub(crate) fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// The first row of a statement, if there is one.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        first(&self.connection, sql, params, read)
    }

    pub(crate) fn channel(&self, name: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.names.borrow().channels.get(name) {
            return Ok(*id);
        }
        let id = self.named(
            "INSERT INTO channels (name) VALUES (?1) ON CONFLICT DO UPDATE SET name = name RETURNING id",
            [name],
        )?;
        self.names.borrow_mut().channels.insert(name.to_owned(), id);
        Ok(id)
    }

    pub(crate) fn outlet(&self, channel: i64, name: &str) -> rusqlite::Result<i64> {
        let known = self.names.borrow().outlets.get(&channel).and_then(|outlets| outlets.get(name)).copied();
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self.named(
            "INSERT INTO outlets (channel, name) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET name = name RETURNING id",
            (channel, name),
        )?;
        self.names.borrow_mut().outlets.entry(channel).or_default().insert(name.to_owned(), id);
        Ok(id)
    }

    pub(crate) fn version(&self, hash: Hash) -> rusqlite::Result<i64> {
        if let Some(id) = self.names.borrow().versions.get(&hash) {
            return Ok(*id);
        }
        let id = self.named(
            "INSERT INTO versions (hash) VALUES (?1) ON CONFLICT DO UPDATE SET hash = hash RETURNING id",
            [hash.0],
        )?;
        self.names.borrow_mut().versions.insert(hash, id);
        Ok(id)
    }

    fn named(&self, sql: &str, params: impl Params) -> rusqlite::Result<i64> {
        self.connection.prepare_cached(sql)?.query_row(params, |row| row.get(0))
    }
}

/// The first row of a statement, if there is one.
pub(crate) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Opens the file for reading alone.
pub(crate) fn open_reader(folder: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(folder.join(FILE), flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -8192)?;
    Ok(connection)
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Page size and vacuum take hold in a new file only, and before the log is switched on.
fn tune(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65536)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 2000, |_| Ok(()))
}

fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    for (taken, step) in (1..).zip(STEPS).skip(found as usize) {
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", taken)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_a_newer_version_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        drop(Tables::open(folder.path()).unwrap());
        let connection = Connection::open(folder.path().join(FILE)).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let refused = Tables::open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("newer version (layout 99"), "{refused}");
        assert_eq!(layout(&connection).unwrap(), 99);
    }

    #[test]
    fn a_file_that_is_no_store_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), vec![b'x'; 9000]).unwrap();
        let refused = Tables::open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("damaged"), "{refused}");
    }

    #[test]
    fn names_given_in_a_transaction_that_was_rolled_back_are_given_anew() {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::open(folder.path()).unwrap();
        tables.run("BEGIN", []).unwrap();
        tables.channel("lab").unwrap();
        tables.run("ROLLBACK", []).unwrap();
        tables.forget_names();
        let other = tables.channel("other").unwrap();
        assert_ne!(tables.channel("lab").unwrap(), other);
    }
}
