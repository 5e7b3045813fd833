//! Intake: arrivals become messages, all of them in one write.

use std::sync::Arc;

use engine::{
    AnswerState, Arrival, Clash, Closed, Content, Kept, MessageId, MessageState, Outcome, Owed, StoreError,
    Why,
};

use crate::{
    codes::{bits, json, json_unless, nanoseconds},
    failure::Failure,
    groups,
    large::Large,
    ledger::Ledger,
    repeats::{self, OTHER_BYTES, OTHER_PATIENT, Seen},
    rows::{Body, ContentRow, MessageRow, TimesRow},
    succession,
};

/// An arrival with what can be worked out before it is the writer's turn.
pub(crate) struct Prepared {
    pub(crate) arrival: Arrival,
    pub(crate) row: MessageRow,
    content: ContentRow,
    /// The first message of this run.
    pub(crate) began: u64,
}

impl Prepared {
    pub(crate) async fn new(arrival: Arrival, began: u64, large: &Arc<Large>) -> Result<Self, StoreError> {
        let message = &arrival.message;
        let content = ContentRow {
            body: large.keep(message.id.0, &message.body).await?,
            facts: json_unless(message.facts.is_empty(), &*message.facts),
            keys: json_unless(arrival.reading.keys.is_empty(), &arrival.reading.keys),
        };
        Ok(Self { row: row(&arrival), content, began, arrival })
    }

    /// What is to be taken back where it is not kept after all.
    pub(crate) fn written(&self) -> (Body, Content) {
        (self.content.body.clone(), self.arrival.message.body.clone())
    }
}

fn row(arrival: &Arrival) -> MessageRow {
    let Arrival { message, reading, closed, .. } = arrival;
    MessageRow {
        id: message.id.0,
        channel: arrival.channel.clone(),
        received: nanoseconds(message.received),
        state: closed.as_ref().map_or(MessageState::Kept, |closed| closed.state),
        outcome: closed.as_ref().map(|closed| closed.outcome),
        answer: match arrival.answer {
            Owed::Owed => AnswerState::Owed,
            Owed::NotOwed => AnswerState::NotOwed,
        },
        told: None,
        version: arrival.version.0,
        identity: message.identity.0,
        size: message.body.len() as u64,
        copied: 0,
        bytes: reading.control_id.as_ref().map(|_| half(&message.body.hash().0)),
        copy: repeats::copy_bits(arrival),
        effect: arrival.effect.as_ref().map(bits),
        control_id: reading.control_id.clone(),
        kind: reading.kind.clone(),
        sender: reading.sender.clone(),
        flags: json_unless(reading.flags.is_empty(), &reading.flags),
        batch: arrival.batch.map(|(batch, place)| (batch.0, place)),
        starts: 0,
        marks: 0,
        why: closed.as_ref().map(|closed| closed.why.clone()),
        halt: closed.as_ref().and_then(|closed| closed.halt.as_ref().map(json)),
        inputs: closed.as_ref().and_then(|closed| closed.inputs.as_ref().map(json)),
        reply: None,
        successor: None,
        predecessors: Vec::new(),
        study: repeats::study_bits(arrival),
        times: TimesRow::default(),
    }
}

fn half(hash: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

/// Keeps what is not a repeat of something that stands. Within one call the later ones see the earlier.
pub(crate) fn keep(ledger: &mut Ledger, arrivals: &[Prepared]) -> Result<Vec<Kept>, Failure> {
    for prepared in arrivals {
        if ledger.is_kept(prepared.row.id)? {
            return Err(Failure::Refused(format!("message {} is kept already", prepared.row.id)));
        }
    }
    arrivals.iter().map(|prepared| keep_one(ledger, prepared)).collect()
}

fn keep_one(ledger: &mut Ledger, prepared: &Prepared) -> Result<Kept, Failure> {
    let Some(again) = &prepared.arrival.again else { return keep_judged(ledger, prepared) };
    if let Some(standing) = succession::stands_instead(ledger, again.message)? {
        return Ok(Kept::Again(standing));
    }
    let kept = keep_judged(ledger, prepared)?;
    let stands = if let Kept::Again(first) = &kept { *first } else { prepared.arrival.message.id };
    succession::run_again(ledger, again, stands)?;
    Ok(kept)
}

fn keep_judged(ledger: &mut Ledger, prepared: &Prepared) -> Result<Kept, Failure> {
    let seen = repeats::look(ledger, prepared)?;
    let row = match &seen {
        Seen::New(copied) => MessageRow { copied: *copied, ..prepared.row.clone() },
        Seen::Other(clash) => closed_for(*clash, prepared.row.clone()),
        Seen::Again(_) => return Ok(seen.kept()),
    };
    groups::gathers(ledger, &row, prepared.arrival.gathers)?;
    ledger.insert(row, prepared.content.clone())?;
    supersede(ledger, &prepared.arrival)?;
    Ok(seen.kept())
}

fn closed_for(clash: Clash, row: MessageRow) -> MessageRow {
    let Closed { state, outcome, why, .. } = clash.closed();
    let copied = match clash {
        Clash::Bytes(_) => OTHER_BYTES,
        Clash::Patient => OTHER_PATIENT,
    };
    // It says nothing of whose its study is.
    MessageRow { copied, state, outcome: Some(outcome), why: Some(why), study: None, ..row }
}

/// Closes the open first copy that this one stands for.
fn supersede(ledger: &mut Ledger, arrival: &Arrival) -> Result<(), Failure> {
    let Some(first) = arrival.supersedes else { return Ok(()) };
    let Some(row) = ledger.message(first.0)? else { return Ok(()) };
    if row.state != MessageState::Kept {
        return Ok(());
    }
    let by: MessageId = arrival.message.id;
    ledger.put(MessageRow {
        state: MessageState::Superseded,
        outcome: Some(Outcome::Unavailable),
        why: Some(Why::ours(format!("its sender sent it again: see message {by}"))),
        marks: 0,
        ..MessageRow::clone(&row)
    })?;
    succession::link(ledger, first, by)
}
