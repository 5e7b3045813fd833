//! What people do: to one delivery, to a switch. Each is in the audit log with the same write.

use std::{sync::Arc, time::SystemTime};

use engine::{Act, DeliveryId, DeliveryState, Hash, Intervention, Message, MessageId, Tally, Waiting, Why};
use rusqlite::Connection;
use serde::Serialize;

use crate::{
    codes::{self, nanoseconds},
    deliveries::{put_back, row, waiting},
    failure::Failure,
    ledger::Ledger,
    rows::{Body, DeliveryRow, Entry, PayloadRow},
};

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audited {
    /// RFC 3339, UTC.
    pub at: String,
    pub by: String,
    /// `resend`, `drop`, `park`, or the value a switch was given.
    pub what: String,
    /// The delivery's number or the switch's name.
    pub subject: String,
}

/// `fresh` is the id of the new delivery, where the act makes one; `body` the edited one.
/// `has_content`: the bytes of the message are still kept.
pub(crate) fn intervene(
    ledger: &mut Ledger,
    intervention: &Intervention,
    fresh: DeliveryId,
    (body, has_content): (Option<&Body>, bool),
) -> Result<Option<Waiting>, Failure> {
    let Intervention { delivery: id, what, by } = intervention;
    let row = row(ledger, *id)?;
    let (word, back) = match what {
        Act::Resend { to, .. } => {
            ("resend", Some(resend(ledger, &row, (to.as_deref(), body, has_content), fresh)?))
        }
        Act::Drop => {
            take_out(ledger, &row, (DeliveryState::Dropped, row.is_parked), by)?;
            ("drop", None)
        }
        Act::Park => {
            take_out(ledger, &row, (DeliveryState::SetAside, true), by)?;
            ("park", None)
        }
    };
    audit(ledger, by, word, id.0.to_string())?;
    back.map(|id| waiting(ledger, id)).transpose()
}

fn resend(
    ledger: &mut Ledger,
    row: &Arc<DeliveryRow>,
    (to, body, has_content): (Option<&str>, Option<&Body>, bool),
    fresh: DeliveryId,
) -> Result<u64, Failure> {
    if body.is_none() && !row.is_pending && !has_content {
        return Err(Failure::Refused(format!("the content of delivery {} is no longer kept", row.id)));
    }
    if row.state != DeliveryState::Sent && to.is_none() && body.is_none() {
        // One that is under way keeps its doubt.
        let then = if row.state == DeliveryState::Begun { row.state } else { DeliveryState::Waiting };
        put_back(ledger, row, then)?;
        return Ok(row.id);
    }
    copy(ledger, row, to.unwrap_or(&row.destination), (body, fresh))?;
    if !matches!(row.state, DeliveryState::Sent | DeliveryState::Begun) {
        let why = Why::ours(format!("sent again as delivery {}", fresh.0));
        end(ledger, row, (DeliveryState::Dropped, row.is_parked), why)?;
    }
    Ok(fresh.0)
}

/// A delivery of its own: with an effect that nobody has had yet, and the payload of the old one, or an edited one.
fn copy(
    ledger: &mut Ledger,
    old: &DeliveryRow,
    destination: &str,
    (body, fresh): (Option<&Body>, DeliveryId),
) -> Result<(), Failure> {
    let siblings = ledger.deliveries_of(old.message)?;
    let repeat = siblings.iter().filter(|row| row.part == old.part && *row.destination == *destination);
    let repeat = repeat.count() as u32;
    let message = ledger.message(old.message)?;
    let message = message.ok_or_else(|| Failure::Refused("its message is no longer kept".to_owned()))?;
    let named = Message {
        id: MessageId(message.id),
        body: engine::Content::default(),
        facts: Arc::default(),
        control_id: None,
        identity: message.own_identity(),
        received: codes::time(message.received),
    };
    let effect = named.effect(&message.channel, repeat, destination, old.part.saturating_sub(1));
    let payload = ledger.payload(old)?;
    ledger.put_delivery(DeliveryRow {
        id: fresh.0,
        destination: Arc::from(destination),
        state: DeliveryState::Waiting,
        is_queued: true,
        effect: effect.0,
        is_pending: old.is_pending && body.is_none(),
        is_parked: false,
        tally: Tally::default(),
        ending: None,
        note: None,
        ended: None,
        ..old.clone()
    })?;
    let payload = PayloadRow {
        body: body.cloned().or_else(|| payload.body.clone()),
        texts: payload.texts.clone(),
        inputs: payload.inputs.clone(),
        ..PayloadRow::default()
    };
    if payload.is_empty() { Ok(()) } else { ledger.put_payload(fresh.0, payload) }
}

fn take_out(
    ledger: &mut Ledger,
    row: &Arc<DeliveryRow>,
    (then, is_parked): (DeliveryState, bool),
    by: &str,
) -> Result<(), Failure> {
    if row.state == DeliveryState::Sent {
        return Err(Failure::Refused(format!("delivery {} was sent", row.id)));
    }
    if row.state == then {
        return ledger.put_delivery(DeliveryRow { is_parked, ..DeliveryRow::clone(row) });
    }
    end(ledger, row, (then, is_parked), Why::ours(format!("by {by}")))
}

fn end(
    ledger: &mut Ledger,
    row: &Arc<DeliveryRow>,
    (state, is_parked): (DeliveryState, bool),
    why: Why,
) -> Result<(), Failure> {
    let ending = Some(why);
    ledger.put_delivery(DeliveryRow { state, is_queued: false, is_parked, ending, ..DeliveryRow::clone(row) })
}

pub(crate) fn remember(ledger: &mut Ledger, channel: &str, version: Hash, text: &str) -> Result<(), Failure> {
    ledger.note(Entry::Version { hash: version.0, channel: channel.to_owned(), text: text.to_owned() })
}

pub(crate) fn switch(ledger: &mut Ledger, name: &str, value: Option<&str>, by: &str) -> Result<(), Failure> {
    ledger.note(Entry::Switch { name: name.to_owned(), value: value.map(str::to_owned) })?;
    audit(ledger, by, value.unwrap_or("taken away"), name.to_owned())
}

pub(crate) fn audit(ledger: &mut Ledger, by: &str, what: &str, subject: String) -> Result<(), Failure> {
    let at = nanoseconds(SystemTime::now());
    ledger.note(Entry::Audit { at, by: by.to_owned(), what: what.to_owned(), subject })
}

pub(crate) fn switches(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM switches ORDER BY name")?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.collect()
}

pub(crate) fn audits(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<Audited>> {
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
