//! One message with everything that is kept of it.

use engine::{Content, DeliveryId, MessageId, PastAttempts, Shown, ShownLate, ShownPart, ShownPayload};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::find;
use crate::{
    codes::{parsed, parsed_or_default, written},
    failure::Failure,
    large::Large,
    load,
    rows::{DeliveryRow, PartRow},
    spans::Reader,
};

pub(super) fn show(reader: &mut Reader, id: MessageId, large: &Large) -> Result<Option<Shown>, Failure> {
    let Reader { connection, unpacker } = &mut *reader;
    let Some(row) = find::row(connection, id)? else { return Ok(None) };
    let Some(kept) = load::message(connection, id.0)? else { return Ok(None) };
    let content = load::content(connection, unpacker, id.0)?;
    let parts = load::parts(connection, unpacker, id.0)?;
    let (facts, keys) =
        content.as_ref().map_or((None, None), |content| (content.facts.clone(), content.keys.clone()));
    let body = match content {
        Some(content) => Some(large.read(content.body)?),
        None => None,
    };
    let deliveries = load::deliveries_of(connection, id.0)?;
    let carried = Carried { body: body.as_ref(), parts: &parts, large };
    let payloads = deliveries.iter().map(|delivery| carried.payload(reader, delivery));
    Ok(Some(Shown {
        times: kept.times.shown(kept.received),
        source: parsed_or_default(facts)?,
        superseded_by: kept.successor.map(MessageId),
        supersedes: kept.predecessors.iter().copied().map(MessageId).collect(),
        keys: parsed_or_default(keys)?,
        inputs: value(kept.inputs.as_ref())?,
        halt: value(kept.halt.as_ref())?,
        reply: value(kept.reply.as_ref())?,
        payloads: payloads.collect::<rusqlite::Result<_>>()?,
        body,
        parts: parts.into_iter().map(|part| shown_part(large, part)).collect::<rusqlite::Result<_>>()?,
        row,
    }))
}

/// What a message's deliveries may carry.
struct Carried<'a> {
    body: Option<&'a Content>,
    parts: &'a [PartRow],
    large: &'a Large,
}

impl Carried<'_> {
    fn payload(&self, reader: &mut Reader, delivery: &DeliveryRow) -> rusqlite::Result<ShownPayload> {
        let payload = load::payload(&reader.connection, &mut reader.unpacker, delivery.id)?;
        let part = self.parts.iter().find(|part| part.part == delivery.part);
        let sent = match (payload.body, part.and_then(|part| part.body.clone())) {
            (Some(own), _) => Some(self.large.read(own)?),
            _ if delivery.is_pending || self.body.is_none() => None,
            (None, Some(of_part)) => Some(self.large.read(of_part)?),
            (None, None) => self.body.cloned(),
        };
        let texts: serde_json::Map<String, Value> = parsed_or_default(payload.texts)?;
        let late = payload.late.into_iter().map(|(at, response)| {
            let facts = parsed_or_default(response.facts)?;
            Ok(ShownLate { at: written(at), facts, body: response.body.map(|body| body.to_vec()) })
        });
        let response_facts = match &payload.response {
            Some(response) => Some(parsed_or_default(response.facts.clone())?),
            None => None,
        };
        Ok(ShownPayload {
            delivery: DeliveryId(delivery.id),
            texts: Value::Object(texts),
            inputs: value(payload.inputs.as_ref())?,
            body: sent,
            late: late.collect::<rusqlite::Result<_>>()?,
            response: payload.response.and_then(|response| response.body).map(|body| body.to_vec()),
            response_facts,
        })
    }
}

fn shown_part(large: &Large, part: PartRow) -> rusqlite::Result<ShownPart> {
    Ok(ShownPart {
        place: (part.part > 0).then_some(part.part),
        control_id: part.control_id,
        halt: value(part.halt.as_ref())?,
        body: part.body.map(|body| large.read(body)).transpose()?,
    })
}

/// The attempts at each delivery of a message.
pub(super) fn attempts(
    reader: &mut Reader,
    of: MessageId,
) -> rusqlite::Result<Vec<(DeliveryId, String, PastAttempts)>> {
    let deliveries = load::deliveries_of(&reader.connection, of.0)?;
    let made = |row: DeliveryRow| {
        let attempts = load::attempts(&reader.connection, &mut reader.unpacker, row.id)?;
        Ok((DeliveryId(row.id), row.destination.to_string(), attempts))
    };
    deliveries.into_iter().map(made).collect()
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
