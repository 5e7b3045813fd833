//! Reads a whole store, or a backup, and says what is wrong with it.

use std::{fs, io, path::Path};

use engine::StoreError;
use rusqlite::Connection;
use serde::Serialize;

use crate::{
    ENDED_WELL,
    backup::{SUMS, sum},
    codes::{Coded as _, parsed_or_default},
    directory::{self, DIRECTORY},
    failure::{OpenError, words},
    large, load,
    lock::Lock,
    packing::Unpacker,
    replay::{self, Ended},
    rows::{Body, ContentRow},
    spans::Spans,
    tables::{REGISTER, Unusable, first, open_reader},
};

/// What a look at everything found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub files: u64,
    pub messages: u64,
    pub deliveries: u64,
    /// A server has the store open: what it writes at this moment was not looked at.
    pub is_running: bool,
    pub faults: Vec<Fault>,
}

/// Something that is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    /// In the store's folder.
    pub file: String,
    pub what: String,
    /// The messages that it concerns, as far as that is known; some of them where they are many.
    pub messages: Vec<u64>,
}

/// So many messages are named with one fault.
const NAMED: usize = 100;

/// Reads everything in the folder of a store or of a backup. Changes nothing.
pub fn verify(folder: &Path) -> Result<Report, StoreError> {
    if !folder.join(REGISTER).is_file() {
        return Err(StoreError(format!("there is no store in `{}`", folder.display())));
    }
    let mut report = Report::default();
    if folder.join(SUMS).is_file() {
        report.sums(folder);
    } else {
        report.journal(folder);
    }
    report.database(REGISTER, &folder.join(REGISTER), |_, _| Ok(()));
    let directory = folder.join(DIRECTORY);
    if directory.is_file() {
        report.database(DIRECTORY, &directory, |report, connection| {
            let wrong = directory::verify(connection)?;
            for what in wrong {
                report.fault(DIRECTORY, what, Vec::new());
            }
            Ok(())
        });
    }
    report.large(&folder.join(large::FOLDER));
    let Some(spans) = Spans::look_at(folder) else {
        report.fault("spans", "the folder cannot be read".to_owned(), Vec::new());
        return Ok(report);
    };
    for span in spans.all() {
        let name = format!("spans/{:020}.db", span.first);
        let end = spans.end_of(span.first).unwrap_or(u64::MAX);
        report.database(&name, &span.path, |report, connection| {
            Look { report, connection, name: &name, folder }.all((span.first, end))
        });
    }
    Ok(report)
}

impl Report {
    fn fault(&mut self, file: &str, what: String, messages: Vec<u64>) {
        self.faults.push(Fault { file: file.to_owned(), what, messages });
    }

    /// Whether the files of a backup are those that were written.
    fn sums(&mut self, folder: &Path) {
        let sums = fs::read_to_string(folder.join(SUMS)).unwrap_or_default();
        for (expected, name) in sums.lines().filter_map(|line| line.split_once("  ")) {
            match sum(&folder.join(name)) {
                Ok((found, _)) if found == expected => {}
                Ok(_) => self.fault(name, format!("its hash is not that of {SUMS}"), Vec::new()),
                Err(error) => self.fault(name, format!("it cannot be read: {error}"), Vec::new()),
            }
        }
    }

    /// Whether the journal has everything that the files do not.
    fn journal(&mut self, folder: &Path) {
        let _lock = match Lock::take(folder) {
            Ok(lock) => lock,
            Err(OpenError::InUse { .. }) => {
                self.is_running = true;
                return;
            }
            Err(error) => return self.fault("lock", error.to_string(), Vec::new()),
        };
        let filed = open_reader(&folder.join(REGISTER)).and_then(|register| {
            let sql = "SELECT number FROM numbers WHERE name = 'filed'";
            first(&register, sql, [], |row| row.get::<_, i64>(0))
        });
        // What is wrong with the register is told with its file.
        let Ok(filed) = filed else { return };
        let ended = if folder.join(ENDED_WELL).exists() { Ended::Well } else { Ended::Suddenly };
        match replay::found(folder, filed.unwrap_or(0) as u64, ended) {
            Ok(found) => {
                if let Err(error) = replay::replayed(&found) {
                    self.fault("journal", format!("a record cannot be read: {error}"), Vec::new());
                }
            }
            Err(Unusable::Damaged(why)) => self.fault("journal", why, Vec::new()),
            Err(_) => self.fault("journal", "it cannot be read".to_owned(), Vec::new()),
        }
    }

    /// Whether large bodies have the bytes that they were kept with.
    fn large(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            self.files += 1;
            // What was forgotten just now is no fault.
            if let Err(error) = large::open_whole(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let of = large::message_of(&path).into_iter().collect();
                self.fault(&format!("{}/{name}", large::FOLDER), error.to_string(), of);
            }
        }
    }

    fn database(
        &mut self,
        name: &str,
        path: &Path,
        look: impl FnOnce(&mut Self, &Connection) -> rusqlite::Result<()>,
    ) {
        self.files += 1;
        let looked = open_reader(path).and_then(|connection| {
            connection.execute_batch("BEGIN")?;
            for wrong in integrity(&connection)? {
                self.fault(name, wrong, Vec::new());
            }
            look(self, &connection)
        });
        if let Err(error) = looked {
            self.fault(name, words(&error), Vec::new());
        }
    }
}

fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?;
    let found: Vec<String> = found.collect::<rusqlite::Result<_>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

/// Rows of one table that name what is not there.
const REFERENCES: [(&str, &str); 9] = [
    (
        "attempts without their delivery",
        "SELECT delivery FROM attempts WHERE delivery NOT IN (SELECT id FROM deliveries)",
    ),
    (
        "bytes without their message",
        "SELECT message FROM contents WHERE message NOT IN (SELECT id FROM messages)",
    ),
    (
        "parts without their message",
        "SELECT message FROM parts WHERE message NOT IN (SELECT id FROM messages)",
    ),
    (
        "search keys without their message",
        "SELECT message FROM keys WHERE message NOT IN (SELECT id FROM messages)",
    ),
    (
        "deliveries without their message",
        "SELECT message FROM deliveries WHERE message NOT IN (SELECT id FROM messages)",
    ),
    (
        "messages of no channel or version",
        "SELECT id FROM messages WHERE channel NOT IN (SELECT id FROM channels) OR version NOT IN (SELECT id FROM versions)",
    ),
    (
        "deliveries of no destination",
        "SELECT message FROM deliveries WHERE outlet NOT IN (SELECT id FROM outlets) OR lane NOT IN (SELECT id FROM outlets)",
    ),
    (
        "what was sent or answered, without its delivery",
        "SELECT delivery FROM payloads WHERE delivery NOT IN (SELECT id FROM deliveries)",
    ),
    (
        "deliveries wait, and the bytes of their message are gone",
        "SELECT message FROM deliveries d WHERE lane IS NOT NULL AND pending = 0
         AND message NOT IN (SELECT message FROM contents) AND id NOT IN (SELECT delivery FROM payloads)",
    ),
];

/// One span's file.
struct Look<'a> {
    report: &'a mut Report,
    connection: &'a Connection,
    name: &'a str,
    folder: &'a Path,
}

impl Look<'_> {
    fn all(&mut self, (from, to): (u64, u64)) -> rusqlite::Result<()> {
        self.stand_in()?;
        self.report.messages += self.count("messages")?;
        self.report.deliveries += self.count("deliveries")?;
        for (what, sql) in REFERENCES {
            self.concerns(what, sql)?;
        }
        self.concerns(
            "messages that belong in another file",
            &format!(
                "SELECT id FROM messages WHERE id > {to} OR (id < {from} AND {from} > 1)",
                to = to.min(i64::MAX as u64)
            ),
        )?;
        let open = engine::MessageState::Kept.code();
        self.concerns(
            "messages are open, and their bytes are gone",
            &format!(
                "SELECT id FROM messages WHERE state = {open} AND id NOT IN (SELECT message FROM contents)"
            ),
        )?;
        self.rows()?;
        self.unpacked()
    }

    /// A file that an earlier version wrote has no attempts, no studies and no times until it is opened to be written: on this
    /// connection it looks as if it had, and none of either.
    fn stand_in(&self) -> rusqlite::Result<()> {
        let layout: i64 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if layout < 4 {
            let none = "CREATE TEMP TABLE attempts (delivery INTEGER, dictionary INTEGER, packed BLOB)";
            self.connection.execute_batch(none)?;
        }
        let lacks = match layout {
            ..5 => ", NULL AS study, NULL AS patient, NULL AS ran, NULL AS took, NULL AS answered",
            5 => ", NULL AS ran, NULL AS took, NULL AS answered",
            _ => "",
        };
        if !lacks.is_empty() {
            self.connection
                .execute_batch(&format!("CREATE TEMP VIEW messages AS SELECT *{lacks} FROM main.messages"))?;
        }
        Ok(())
    }

    fn count(&self, table: &str) -> rusqlite::Result<u64> {
        let count =
            first(self.connection, &format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))?;
        Ok(count.unwrap_or(0) as u64)
    }

    fn concerns(&mut self, what: &str, sql: &str) -> rusqlite::Result<()> {
        let mut statement =
            self.connection.prepare(&format!("SELECT DISTINCT * FROM ({sql}) LIMIT {}", NAMED + 1))?;
        let found = statement.query_map([], |row| Ok(row.get::<_, i64>(0)? as u64))?;
        let found: Vec<u64> = found.collect::<rusqlite::Result<_>>()?;
        if !found.is_empty() {
            self.tell(what, found);
        }
        Ok(())
    }

    fn tell(&mut self, what: &str, mut messages: Vec<u64>) {
        let more = if messages.len() > NAMED { ", and more" } else { "" };
        messages.truncate(NAMED);
        self.report.fault(self.name, format!("{what}{more}"), messages);
    }

    /// Whether each message and each of its deliveries reads as the program reads it.
    fn rows(&mut self) -> rusqlite::Result<()> {
        let mut wrong = Vec::new();
        for id in self.ids("SELECT id FROM messages")? {
            let message = load::message(self.connection, id);
            let deliveries = load::deliveries_of(self.connection, id);
            let sound =
                message.is_ok() && deliveries.is_ok_and(|rows| rows.iter().all(|row| row.waiting(0).is_ok()));
            if !sound && wrong.len() <= NAMED {
                wrong.push(id);
            }
        }
        if !wrong.is_empty() {
            self.tell("rows cannot be read as they stand", wrong);
        }
        Ok(())
    }

    /// Whether everything that is packed unpacks, and large bytes are there.
    fn unpacked(&mut self) -> rusqlite::Result<()> {
        let (mut packed, mut gone) = (Vec::new(), Vec::new());
        let mut unpacker = Unpacker::default();
        for id in self.ids("SELECT id FROM messages")? {
            match self.bodies(&mut unpacker, id) {
                Ok(bodies) => gone.extend(bodies.iter().any(|body| !self.is_there(body)).then_some(id)),
                Err(_) => packed.push(id),
            }
            packed.truncate(NAMED + 1);
            gone.truncate(NAMED + 1);
        }
        for (what, found) in [("packed bytes cannot be unpacked", packed), ("large bytes are gone", gone)] {
            if !found.is_empty() {
                self.tell(what, found);
            }
        }
        Ok(())
    }

    fn bodies(&self, unpacker: &mut Unpacker, id: u64) -> rusqlite::Result<Vec<Body>> {
        let mut bodies = Vec::new();
        if let Some(ContentRow { body, facts, keys }) = load::content(self.connection, unpacker, id)? {
            let _: engine::Facts = parsed_or_default(facts)?;
            let _: Vec<(String, String)> = parsed_or_default(keys)?;
            bodies.push(body);
        }
        bodies.extend(load::parts(self.connection, unpacker, id)?.into_iter().filter_map(|part| part.body));
        for delivery in load::deliveries_of(self.connection, id)? {
            bodies.extend(load::payload(self.connection, unpacker, delivery.id)?.body);
            load::attempts(self.connection, unpacker, delivery.id)?;
        }
        Ok(bodies)
    }

    fn is_there(&self, body: &Body) -> bool {
        let folder = self.folder.join(large::FOLDER);
        body.files().into_iter().all(|name| folder.join(name).is_file())
    }

    fn ids(&self, sql: &str) -> rusqlite::Result<Vec<u64>> {
        let mut statement = self.connection.prepare(sql)?;
        statement.query_map([], |row| Ok(row.get::<_, i64>(0)? as u64))?.collect()
    }
}
