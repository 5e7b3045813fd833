//! The files of the store: one connection that writes each, and the small numbers it knows names by.

use std::{
    cell::RefCell, collections::HashMap, fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Params, Row, Transaction, TransactionBehavior, config::DbConfig};

/// What is not of one message, in the store's folder.
pub(crate) const REGISTER: &str = "relais.db";

/// The layouts, one file a step; a file's `user_version` says how many were taken. Layout 1 was one file for all.
const REGISTER_STEPS: &[&str] = &[
    "",
    include_str!("steps/register.sql"),
    include_str!("steps/register_expected.sql"),
    include_str!("steps/register_groups.sql"),
];
const SPAN_STEPS: &[&str] = &[
    "",
    include_str!("steps/span.sql"),
    include_str!("steps/span_ended.sql"),
    include_str!("steps/span_attempts.sql"),
    include_str!("steps/span_study.sql"),
    include_str!("steps/span_times.sql"),
];

/// How many prepared statements a connection keeps: more than there are in this crate.
const STATEMENTS: usize = 64;

/// A writer's view of one file.
pub(crate) struct Tables {
    pub(crate) connection: Connection,
    names: RefCell<Names>,
}

/// Rows that never change once they are there. Forgotten with the transaction that made them.
#[derive(Default)]
struct Names {
    channels: HashMap<String, i64>,
    outlets: HashMap<i64, HashMap<String, i64>>,
    versions: HashMap<[u8; 32], i64>,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    File(io::Error),
    Database(rusqlite::Error),
    /// What was answered is not there.
    Damaged(String),
    /// Of a layout that this program does not know, or knows no more.
    Layout {
        found: i64,
        known: i64,
    },
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl Tables {
    pub(crate) fn open_register(folder: &Path) -> Result<Self, Unusable> {
        Self::open(&folder.join(REGISTER), REGISTER_STEPS, 512)
    }

    pub(crate) fn open_span(path: &Path) -> Result<Self, Unusable> {
        Self::open(path, SPAN_STEPS, 8192)
    }

    /// Opens a file for writing, makes it where there is none, and brings its layout up to date. `cache` in KiB.
    fn open(path: &Path, steps: &[&str], cache: i64) -> Result<Self, Unusable> {
        // Made here and not by SQLite, which would let everybody read it; its other files take over the mode.
        OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(Unusable::File)?;
        let mut connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = steps.len() as i64;
        if found > known || found == 1 {
            return Err(Unusable::Layout { found, known });
        }
        tune(&connection, cache)?;
        migrate(&mut connection, found, steps)?;
        Ok(Self { connection, names: RefCell::default() })
    }

    /// Does `work` in one transaction that is on disk when this returns.
    pub(crate) fn commit<T>(
        &mut self,
        work: impl FnOnce(&Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.run("BEGIN IMMEDIATE", [])?;
        let done = work(self).and_then(|done| self.run("COMMIT", []).map(|_| done));
        if done.is_err() {
            self.names.take();
            if !self.connection.is_autocommit() {
                self.run("ROLLBACK", [])?;
            }
        }
        done
    }

    /// Runs a statement that returns nothing; says how many rows it changed.
    pub(crate) fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// Puts what the write-ahead log holds into the file and empties the log, unless somebody reads from it just now.
    pub(crate) fn end_log(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(Duration::ZERO)?;
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
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

    pub(crate) fn version(&self, hash: &[u8; 32]) -> rusqlite::Result<i64> {
        if let Some(id) = self.names.borrow().versions.get(hash) {
            return Ok(*id);
        }
        let id = self.named(
            "INSERT INTO versions (hash) VALUES (?1) ON CONFLICT DO UPDATE SET hash = hash RETURNING id",
            [hash],
        )?;
        self.names.borrow_mut().versions.insert(*hash, id);
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

/// Opens a file for reading alone.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare_once(&connection, STATEMENTS)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(connection)
}

/// Opens a file as it is at this instant: later writes are not seen, and none of it is written over as long as this lives.
pub(crate) fn open_instant(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_reader(path)?;
    // The first look begins what is seen until the end.
    connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
    Ok(connection)
}

/// Keeps so many prepared statements. Without the second setting, one with `LIMIT ?` is prepared anew whenever it is run,
/// since its plan may depend on the number.
pub(crate) fn prepare_once(connection: &Connection, statements: usize) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(statements);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Page size and vacuum take hold in a new file only, and before the log is switched on.
fn tune(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    prepare_once(connection, STATEMENTS)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "page_size", 4096)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 4000, |_| Ok(()))
}

/// All steps in one transaction: a file is of this layout, or as it was.
fn migrate(connection: &mut Connection, found: i64, steps: &[&str]) -> rusqlite::Result<()> {
    if found == steps.len() as i64 {
        return Ok(());
    }
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    for step in steps.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use engine::Store as _;
    use rusqlite::StatementStatus;

    use super::*;

    fn layout(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_store_of_a_newer_version_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        drop(Tables::open_register(folder.path()).unwrap_or_else(|error| panic!("{error:?}")));
        let connection = Connection::open(folder.path().join(REGISTER)).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let refused = crate::Sqlite::open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("newer version (layout 99"), "{refused}");
        assert_eq!(layout(&connection), 99);
    }

    #[test]
    fn a_statement_with_a_limit_is_prepared_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.db");
        let written = Tables::open_span(&path).unwrap_or_else(|error| panic!("{error:?}")).connection;
        for connection in [written, open_reader(&path).unwrap()] {
            let sql = "SELECT id FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2";
            let mut statement = connection.prepare_cached(sql).unwrap();
            for limit in 1..10 {
                assert!(statement.query((0, limit)).unwrap().next().unwrap().is_none());
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        }
    }

    /// A file as a kill leaves it between being made and being laid out.
    fn cut(path: &Path, has_settings: bool) {
        let file = std::fs::File::create(path).unwrap();
        if has_settings {
            drop(file);
            tune(&Connection::open(path).unwrap(), 512).unwrap();
        }
    }

    #[tokio::test]
    async fn a_file_that_was_cut_between_being_made_and_being_laid_out_opens_at_the_next_start() {
        for has_settings in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            cut(&folder.path().join(REGISTER), has_settings);
            let spans = folder.path().join("spans");
            std::fs::create_dir(&spans).unwrap();
            cut(&spans.join(format!("{:020}.db", 0)), has_settings);
            let store = crate::Sqlite::open(folder.path()).unwrap();
            drop(store);
            // The next span, while the one before holds messages.
            cut(&spans.join(format!("{:020}.db", 7)), has_settings);
            let store = crate::Sqlite::open(folder.path()).unwrap();
            store.writer.filed().await;
            assert_eq!(store.trouble(), None);
            drop(store);
            let report = crate::verify(folder.path()).unwrap();
            assert!(report.faults.is_empty(), "{report:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_store_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(REGISTER), vec![b'x'; 9000]).unwrap();
        let refused = crate::Sqlite::open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("damaged"), "{refused}");
    }

    #[test]
    fn names_given_in_a_transaction_that_was_rolled_back_are_given_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut tables = Tables::open_span(&folder.path().join("1.db")).unwrap_or_else(|_| panic!());
        let rolled_back: rusqlite::Result<()> = tables.commit(|tables| {
            tables.channel("lab")?;
            Err(rusqlite::Error::QueryReturnedNoRows)
        });
        assert!(rolled_back.is_err());
        let other = tables.channel("other").unwrap();
        assert_ne!(tables.channel("lab").unwrap(), other);
    }
}
