//! Messages that another one stands for.

use engine::{Again, MessageId, MessageState};
use rusqlite::Connection;

use crate::{
    codes::Coded,
    people::note,
    tables::{Tables, first},
};

/// What stands for a message, in one step.
pub(crate) fn successor(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<MessageId>> {
    let sql = "SELECT successor FROM successions WHERE message = ?1";
    first(connection, sql, [id.0 as i64], |row| Ok(MessageId(row.get::<_, i64>(0)? as u64)))
}

/// What a message stands for.
pub(crate) fn predecessors(connection: &Connection, id: MessageId) -> rusqlite::Result<Vec<MessageId>> {
    let mut statement =
        connection.prepare_cached("SELECT message FROM successions WHERE successor = ?1 ORDER BY message")?;
    let found = statement.query_map([id.0 as i64], |row| Ok(MessageId(row.get::<_, i64>(0)? as u64)))?;
    found.collect()
}

/// The last of those that were run, each in the place of the one before; `None` where none was.
pub(crate) fn latest(tables: &Tables, id: MessageId) -> rusqlite::Result<Option<MessageId>> {
    let mut latest = None;
    while let Some(next) = successor(&tables.connection, latest.unwrap_or(id))? {
        latest = Some(next);
    }
    Ok(latest)
}

/// What stands for a message that cannot be run again: itself while it is open, else what it was run as before.
pub(crate) fn stands_instead(tables: &Tables, id: MessageId) -> rusqlite::Result<Option<MessageId>> {
    let sql = "SELECT state FROM messages WHERE id = ?1";
    let state = tables.first(sql, [id.0 as i64], |row| MessageState::of(row.get(0)?))?;
    match state {
        Some(MessageState::Kept) => Ok(Some(id)),
        Some(MessageState::Superseded) => Ok(Some(latest(tables, id)?.unwrap_or(id))),
        _ => Ok(None),
    }
}

/// Closes a message that a person runs again; why it ended as it did stays with it.
pub(crate) fn run_again(tables: &Tables, again: &Again, successor: MessageId) -> rusqlite::Result<()> {
    let superseded = MessageState::Superseded.code();
    let sql = "UPDATE messages SET state = ?2 WHERE id = ?1";
    if tables.run(sql, (again.message.0 as i64, superseded))? == 1 {
        link(tables, again.message, successor)?;
    }
    note(tables, &again.by, "resend", &format!("message {}", again.message))
}

pub(crate) fn link(tables: &Tables, first: MessageId, successor: MessageId) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO successions (message, successor) VALUES (?1, ?2)";
    tables.run(sql, (first.0 as i64, successor.0 as i64)).map(drop)
}
