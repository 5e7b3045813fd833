//! The delivery's axis: waiting, begun, and how it ended.

use std::{sync::Arc, time::SystemTime};

use engine::{
    AttemptEnd, DeliveryId, DeliveryState, Filling, LATE_ANSWERS, LateAnswer, MessageId, Note, PastAttempts,
    Response, Settlement, Sibling, StoreError, Tally, Waiting,
};

use crate::{
    codes::{json, json_unless, nanoseconds, parsed_or_default},
    failure::Failure,
    large::Large,
    ledger::Ledger,
    rows::{DeliveryRow, PayloadRow, ResponseRow},
};

/// The row of a delivery that must be there.
pub(crate) fn row(ledger: &mut Ledger, id: DeliveryId) -> Result<Arc<DeliveryRow>, Failure> {
    ledger.delivery(id.0)?.ok_or_else(|| Failure::Refused(format!("there is no delivery {}", id.0)))
}

/// Refuses what left its lane in the meantime: a person may have dropped it.
pub(crate) fn begin(
    ledger: &mut Ledger,
    id: DeliveryId,
    note: Option<&Note>,
    doubts: u32,
) -> Result<(), Failure> {
    let row = row(ledger, id)?;
    if !row.is_queued {
        return Err(Failure::Refused(format!("delivery {} does not wait any more", id.0)));
    }
    let tally = Tally { doubts, ..row.tally.clone() };
    let note = note.map(json);
    ledger.put_delivery(DeliveryRow { state: DeliveryState::Begun, tally, note, ..DeliveryRow::clone(&row) })
}

/// Writing the same end twice is one end; what was sent stays sent.
pub(crate) fn settle(
    ledger: &mut Ledger,
    id: DeliveryId,
    settlement: &Settlement,
) -> Result<Vec<(String, Waiting)>, Failure> {
    let Settlement { end, tally, followers, attempt } = settlement;
    let row = row(ledger, id)?;
    if row.state == DeliveryState::Sent {
        let is_sent_again = matches!(end, AttemptEnd::Sent(_)) && !followers.is_empty();
        return if is_sent_again { unfilled(ledger, &row, followers) } else { Ok(Vec::new()) };
    }
    let (state, ending) = match end {
        AttemptEnd::Sent(_) => (DeliveryState::Sent, None),
        AttemptEnd::Waits { .. } => (DeliveryState::Waiting, None),
        AttemptEnd::GivenUp { why, .. } => (DeliveryState::GivenUp, Some(why)),
        AttemptEnd::SetAside { why } => (DeliveryState::SetAside, Some(why)),
        AttemptEnd::Dropped { why } => (DeliveryState::Dropped, Some(why)),
    };
    ledger.put_delivery(DeliveryRow {
        state,
        is_queued: state == DeliveryState::Waiting,
        tally: tally.clone(),
        ending: ending.filter(|why| tally.why.as_ref() != Some(why)).cloned(),
        ended: (state != DeliveryState::Waiting).then(|| nanoseconds(SystemTime::now())),
        ..DeliveryRow::clone(&row)
    })?;
    if let Some(attempt) = attempt {
        let mut attempts = PastAttempts::clone(&*ledger.attempts(&row)?);
        attempts.add(attempt.clone());
        ledger.put_attempts(row.id, attempts)?;
    }
    match end {
        AttemptEnd::Sent(response) => {
            keep_response(ledger, &row, Some(response))?;
            if followers.is_empty() { Ok(Vec::new()) } else { take_up(ledger, &row, followers) }
        }
        AttemptEnd::GivenUp { response, .. } => {
            keep_response(ledger, &row, response.as_ref())?;
            Ok(Vec::new())
        }
        _ => Ok(Vec::new()),
    }
}

fn keep_response(ledger: &mut Ledger, of: &DeliveryRow, response: Option<&Response>) -> Result<(), Failure> {
    let payload = ledger.payload(of)?;
    let response = response.map(response_row);
    if response.is_none() && payload.response.is_none() {
        return Ok(());
    }
    ledger.put_payload(of.id, PayloadRow { response, ..PayloadRow::clone(&payload) })
}

fn response_row(response: &Response) -> ResponseRow {
    let Response { body, facts } = response;
    ResponseRow { body: body.clone(), facts: json_unless(facts.is_empty(), facts) }
}

/// Adds a late answer, up to as many as are kept.
pub(crate) fn answered_late(ledger: &mut Ledger, answer: &LateAnswer) -> Result<(), Failure> {
    let row = row(ledger, answer.delivery)?;
    let payload = ledger.payload(&row)?;
    if payload.late.len() >= LATE_ANSWERS {
        return Ok(());
    }
    let mut payload = PayloadRow::clone(&payload);
    payload.late.push((nanoseconds(SystemTime::now()), response_row(&answer.response)));
    // The journal's rows are put back in pairs.
    ledger.put_delivery(DeliveryRow::clone(&row))?;
    ledger.put_payload(row.id, payload)
}

/// The payload of a delivery that waited for another one, its bytes where they belong.
pub(crate) struct Filled {
    payload: PayloadRow,
}

impl Filled {
    pub(crate) async fn new(message: u64, filling: &Filling, large: &Arc<Large>) -> Result<Self, StoreError> {
        let body = match &filling.body {
            Some(body) => Some(large.keep(message, body).await?),
            None => None,
        };
        let texts = json_unless(filling.texts.is_empty(), &filling.texts);
        let inputs = filling.inputs.as_ref().map(json);
        Ok(Self { payload: PayloadRow { body, texts, inputs, ..PayloadRow::default() } })
    }
}

pub(crate) fn fill(ledger: &mut Ledger, id: DeliveryId, filled: &Filled) -> Result<(), Failure> {
    let row = row(ledger, id)?;
    let before = ledger.payload(&row)?;
    let is_pending = filled.payload.body.is_none();
    ledger.put_delivery(DeliveryRow { is_pending, ..DeliveryRow::clone(&row) })?;
    let (response, late) = (before.response.clone(), before.late.clone());
    ledger.put_payload(id.0, PayloadRow { response, late, ..filled.payload.clone() })
}

/// Back into its queue at its place, with a fresh tally.
pub(crate) fn put_back(ledger: &mut Ledger, row: &DeliveryRow, state: DeliveryState) -> Result<(), Failure> {
    ledger.put_delivery(DeliveryRow {
        state,
        is_queued: true,
        is_parked: false,
        tally: Tally::default(),
        ending: None,
        ended: None,
        ..row.clone()
    })
}

/// A delivery as its outlet orders it.
pub(crate) fn waiting(ledger: &mut Ledger, id: u64) -> Result<Waiting, Failure> {
    let row = row(ledger, DeliveryId(id))?;
    let received = ledger.message(row.message)?.map_or(0, |message| message.received);
    Ok(row.waiting(received)?)
}

/// Puts back what was set aside because this one had been given up; what a person parked stays with that person.
fn take_up(
    ledger: &mut Ledger,
    leader: &DeliveryRow,
    followers: &[String],
) -> Result<Vec<(String, Waiting)>, Failure> {
    let aside = pending(ledger, leader, DeliveryState::SetAside, followers)?;
    for row in &aside {
        put_back(ledger, row, DeliveryState::Waiting)?;
    }
    aside.iter().map(|row| Ok((row.destination.to_string(), waiting(ledger, row.id)?))).collect()
}

/// Those in their queues.
fn unfilled(
    ledger: &mut Ledger,
    leader: &DeliveryRow,
    followers: &[String],
) -> Result<Vec<(String, Waiting)>, Failure> {
    let found = pending(ledger, leader, DeliveryState::Waiting, followers)?;
    found.iter().map(|row| Ok((row.destination.to_string(), waiting(ledger, row.id)?))).collect()
}

/// Those that have no payload until the leader is sent. One with a payload has been on its own since.
fn pending(
    ledger: &mut Ledger,
    leader: &DeliveryRow,
    state: DeliveryState,
    followers: &[String],
) -> Result<Vec<Arc<DeliveryRow>>, Failure> {
    let mut found = ledger.deliveries_of(leader.message)?;
    found.retain(|row| {
        row.part == leader.part
            && row.after.as_deref() == Some(&*leader.destination)
            && row.is_pending
            && row.state == state
            && !(state == DeliveryState::SetAside && row.is_parked)
            && followers.iter().any(|name| **name == *row.destination)
    });
    Ok(found)
}

pub(crate) fn sibling(
    ledger: &mut Ledger,
    of: DeliveryId,
    destination: &str,
) -> Result<Option<Sibling>, Failure> {
    let Some(of) = ledger.delivery(of.0)? else { return Ok(None) };
    latest(ledger, (of.message, of.part), destination)
}

/// What became of the first piece of a message at a destination.
pub(crate) fn came_back(
    ledger: &mut Ledger,
    of: MessageId,
    destination: &str,
) -> Result<Option<Sibling>, Failure> {
    let Some(first) = ledger.deliveries_of(of.0)?.iter().map(|row| row.part).min() else { return Ok(None) };
    latest(ledger, (of.0, first), destination)
}

fn latest(
    ledger: &mut Ledger,
    (message, part): (u64, u32),
    destination: &str,
) -> Result<Option<Sibling>, Failure> {
    let found = ledger.deliveries_of(message)?;
    let same = |row: &&Arc<DeliveryRow>| row.part == part && *row.destination == *destination;
    let Some(latest) = found.iter().rfind(same) else { return Ok(None) };
    let payload = ledger.payload(latest)?;
    let response = match &payload.response {
        Some(ResponseRow { body, facts }) => {
            Some(Response { body: body.clone(), facts: parsed_or_default(facts.clone())? })
        }
        None => None,
    };
    Ok(Some(Sibling { state: latest.state, response }))
}
