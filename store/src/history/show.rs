//! One message with everything that is kept of it.

use engine::{DeliveryId, MessageId, Shown, ShownLate, ShownPart, ShownPayload};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::find::{MESSAGE_ROW, MESSAGES, deliveries_of, read_message_row};
use crate::{
    codes::{parsed, parsed_or_default, written},
    failure::Failure,
    large::Large,
    load,
    rows::{Body, PartRow},
    spans::Reader,
    tables::first,
};

pub(super) fn show(reader: &mut Reader, id: MessageId, large: &Large) -> Result<Option<Shown>, Failure> {
    let Reader { connection, unpacker } = reader;
    let sql = format!("SELECT {MESSAGE_ROW} FROM {MESSAGES} WHERE m.id = ?1");
    let Some(mut row) = first(connection, &sql, [id.0 as i64], read_message_row)? else { return Ok(None) };
    let Some(kept) = load::message(connection, id.0)? else { return Ok(None) };
    row.deliveries = deliveries_of(connection, id)?;
    let content = load::content(connection, unpacker, id.0)?;
    let parts = load::parts(connection, unpacker, id.0)?;
    let (facts, keys) =
        content.as_ref().map_or((None, None), |content| (content.facts.clone(), content.keys.clone()));
    let body = match content {
        Some(content) => Some(bytes(large, content.body)?),
        None => None,
    };
    let mut payloads = Vec::with_capacity(row.deliveries.len());
    for delivery in load::deliveries_of(connection, id.0)? {
        let payload = load::payload(connection, unpacker, delivery.id)?;
        let of_part = parts.iter().find(|part| part.part == delivery.part).and_then(|part| part.body.clone());
        let sent = match (payload.body, of_part) {
            (Some(own), _) => Some(bytes(large, own)?),
            _ if delivery.is_pending || body.is_none() => None,
            (None, Some(of_part)) => Some(bytes(large, of_part)?),
            (None, None) => body.clone(),
        };
        let texts: serde_json::Map<String, Value> = parsed_or_default(payload.texts)?;
        let late = payload.late.into_iter().map(|(at, response)| {
            let facts = parsed_or_default(response.facts)?;
            Ok(ShownLate { at: written(at), facts, body: response.body.map(|body| body.to_vec()) })
        });
        let late = late.collect::<rusqlite::Result<Vec<ShownLate>>>()?;
        let response_facts = match &payload.response {
            Some(response) => Some(parsed_or_default(response.facts.clone())?),
            None => None,
        };
        payloads.push(ShownPayload {
            delivery: DeliveryId(delivery.id),
            texts: Value::Object(texts),
            inputs: value(payload.inputs.as_ref())?,
            body: sent,
            response: payload.response.and_then(|response| response.body).map(|body| body.to_vec()),
            response_facts,
            late,
        });
    }
    Ok(Some(Shown {
        source: parsed_or_default(facts)?,
        superseded_by: kept.successor.map(MessageId),
        supersedes: kept.predecessors.iter().copied().map(MessageId).collect(),
        keys: parsed_or_default(keys)?,
        inputs: value(kept.inputs.as_ref())?,
        halt: value(kept.halt.as_ref())?,
        reply: value(kept.reply.as_ref())?,
        body,
        parts: parts.into_iter().map(|part| shown_part(large, part)).collect::<rusqlite::Result<_>>()?,
        payloads,
        row,
    }))
}

fn shown_part(large: &Large, part: PartRow) -> rusqlite::Result<ShownPart> {
    Ok(ShownPart {
        place: (part.part > 0).then_some(part.part),
        control_id: part.control_id,
        halt: value(part.halt.as_ref())?,
        body: part.body.map(|body| bytes(large, body)).transpose()?,
    })
}

fn bytes(large: &Large, body: Body) -> rusqlite::Result<Vec<u8>> {
    Ok(large.read(body)?.bytes().to_vec())
}

/// The text of a channel's version, by its hash in hexadecimal digits.
pub(super) fn version(connection: &Connection, hash: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT text FROM versions WHERE lower(hex(hash)) = lower(?1)", [hash], |row| row.get(0))
        .optional()
}

fn value(column: Option<&String>) -> rusqlite::Result<Option<Value>> {
    column.map(|column| parsed(column)).transpose()
}
