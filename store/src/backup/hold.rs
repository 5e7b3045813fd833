//! Holds what a restored store has for its destinations: it may have been sent since the backup was taken.

use std::{collections::BTreeSet, path::Path, time::SystemTime};

use rusqlite::Connection;

use crate::{codes::nanoseconds, failure::Failure, spans::Spans, tables::REGISTER};

/// Holds each destination that a file of the store names, and these: as a person would, before any server runs.
pub(super) fn all(folder: &Path, also: &[(String, String)]) -> Result<(), Failure> {
    let mut held: BTreeSet<(String, String)> = also.iter().cloned().collect();
    let spans = Spans::open(folder)?;
    for span in spans.all() {
        held.extend(spans.read(&span, |reader| Ok(named(&reader.connection)?))?);
    }
    let mut register = Connection::open(folder.join(REGISTER))?;
    let writing = register.transaction()?;
    let at = nanoseconds(SystemTime::now());
    for (channel, destination) in held {
        let name = format!("hold {channel}/{destination}");
        writing.execute("INSERT OR REPLACE INTO switches (name, value) VALUES (?1, 'held')", [&name])?;
        let sql = "INSERT INTO audit (at, by, what, subject) VALUES (?1, 'relais restore', 'held', ?2)";
        writing.execute(sql, (at, &name))?;
    }
    Ok(writing.commit()?)
}

fn named(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT c.name, o.name FROM outlets o JOIN channels c ON c.id = o.channel";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
