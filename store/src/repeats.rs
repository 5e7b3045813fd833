//! The look at earlier copies of an arrival.

use engine::{AnswerState, Arrival, Hash, Kept, MessageId, MessageState, Outcome, RepeatPolicy};
use rusqlite::Row;

use crate::{
    codes::{self, Coded, bits, nanoseconds},
    intake::Prepared,
    succession,
    tables::Tables,
};

/// Its sender sent the same bytes before: it is kept under an identity of its own.
pub(crate) const REPEAT: i64 = 1;
/// Its sender gave other bytes the same id before.
pub(crate) const OTHER_BYTES: i64 = 2;

/// An earlier copy failed: this one has the same effects, and does not repeat those that took place.
pub(crate) const ANEW: i64 = 4;

/// Where to look for copies: what an index can hold of channel, sender and control id.
pub(crate) fn copy_bits(arrival: &Arrival) -> Option<i64> {
    let reading = &arrival.reading;
    let control_id = reading.control_id.as_ref()?;
    let parts = [arrival.channel.as_bytes(), reading.sender.as_bytes(), control_id.as_bytes()];
    Some(bits(&Hash::of(&parts)))
}

/// What the look at earlier copies gives a message for flags.
pub(crate) fn flags(copied: i64) -> Vec<String> {
    let mut flags = Vec::new();
    if copied & REPEAT != 0 {
        flags.push("repeat".to_owned());
    }
    if copied & OTHER_BYTES != 0 {
        flags.push("same-id-other-bytes".to_owned());
    }
    flags
}

/// What an arrival is, seen from the copies that are kept.
pub(crate) enum Seen {
    /// To be kept, with what the look gave: [`REPEAT`], [`OTHER_BYTES`], [`ANEW`].
    New(i64),
    /// This one stands for it.
    Again(MessageId),
}

impl Seen {
    /// What the caller hears of it.
    pub(crate) fn kept(self) -> Kept {
        match self {
            Self::New(copied) => Kept::New(flags(copied)),
            Self::Again(first) => Kept::Again(first),
        }
    }
}

/// Looks at what is kept already.
pub(crate) fn look(tables: &Tables, channel: i64, prepared: &Prepared) -> rusqlite::Result<Seen> {
    if let Some(first) = same_effect(tables, channel, prepared)? {
        return Ok(Seen::Again(first));
    }
    let copies = copies(tables, channel, prepared)?;
    let policy = prepared.arrival.repeats.policy;
    if let Some(first) = copies.iter().find(|copy| copy.same && copy.stands(policy, prepared.began)) {
        return Ok(Seen::Again(first.id));
    }
    let mut found = 0;
    // What `AnswerAgain` lets pass is the first one processed anew, under the same identity.
    if copies.iter().any(|copy| copy.same) {
        found |= if policy == RepeatPolicy::Accept { REPEAT } else { ANEW };
    }
    if copies.iter().any(|copy| !copy.same) {
        found |= OTHER_BYTES;
    }
    Ok(Seen::New(found))
}

fn same_effect(tables: &Tables, channel: i64, prepared: &Prepared) -> rusqlite::Result<Option<MessageId>> {
    let arrival = &prepared.arrival;
    let Some(effect) = arrival.effect.filter(|_| arrival.again.is_none()) else { return Ok(None) };
    let superseded = MessageState::Superseded.code();
    let first = tables.first(
        "SELECT id, state = ?4 FROM messages WHERE effect = ?1 AND identity = ?2 AND channel = ?3
         ORDER BY state = ?4, id LIMIT 1",
        (bits(&effect), effect.0, channel, superseded),
        |row| Ok((MessageId(row.get::<_, i64>(0)? as u64), row.get(1)?)),
    )?;
    match first {
        Some((first, true)) => succession::latest(tables, first),
        Some((first, false)) => Ok(Some(first)),
        None => Ok(None),
    }
}

/// An earlier message of the same sender with the same control id.
struct Copy {
    id: MessageId,
    state: MessageState,
    answer: AnswerState,
    /// What its sender heard counts, and before that what the steps made of it.
    outcome: Option<Outcome>,
    same: bool,
}

/// What the same sender called by the same name within the window, newest first.
fn copies(tables: &Tables, channel: i64, prepared: &Prepared) -> rusqlite::Result<Vec<Copy>> {
    let Some(copy) = prepared.copy else { return Ok(Vec::new()) };
    let arrival = &prepared.arrival;
    let oldest = arrival.message.received.checked_sub(arrival.repeats.window).map_or(i64::MIN, nanoseconds);
    let mut statement = tables.connection.prepare_cached(
        "SELECT id, state, answer, told, outcome, bytes IS ?6 FROM messages
         WHERE copy = ?1 AND channel = ?2 AND sender = ?3 AND control_id = ?4 AND received >= ?5 AND state <> ?7
         ORDER BY id DESC",
    )?;
    let params = (
        copy,
        channel,
        &arrival.reading.sender,
        &arrival.reading.control_id,
        oldest,
        prepared.bytes,
        MessageState::Superseded.code(),
    );
    let copies = statement.query_map(params, Copy::read)?;
    let run_again = arrival.again.as_ref().map(|again| again.message);
    let superseded = |copy: &Copy| {
        let is_open = copy.state == MessageState::Kept;
        run_again == Some(copy.id) || (is_open && arrival.supersedes == Some(copy.id))
    };
    copies.filter(|copy| !copy.as_ref().is_ok_and(superseded)).collect()
}

impl Copy {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let told = codes::maybe(row.get(3)?)?;
        let outcome = codes::maybe(row.get(4)?)?;
        Ok(Self {
            id: MessageId(row.get::<_, i64>(0)? as u64),
            state: MessageState::of(row.get(1)?)?,
            answer: AnswerState::of(row.get(2)?)?,
            outcome: told.or(outcome),
            same: row.get(5)?,
        })
    }

    /// Whether it stands for one that arrives with the same bytes.
    fn stands(&self, policy: RepeatPolicy, began: MessageId) -> bool {
        // A crash, or a store that could not write, lost what its sender heard: it sends again in good faith.
        let is_lost = self.answer == AnswerState::Owed && self.id < began;
        let is_answered_again = policy == RepeatPolicy::AnswerAgain || is_lost;
        let is_open = matches!(self.state, MessageState::Kept | MessageState::Held);
        let was_accepted = self.outcome.is_some_and(Outcome::is_positive);
        self.answer == AnswerState::Unavailable || (is_answered_again && (is_open || was_accepted))
    }
}
