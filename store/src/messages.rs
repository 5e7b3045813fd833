//! The message's axis: kept, then queued or closed; and what its sender was told.

use std::sync::Arc;

use engine::{
    Closed, DeliveryId, DeliveryState, Done, Kept, MessageId, MessageState, NewDelivery, Outcome, Part,
    Processed, Reply, ReplyBody, Standing, StoreError, StoredReply, Taken, Told,
};

use crate::{
    codes::{json, json_unless, parsed},
    expected,
    failure::Failure,
    groups, intake,
    large::Large,
    ledger::Ledger,
    people::audit,
    repeats::ANEW,
    rows::{DeliveryRow, MessageRow, PartRow, PayloadRow},
};

/// What the steps made of a message, as rows, worked out before it is the writer's turn.
pub(crate) struct Prepared {
    processed: Processed,
    inputs: Option<String>,
    parts: Vec<PreparedPart>,
}

struct PreparedPart {
    row: PartRow,
    deliveries: Vec<(DeliveryRow, PayloadRow)>,
}

impl Prepared {
    pub(crate) async fn new(processed: Processed, large: &Arc<Large>) -> Result<Self, StoreError> {
        let mut parts = Vec::with_capacity(processed.parts.len());
        for part in &processed.parts {
            let mut deliveries = Vec::with_capacity(part.deliveries.len());
            for new in &part.deliveries {
                deliveries.push(delivery(&processed, part, new, large).await?);
            }
            let body = match &part.body {
                Some(body) => Some(large.keep(processed.message.0, body).await?),
                None => None,
            };
            let row = PartRow {
                part: part.place.unwrap_or(0),
                control_id: part.control_id.clone(),
                halt: part.halt.as_ref().map(json),
                body,
            };
            parts.push(PreparedPart { row, deliveries });
        }
        Ok(Self { inputs: processed.inputs.as_ref().map(json), parts, processed })
    }
}

async fn delivery(
    of: &Processed,
    part: &Part,
    new: &NewDelivery,
    large: &Arc<Large>,
) -> Result<(DeliveryRow, PayloadRow), StoreError> {
    let row = DeliveryRow {
        id: new.id.0,
        message: of.message.0,
        part: part.place.unwrap_or(0),
        channel: Arc::clone(&of.channel),
        destination: Arc::from(&*new.destination),
        state: DeliveryState::Waiting,
        is_queued: true,
        effect: new.effect.0,
        after: new.after.clone(),
        is_pending: new.after.is_some() && new.body.is_none(),
        is_parked: false,
        tally: engine::Tally::default(),
        ending: None,
        keys: json_unless(new.keys.is_empty(), &new.keys),
        note: None,
        ended: None,
    };
    let body = match &new.body {
        Some(body) => Some(large.keep(of.message.0, body).await?),
        None => None,
    };
    let texts = json_unless(new.texts.is_empty(), &new.texts);
    Ok((row, PayloadRow { body, texts, ..PayloadRow::default() }))
}

/// What the steps of a message came to, worked out before it is the writer's turn.
pub(crate) enum PreparedDone {
    Queue(Prepared),
    Close(Closed),
}

impl PreparedDone {
    pub(crate) async fn new(done: Done, large: &Arc<Large>) -> Result<Self, StoreError> {
        Ok(match done {
            Done::Queue(processed) => Self::Queue(Prepared::new(processed, large).await?),
            Done::Close(closed) => Self::Close(closed),
        })
    }
}

/// Keeps a message, and queues or closes it. A repeat with effects of its own is only kept.
pub(crate) fn take(
    ledger: &mut Ledger,
    arrival: &intake::Prepared,
    done: &PreparedDone,
) -> Result<Taken, Failure> {
    let kept = intake::keep(ledger, std::slice::from_ref(arrival))?.remove(0);
    let id = arrival.arrival.message.id;
    let Kept::New(flags) = &kept else { return Ok(Taken { kept, done: None }) };
    if flags.iter().any(|flag| flag == "repeat") {
        return Ok(Taken { kept, done: None });
    }
    let done = match done {
        PreparedDone::Queue(prepared) => queue(ledger, prepared)?,
        PreparedDone::Close(closed) => close(ledger, id, closed).map(|()| Vec::new())?,
    };
    Ok(Taken { kept, done: Some(done) })
}

pub(crate) fn queue(
    ledger: &mut Ledger,
    prepared: &Prepared,
) -> Result<Vec<(DeliveryId, DeliveryState)>, Failure> {
    let Prepared { processed, inputs, parts } = prepared;
    let row = open(ledger, processed.message)?;
    let mut new = parts.iter().flat_map(|part| &part.deliveries);
    if let Some((taken, _)) = new.find(|(new, _)| ledger.knows_delivery(new.id)) {
        return Err(Failure::Refused(format!("delivery {} is kept already", taken.id)));
    }
    ledger.put(MessageRow {
        state: processed.state,
        outcome: Some(processed.outcome),
        version: processed.version.0,
        inputs: inputs.clone(),
        // Of one that was held.
        why: None,
        halt: None,
        marks: 0,
        times: row.times.with_run(row.received, processed.ran),
        ..MessageRow::clone(&row)
    })?;
    let made: Vec<PartRow> =
        parts.iter().filter(|part| !is_as_it_came(&part.row, &row)).map(|part| part.row.clone()).collect();
    if !made.is_empty() {
        ledger.put_parts(row.id, made)?;
    }
    expected::note(ledger, &row, &processed.expected)?;
    groups::join(ledger, &row, processed.joins.as_ref())?;
    let mut done = Vec::new();
    for (new, payload) in parts.iter().flat_map(|part| &part.deliveries) {
        let earlier = if row.copied & ANEW == 0 { None } else { earlier(ledger, &row, new)? };
        let mut new = new.clone();
        if let Some(earlier) = earlier {
            done.push((DeliveryId(new.id), earlier.state));
            new.is_queued = false;
            new.state =
                if earlier.state == DeliveryState::Sent { earlier.state } else { DeliveryState::Dropped };
            new.ending = Some(engine::left_to(DeliveryId(earlier.id), MessageId(earlier.message)));
        }
        let id = new.id;
        ledger.put_delivery(new)?;
        if !payload.is_empty() {
            ledger.put_payload(id, payload.clone())?;
        }
    }
    Ok(done)
}

/// A part that is the whole message as it came needs no row.
fn is_as_it_came(part: &PartRow, of: &MessageRow) -> bool {
    part.part == 0 && part.body.is_none() && part.halt.is_none() && part.control_id == of.control_id
}

/// The delivery of an earlier copy that has, or will have, this very effect.
fn earlier(
    ledger: &mut Ledger,
    of: &MessageRow,
    new: &DeliveryRow,
) -> Result<Option<Arc<DeliveryRow>>, Failure> {
    let Some(copy) = of.copy else { return Ok(None) };
    let mut found: Vec<Arc<DeliveryRow>> = Vec::new();
    for row in ledger.copies(copy, i64::MIN)?.iter().filter(|row| row.channel == of.channel) {
        found.extend(ledger.deliveries_of(row.id)?);
    }
    let goes = |row: &Arc<DeliveryRow>| {
        row.effect == new.effect
            && row.id != new.id
            && !matches!(row.state, DeliveryState::GivenUp | DeliveryState::Dropped)
    };
    Ok(found.into_iter().filter(goes).max_by_key(|row| (row.state == DeliveryState::Sent, row.id)))
}

pub(crate) fn close(ledger: &mut Ledger, id: MessageId, closed: &Closed) -> Result<(), Failure> {
    let row = open(ledger, id)?;
    ledger.put(MessageRow {
        state: closed.state,
        outcome: Some(closed.outcome),
        why: Some(closed.why.clone()),
        halt: closed.halt.as_ref().map(json),
        inputs: closed.inputs.as_ref().map(json),
        marks: 0,
        times: row.times.with_run(row.received, closed.ran),
        ..MessageRow::clone(&row)
    })
}

/// A message that has left `kept` already, and is not held: whoever has it comes too late.
fn open(ledger: &mut Ledger, id: MessageId) -> Result<Arc<MessageRow>, Failure> {
    let row = ledger.message(id.0)?.filter(|row| is_open(row));
    row.ok_or_else(|| Failure::Refused(format!("message {id} is not open any more, or was never kept")))
}

fn is_open(row: &MessageRow) -> bool {
    matches!(row.state, MessageState::Kept | MessageState::Held)
}

/// Closes a message that is held, since a person does not want it.
pub(crate) fn abandon(ledger: &mut Ledger, id: MessageId, by: &str) -> Result<bool, Failure> {
    let held = ledger.message(id.0)?.filter(|row| row.state == MessageState::Held);
    let Some(row) = held else { return Ok(false) };
    ledger.put(MessageRow {
        state: MessageState::Filtered,
        outcome: Some(Outcome::Filtered),
        why: Some(engine::abandoned(by)),
        ..MessageRow::clone(&row)
    })?;
    audit(ledger, by, "drop", format!("message {id}"))?;
    Ok(true)
}

/// Counts that a message was found open at one more start, or in its steps when the process ended.
pub(crate) fn count(
    ledger: &mut Ledger,
    id: u64,
    starts: u32,
    marks: u32,
) -> Result<Option<Arc<MessageRow>>, Failure> {
    let Some(row) = ledger.message(id)?.filter(|row| is_open(row)) else {
        return Ok(None);
    };
    let row = MessageRow { starts: row.starts + starts, marks: row.marks + marks, ..MessageRow::clone(&row) };
    ledger.put(row)?;
    ledger.message(id)
}

pub(crate) fn standing(ledger: &mut Ledger, id: MessageId) -> Result<Option<Standing>, Failure> {
    let Some(row) = ledger.message(id.0)? else { return Ok(None) };
    let reply = match (&row.told, &row.reply) {
        (_, Some(words)) => Some(parsed(words)?),
        (told, None) => told.map(|outcome| stored(&Reply::of(outcome))),
    };
    Ok(Some(Standing { state: row.state, outcome: row.outcome, reply }))
}

/// Writes what became of the answer. "Not now" is no answer for a second copy.
pub(crate) fn note_answer(
    ledger: &mut Ledger,
    id: MessageId,
    (told, at): (&Told, i64),
) -> Result<(), Failure> {
    let Some(row) = ledger.message(id.0)? else { return Ok(()) };
    let Told { state, reply } = told;
    let heard = (reply.outcome != Outcome::Unavailable).then_some(reply);
    let words = heard.filter(|reply| **reply != Reply::of(reply.outcome)).map(|reply| json(&stored(reply)));
    let told = heard.map(|reply| reply.outcome);
    let times = row.times.with_answer(row.received, at);
    ledger.put(MessageRow { answer: *state, told, reply: words, times, ..MessageRow::clone(&row) })
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
