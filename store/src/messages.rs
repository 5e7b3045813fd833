//! The message's axis: kept, then queued or closed; and what its sender was told.

use std::sync::Arc;

use engine::{
    AnswerState, Closed, Content, DeliveryId, DeliveryState, Hash, Interrupted, Message, MessageId,
    MessageState, Outcome, Part, Processed, Reading, Reply, ReplyBody, Standing, StoredReply, Told,
};
use rusqlite::{Connection, Row, params};

use crate::{
    codes::{self, Coded, NONE, json, parsed, parsed_or_default},
    deliveries,
    failure::Failure,
    repeats::{self, ANEW},
    tables::{Tables, first},
};

/// The columns of a [`Message`], of `messages m LEFT JOIN contents c`.
pub(crate) const MESSAGE: &str = "m.id, m.received, m.identity, m.copied, m.control_id, c.body, c.facts";

pub(crate) fn queue(
    tables: &Tables,
    processed: &Processed,
) -> Result<Vec<(DeliveryId, DeliveryState)>, Failure> {
    let id = processed.message;
    let version = tables.version(processed.version)?;
    let found = tables.first(
        "UPDATE messages SET state = ?2, outcome = ?3, version = ?4, inputs = ?5, marks = 0
         WHERE id = ?1 AND state = ?6 RETURNING channel, control_id, copied",
        params![
            id.0 as i64,
            processed.state.code(),
            processed.outcome.code(),
            version,
            processed.inputs.as_ref().map(json),
            MessageState::Kept.code(),
        ],
        |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, i64>(2)?)),
    )?;
    let (channel, control_id, copied) = found.ok_or_else(|| too_late(id))?;
    let mut done = Vec::new();
    for part in &processed.parts {
        insert_part(tables, id, part, control_id.as_deref())?;
        for delivery in &part.deliveries {
            deliveries::insert(tables, (channel, id, part.place.unwrap_or(0)), delivery)?;
            if copied & ANEW != 0
                && let Some(earlier) = deliveries::leave_out(tables, id, delivery)?
            {
                done.push((delivery.id, earlier));
            }
        }
    }
    Ok(done)
}

/// A part that is the whole message as it came needs no row.
fn insert_part(
    tables: &Tables,
    id: MessageId,
    part: &Part,
    control_id: Option<&str>,
) -> rusqlite::Result<()> {
    let is_as_it_came = part.place.is_none()
        && part.body.is_none()
        && part.halt.is_none()
        && part.control_id.as_deref() == control_id;
    if is_as_it_came {
        return Ok(());
    }
    let body = part.body.as_ref().map(|body| &body.bytes()[..]);
    let halt = part.halt.as_ref().map(json);
    tables
        .run(
            "INSERT INTO parts (message, part, control_id, halt, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id.0 as i64, part.place.unwrap_or(0), part.control_id, halt, body],
        )
        .map(drop)
}

pub(crate) fn close(tables: &Tables, id: MessageId, closed: &Closed) -> Result<(), Failure> {
    let changed = tables.run(
        "UPDATE messages SET state = ?2, outcome = ?3, why = ?4, halt = ?5, inputs = ?6, marks = 0
         WHERE id = ?1 AND state = ?7",
        params![
            id.0 as i64,
            closed.state.code(),
            closed.outcome.code(),
            closed.why,
            closed.halt.as_ref().map(json),
            closed.inputs.as_ref().map(json),
            MessageState::Kept.code(),
        ],
    )?;
    if changed == 0 { Err(too_late(id)) } else { Ok(()) }
}

/// A message that has left `kept` already: whoever holds it comes too late.
fn too_late(id: MessageId) -> Failure {
    Failure::Refused(format!("message {id} is not open any more, or was never kept"))
}

pub(crate) fn interrupted(tables: &Tables, channel: &str) -> Result<Vec<Interrupted>, Failure> {
    let channel = tables.channel(channel)?;
    tables.run("UPDATE messages SET starts = starts + 1 WHERE channel = ?1 AND state = 2", [channel])?;
    let mut statement = tables.connection.prepare_cached(&format!(
        "SELECT {MESSAGE}, m.sender, m.kind, m.flags, c.keys, m.starts, m.marks, m.answer
         FROM messages m LEFT JOIN contents c ON c.message = m.id
         WHERE m.channel = ?1 AND m.state = 2 ORDER BY m.id"
    ))?;
    let found = statement.query_map([channel], read_interrupted)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn read_interrupted(row: &Row<'_>) -> rusqlite::Result<Interrupted> {
    let message = read_message(row)?;
    let reading = Reading {
        sender: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
        control_id: message.control_id.clone(),
        kind: row.get(8)?,
        flags: parsed_or_default(row.get(9)?)?,
        keys: parsed_or_default(row.get(10)?)?,
    };
    let answer = AnswerState::of(row.get(13)?)?;
    Ok(Interrupted { message, reading, starts: row.get(11)?, marks: row.get(12)?, answer })
}

/// Reads the columns of [`MESSAGE`]; they come first.
pub(crate) fn read_message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let id = MessageId(row.get::<_, i64>(0)? as u64);
    let arrived = Hash(row.get(2)?);
    let copied: i64 = row.get(3)?;
    let is_repeat = copied & repeats::REPEAT != 0;
    Ok(Message {
        id,
        received: codes::time(row.get(1)?),
        identity: if is_repeat { Message::identity_of_repeat(arrived, id) } else { arrived },
        control_id: row.get(4)?,
        body: Content::from(row.get::<_, Option<Vec<u8>>>(5)?.unwrap_or_default()),
        facts: Arc::new(parsed_or_default(row.get(6)?)?),
    })
}

pub(crate) fn standing(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<Standing>> {
    first(
        connection,
        "SELECT state, outcome, told, reply FROM messages WHERE id = ?1",
        [id.0 as i64],
        |row| {
            let state = MessageState::of(row.get(0)?)?;
            let outcome = codes::maybe(row.get(1)?)?;
            let told = codes::maybe(row.get(2)?)?;
            let words: Option<String> = row.get(3)?;
            let reply = match (told, words) {
                (_, Some(words)) => Some(parsed(&words)?),
                (told, None) => told.map(|outcome| stored(&Reply::of(outcome))),
            };
            Ok(Standing { state, outcome, reply })
        },
    )
}

/// Writes what became of the answer. "Not now" is no answer for a second copy.
pub(crate) fn note_answer(tables: &Tables, id: MessageId, told: &Told) -> rusqlite::Result<()> {
    let Told { state, reply } = told;
    let heard = (reply.outcome != Outcome::Unavailable).then_some(reply);
    let words = heard.filter(|reply| **reply != Reply::of(reply.outcome)).map(|reply| json(&stored(reply)));
    tables
        .run(
            "UPDATE messages SET answer = ?2, told = ?3, reply = ?4 WHERE id = ?1",
            (id.0 as i64, state.code(), heard.map_or(NONE, |reply| reply.outcome.code()), words),
        )
        .map(drop)
}

fn stored(reply: &Reply) -> StoredReply {
    let Reply { outcome, why, at, code, body } = reply.clone();
    let (from, script) = match body {
        Some(ReplyBody::From(bytes)) => (Some(bytes.to_vec()), None),
        Some(ReplyBody::Script(bytes)) => (None, Some(bytes.to_vec())),
        None => (None, None),
    };
    StoredReply { outcome, why, at, code, from, script }
}
