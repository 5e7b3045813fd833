//! One message with everything that is kept of it.

use engine::{MessageId, MessageRow, Shown, ShownPart, ShownPayload};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::find::{MESSAGE_ROW, MESSAGES, deliveries_of, read_message_row};
use crate::{
    codes::{parsed, parsed_or_default},
    deliveries::delivery,
    late,
    succession::{predecessors, successor},
    tables::first,
};

pub(super) fn show(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<Shown>> {
    let sql = format!("SELECT {MESSAGE_ROW} FROM {MESSAGES} WHERE m.id = ?1");
    let Some(mut row) = first(connection, &sql, [id.0 as i64], read_message_row)? else { return Ok(None) };
    row.deliveries = deliveries_of(connection, id)?;
    let parts = parts(connection, id)?;
    let payloads =
        row.deliveries.iter().map(|row| payload(connection, row.id)).collect::<rusqlite::Result<_>>()?;
    whole(connection, row, parts, payloads).map(Some)
}

fn whole(
    connection: &Connection,
    row: MessageRow,
    parts: Vec<ShownPart>,
    payloads: Vec<ShownPayload>,
) -> rusqlite::Result<Shown> {
    connection
        .prepare_cached(
            "SELECT c.facts, c.keys, m.inputs, m.halt, m.reply, c.body
             FROM messages m LEFT JOIN contents c ON c.message = m.id WHERE m.id = ?1",
        )?
        .query_row([row.id.0 as i64], |columns| {
            Ok(Shown {
                source: parsed_or_default(columns.get(0)?)?,
                superseded_by: successor(connection, row.id)?,
                supersedes: predecessors(connection, row.id)?,
                keys: parsed_or_default(columns.get(1)?)?,
                inputs: value(columns.get(2)?)?,
                halt: value(columns.get(3)?)?,
                reply: value(columns.get(4)?)?,
                body: columns.get(5)?,
                parts,
                payloads,
                row,
            })
        })
}

fn parts(connection: &Connection, id: MessageId) -> rusqlite::Result<Vec<ShownPart>> {
    let mut statement = connection
        .prepare_cached("SELECT part, control_id, halt, body FROM parts WHERE message = ?1 ORDER BY part")?;
    let found = statement.query_map([id.0 as i64], |row| {
        let part: u32 = row.get(0)?;
        Ok(ShownPart {
            place: (part > 0).then_some(part),
            control_id: row.get(1)?,
            halt: value(row.get(2)?)?,
            body: row.get(3)?,
        })
    })?;
    found.collect()
}

/// What left for one destination, whether it had bytes of its own or those of its part, and what came back.
fn payload(connection: &Connection, id: engine::DeliveryId) -> rusqlite::Result<ShownPayload> {
    let late = late::of(connection, id)?;
    let body = delivery(connection, id)?.and_then(|delivery| delivery.body);
    connection
        .prepare_cached(
            "SELECT y.texts, y.inputs, r.body, r.facts, r.delivery FROM deliveries d
             LEFT JOIN payloads y ON y.delivery = d.id LEFT JOIN responses r ON r.delivery = d.id WHERE d.id = ?1",
        )?
        .query_row([id.0 as i64], |row| {
            let texts: serde_json::Map<String, Value> = parsed_or_default(row.get(0)?)?;
            let is_answered = row.get::<_, Option<i64>>(4)?.is_some();
            Ok(ShownPayload {
                delivery: id,
                texts: Value::Object(texts),
                inputs: value(row.get(1)?)?,
                body: body.map(|body| body.bytes().to_vec()),
                response: row.get(2)?,
                late,
                response_facts: if is_answered { Some(parsed_or_default(row.get(3)?)?) } else { None },
            })
        })
}

/// The text of a channel's version, by its hash in hexadecimal digits.
pub(super) fn version(connection: &Connection, hash: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT text FROM versions WHERE lower(hex(hash)) = lower(?1)", [hash], |row| row.get(0))
        .optional()
        .map(Option::flatten)
}

fn value(column: Option<String>) -> rusqlite::Result<Option<Value>> {
    column.map(|column| parsed(&column)).transpose()
}
