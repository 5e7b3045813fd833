//! What people do: to one delivery, to a switch. Each is in the audit log with the same write.

use std::time::SystemTime;

use engine::{Act, Content, DeliveryId, DeliveryState, Hash, Intervention, Message, Waiting};
use rusqlite::{Connection, params};
use serde::Serialize;

use crate::{
    codes::{self, Coded, nanoseconds},
    deliveries::{delivery, put_back, state, waiting_one},
    failure::Failure,
    tables::Tables,
};

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audited {
    /// RFC 3339, UTC.
    pub at: String,
    pub by: String,
    /// `resend`, `drop`, `park`, or the value a switch was given.
    pub what: String,
    /// The delivery's number, the switch's name, or `message` and its number.
    pub subject: String,
}

/// `fresh` is the id of the new delivery, where the act makes one.
pub(crate) fn intervene(
    tables: &Tables,
    intervention: &Intervention,
    fresh: DeliveryId,
) -> Result<Option<Waiting>, Failure> {
    let Intervention { delivery: id, what, by } = intervention;
    let now = state(tables, *id)?;
    let (word, back) = match what {
        Act::Resend { to, body } => ("resend", Some(resend(tables, (*id, now), (to, body), fresh)?)),
        Act::Drop => {
            take_out(tables, (*id, now), DeliveryState::Dropped, by)?;
            ("drop", None)
        }
        Act::Park => {
            take_out(tables, (*id, now), DeliveryState::SetAside, by)?;
            tables.run("UPDATE deliveries SET parked = 1 WHERE id = ?1", [id.0 as i64])?;
            ("park", None)
        }
    };
    note(tables, by, word, &id.0.to_string())?;
    let back = back.map(|back| waiting_one(tables, back)).transpose()?;
    Ok(back.map(|(_, waiting)| waiting))
}

fn resend(
    tables: &Tables,
    (id, now): (DeliveryId, DeliveryState),
    (to, body): (&Option<String>, &Option<Content>),
    fresh: DeliveryId,
) -> Result<DeliveryId, Failure> {
    let old = delivery(&tables.connection, id)?
        .ok_or_else(|| Failure::Refused(format!("there is no delivery {}", id.0)))?;
    if body.is_none() && old.body.is_none() && !is_pending(tables, id)? {
        return Err(Failure::Refused(format!("the content of delivery {} is no longer kept", id.0)));
    }
    if now != DeliveryState::Sent && to.is_none() && body.is_none() {
        // One that is under way keeps its doubt.
        let then = if now == DeliveryState::Begun { now } else { DeliveryState::Waiting };
        put_back(tables, id, then)?;
        return Ok(id);
    }
    let destination = to.as_ref().unwrap_or(&old.destination);
    copy(tables, (id, fresh), (&old.message, old.piece.place), destination)?;
    if let Some(body) = body {
        edit(tables, fresh, body)?;
    }
    if !matches!(now, DeliveryState::Sent | DeliveryState::Begun) {
        end(tables, id, DeliveryState::Dropped, &format!("sent again as delivery {}", fresh.0))?;
    }
    Ok(fresh)
}

/// Gives a new delivery the payload a person wrote.
fn edit(tables: &Tables, id: DeliveryId, body: &Content) -> rusqlite::Result<()> {
    tables.run(
        "INSERT INTO payloads (delivery, body) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = ?2",
        params![id.0 as i64, &body.bytes()[..]],
    )?;
    tables.run("UPDATE deliveries SET pending = 0 WHERE id = ?1", [id.0 as i64]).map(drop)
}

/// A delivery of its own: with an effect that nobody has had yet, and the payload of the old one.
fn copy(
    tables: &Tables,
    (id, fresh): (DeliveryId, DeliveryId),
    (message, place): (&Message, Option<u32>),
    destination: &str,
) -> rusqlite::Result<()> {
    let (channel, name): (i64, String) = tables.connection.query_row(
        "SELECT c.id, c.name FROM messages m JOIN channels c ON c.id = m.channel WHERE m.id = ?1",
        [message.id.0 as i64],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let outlet = tables.outlet(channel, destination)?;
    let repeat: u32 = tables.connection.query_row(
        "SELECT count(*) FROM deliveries WHERE message = ?1 AND part = ?2 AND outlet = ?3",
        (message.id.0 as i64, place.unwrap_or(0), outlet),
        |row| row.get(0),
    )?;
    let output = place.map_or(0, |place| place.saturating_sub(1));
    let effect = message.effect(&name, repeat, destination, output);
    tables.run(
        "INSERT INTO deliveries (id, message, part, outlet, lane, state, effect, after, pending, keys)
         SELECT ?2, message, part, ?3, ?3, ?4, ?5, after, pending, keys FROM deliveries WHERE id = ?1",
        params![id.0 as i64, fresh.0 as i64, outlet, DeliveryState::Waiting.code(), effect.0],
    )?;
    tables
        .run(
            "INSERT INTO payloads (delivery, body, texts, inputs)
             SELECT ?2, body, texts, inputs FROM payloads WHERE delivery = ?1",
            (id.0 as i64, fresh.0 as i64),
        )
        .map(drop)
}

fn is_pending(tables: &Tables, id: DeliveryId) -> rusqlite::Result<bool> {
    let pending =
        tables.first("SELECT pending FROM deliveries WHERE id = ?1", [id.0 as i64], |row| row.get(0))?;
    Ok(pending.unwrap_or(false))
}

fn take_out(
    tables: &Tables,
    (id, now): (DeliveryId, DeliveryState),
    then: DeliveryState,
    by: &str,
) -> Result<(), Failure> {
    if now == DeliveryState::Sent {
        return Err(Failure::Refused(format!("delivery {} was sent", id.0)));
    }
    if now != then {
        end(tables, id, then, &format!("by {by}"))?;
    }
    Ok(())
}

fn end(tables: &Tables, id: DeliveryId, state: DeliveryState, why: &str) -> rusqlite::Result<()> {
    tables
        .run(
            "UPDATE deliveries SET state = ?2, lane = NULL, ending = ?3 WHERE id = ?1",
            (id.0 as i64, state.code(), why),
        )
        .map(drop)
}

pub(crate) fn remember(tables: &Tables, channel: &str, version: Hash, text: &str) -> rusqlite::Result<()> {
    let channel = tables.channel(channel)?;
    let version = tables.version(version)?;
    tables
        .run(
            "UPDATE versions SET channel = ?2, text = ?3 WHERE id = ?1 AND text IS NULL",
            (version, channel, text),
        )
        .map(drop)
}

pub(crate) fn switch(tables: &Tables, name: &str, value: Option<&str>, by: &str) -> rusqlite::Result<()> {
    match value {
        Some(value) => {
            tables.run("INSERT OR REPLACE INTO switches (name, value) VALUES (?1, ?2)", [name, value])?
        }
        None => tables.run("DELETE FROM switches WHERE name = ?1", [name])?,
    };
    note(tables, by, value.unwrap_or("taken away"), name)
}

pub(crate) fn switches(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM switches ORDER BY name")?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.collect()
}

pub(crate) fn audit(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<Audited>> {
    let mut statement =
        connection.prepare_cached("SELECT at, by, what, subject FROM audit ORDER BY id DESC LIMIT ?1")?;
    let found = statement.query_map([limit as i64], |row| {
        Ok(Audited {
            at: codes::written(row.get(0)?),
            by: row.get(1)?,
            what: row.get(2)?,
            subject: row.get(3)?,
        })
    })?;
    found.collect()
}

pub(crate) fn note(tables: &Tables, by: &str, what: &str, subject: &str) -> rusqlite::Result<()> {
    tables
        .run(
            "INSERT INTO audit (at, by, what, subject) VALUES (?1, ?2, ?3, ?4)",
            (nanoseconds(SystemTime::now()), by, what, subject),
        )
        .map(drop)
}
