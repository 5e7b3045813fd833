//! Intake: arrivals become messages, all of them in one write.

use engine::{AnswerState, Arrival, Closed, Kept, MessageId, MessageState, Outcome, Owed};
use rusqlite::params;

use crate::{
    codes::{Coded, NONE, bits, json, json_unless, nanoseconds},
    failure::Failure,
    repeats::{self, Seen},
    succession,
    tables::Tables,
};

/// An arrival with what can be worked out before it is the writer's turn.
pub(crate) struct Prepared {
    pub(crate) arrival: Arrival,
    pub(crate) copy: Option<i64>,
    pub(crate) bytes: Option<[u8; 16]>,
    /// The first message of this run.
    pub(crate) began: MessageId,
    facts: Option<String>,
    keys: Option<String>,
}

impl Prepared {
    pub(crate) fn new(arrival: Arrival, began: MessageId) -> Self {
        let bytes = arrival.reading.control_id.as_ref().map(|_| {
            let mut half = [0; 16];
            half.copy_from_slice(&arrival.message.body.hash().0[..16]);
            half
        });
        Self {
            copy: repeats::copy_bits(&arrival),
            bytes,
            began,
            facts: json_unless(arrival.message.facts.is_empty(), &*arrival.message.facts),
            keys: json_unless(arrival.reading.keys.is_empty(), &arrival.reading.keys),
            arrival,
        }
    }
}

/// Keeps what is not a repeat of something that stands. Within one call the later ones see the earlier.
pub(crate) fn keep(tables: &Tables, arrivals: &[Prepared]) -> Result<Vec<Kept>, Failure> {
    for prepared in arrivals {
        let id = prepared.arrival.message.id;
        if tables.first("SELECT 1 FROM messages WHERE id = ?1", [id.0 as i64], |_| Ok(()))?.is_some() {
            return Err(Failure::Refused(format!("message {id} is kept already")));
        }
    }
    let mut kept = Vec::with_capacity(arrivals.len());
    for prepared in arrivals {
        kept.push(keep_one(tables, prepared)?);
    }
    Ok(kept)
}

fn keep_one(tables: &Tables, prepared: &Prepared) -> rusqlite::Result<Kept> {
    let arrival = &prepared.arrival;
    if let Some(again) = &arrival.again
        && let Some(standing) = succession::stands_instead(tables, again.message)?
    {
        return Ok(Kept::Again(standing));
    }
    let channel = tables.channel(&arrival.channel)?;
    let seen = repeats::look(tables, channel, prepared)?;
    if let Seen::New(copied) = seen {
        supersede(tables, arrival)?;
        insert(tables, channel, prepared, copied)?;
    }
    if let Some(again) = &arrival.again {
        let stands = if let Seen::Again(first) = seen { first } else { arrival.message.id };
        succession::run_again(tables, again, stands)?;
    }
    Ok(seen.kept())
}

/// Closes the open first copy that this one stands for.
fn supersede(tables: &Tables, arrival: &Arrival) -> rusqlite::Result<()> {
    let Some(first) = arrival.supersedes else { return Ok(()) };
    let why = format!("its sender sent it again: see message {}", arrival.message.id);
    let states = (MessageState::Superseded.code(), MessageState::Kept.code());
    let closed = tables.run(
        "UPDATE messages SET state = ?2, outcome = ?3, why = ?4, marks = 0 WHERE id = ?1 AND state = ?5",
        (first.0 as i64, states.0, Outcome::Unavailable.code(), why, states.1),
    )?;
    if closed == 1 { succession::link(tables, first, arrival.message.id) } else { Ok(()) }
}

fn insert(tables: &Tables, channel: i64, prepared: &Prepared, copied: i64) -> rusqlite::Result<()> {
    let Prepared { arrival, copy, bytes, facts, keys, .. } = prepared;
    let Arrival { message, reading, closed, .. } = arrival;
    let id = message.id.0 as i64;
    tables.run(
        INSERT,
        params![
            id,
            channel,
            nanoseconds(message.received),
            closed.as_ref().map_or(MessageState::Kept, |closed| closed.state).code(),
            closed.as_ref().map_or(NONE, |closed| closed.outcome.code()),
            answer(arrival.answer).code(),
            NONE,
            tables.version(arrival.version)?,
            message.identity.0,
            message.body.len() as i64,
            copied,
            bytes,
            copy,
            arrival.effect.as_ref().map(bits),
            reading.control_id,
            reading.kind,
            reading.sender,
            json_unless(reading.flags.is_empty(), &reading.flags),
            arrival.batch.map(|(batch, _)| batch.0),
            arrival.batch.map(|(_, place)| place),
            closed.as_ref().map(|closed| &closed.why),
            closed.as_ref().and_then(halt),
            closed.as_ref().and_then(inputs),
        ],
    )?;
    let content = params![id, &message.body.bytes()[..], facts, keys];
    tables.run("INSERT INTO contents (message, body, facts, keys) VALUES (?1, ?2, ?3, ?4)", content)?;
    index(tables, message.id, arrival)
}

const INSERT: &str = "INSERT INTO messages (id, channel, received, state, outcome, answer, told, version, identity,
        size, copied, bytes, copy, effect, content, control_id, kind, sender, flags, batch, place, why, halt, inputs)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
        ?10, ?11, ?12, ?13, ?14, ?2, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";

fn answer(owed: Owed) -> AnswerState {
    match owed {
        Owed::Owed => AnswerState::Owed,
        Owed::NotOwed => AnswerState::NotOwed,
    }
}

fn halt(closed: &Closed) -> Option<String> {
    closed.halt.as_ref().map(json)
}

fn inputs(closed: &Closed) -> Option<String> {
    closed.inputs.as_ref().map(json)
}

/// Makes the message findable by its control id and its search keys.
fn index(tables: &Tables, id: MessageId, arrival: &Arrival) -> rusqlite::Result<()> {
    let keys = arrival.reading.keys.iter().map(|(_, value)| value);
    for value in arrival.reading.control_id.iter().chain(keys).filter(|value| !value.is_empty()) {
        tables.run("INSERT OR IGNORE INTO keys (value, message) VALUES (?1, ?2)", (value, id.0 as i64))?;
    }
    Ok(())
}
