//! The look at earlier copies of an arrival.

use engine::{AnswerState, Arrival, Clash, Hash, Kept, MessageId, MessageState, Outcome, RepeatPolicy};

use crate::{
    codes::{bits, nanoseconds},
    failure::Failure,
    intake::Prepared,
    ledger::Ledger,
    rows::{MessageRow, StudyRow},
    succession::latest,
};

/// Its sender sent the same bytes before: it is kept under an identity of its own.
pub(crate) const REPEAT: u8 = 1;
/// Its sender gave other bytes the same id before.
pub(crate) const OTHER_BYTES: u8 = 2;
/// An earlier copy failed: this one has the same effects, and does not repeat those that took place.
pub(crate) const ANEW: u8 = 4;
/// What is kept of its study is another patient's.
pub(crate) const OTHER_PATIENT: u8 = 8;

/// Where to look for copies: what an index can hold of channel, sender and control id.
pub(crate) fn copy_bits(arrival: &Arrival) -> Option<i64> {
    let reading = &arrival.reading;
    let control_id = reading.control_id.as_ref()?;
    let parts = [arrival.channel.as_bytes(), reading.sender.as_bytes(), control_id.as_bytes()];
    Some(bits(&Hash::of(&parts)))
}

/// Where to look for others of its study, and whether they are the same patient's.
pub(crate) fn study_bits(arrival: &Arrival) -> Option<StudyRow> {
    let study = arrival.study.as_ref()?;
    let parts = ["study", &arrival.channel, &arrival.reading.sender, &study.uid].map(str::as_bytes);
    Some(StudyRow { uid: bits(&Hash::of(&parts)), patient: bits(&Hash::of(&[study.patient.as_bytes()])) })
}

/// What the look at earlier copies gives a message for flags.
pub(crate) fn flags(copied: u8) -> Vec<String> {
    let mut flags = Vec::new();
    if copied & REPEAT != 0 {
        flags.push("repeat".to_owned());
    }
    if copied & OTHER_BYTES != 0 {
        flags.push("same-id-other-bytes".to_owned());
    }
    if copied & OTHER_PATIENT != 0 {
        flags.push(Clash::Patient.flag().to_owned());
    }
    flags
}

/// What an arrival is, seen from the copies that are kept.
pub(crate) enum Seen {
    /// To be kept, with what the look gave: [`REPEAT`], [`OTHER_BYTES`], [`ANEW`], [`OTHER_PATIENT`].
    New(u8),
    /// This one stands for it.
    Again(MessageId),
    /// To be kept and closed at once.
    Other(Clash),
}

impl Seen {
    /// What the caller hears of it.
    pub(crate) fn kept(self) -> Kept {
        match self {
            Self::New(copied) => Kept::New(flags(copied)),
            Self::Again(first) => Kept::Again(first),
            Self::Other(clash) => Kept::Other(clash),
        }
    }
}

/// Looks at what is kept already.
pub(crate) fn look(ledger: &mut Ledger, prepared: &Prepared) -> Result<Seen, Failure> {
    if let Some(first) = same_effect(ledger, prepared)? {
        return Ok(Seen::Again(first));
    }
    let copies = copies(ledger, prepared)?;
    let policy = prepared.arrival.repeats.policy;
    let is_same = |copy: &MessageRow| copy.bytes == prepared.row.bytes;
    let standing = copies.iter().rev().find(|copy| is_same(copy) && stands(copy, policy, prepared.began));
    if let Some(first) = standing {
        return Ok(Seen::Again(MessageId(first.id)));
    }
    let last = copies.iter().rev().find(|copy| was_taken(copy));
    if let Some(last) = last.filter(|last| prepared.arrival.turns_away(!is_same(last))) {
        return Ok(Seen::Other(Clash::Bytes(MessageId(last.id))));
    }
    let has_other_patient = has_other_patient(ledger, prepared)?;
    if prepared.arrival.turns_away(has_other_patient) {
        return Ok(Seen::Other(Clash::Patient));
    }
    let mut found = if has_other_patient { OTHER_PATIENT } else { 0 };
    // What `AnswerAgain` lets pass is the first one processed anew, under the same identity.
    if copies.iter().any(|copy| is_same(copy)) {
        found |= if policy == RepeatPolicy::Accept { REPEAT } else { ANEW };
    }
    if copies.iter().any(|copy| !is_same(copy)) {
        found |= OTHER_BYTES;
    }
    Ok(Seen::New(found))
}

/// The message that has the very effect, or what stands for it.
fn same_effect(ledger: &mut Ledger, prepared: &Prepared) -> Result<Option<MessageId>, Failure> {
    let arrival = &prepared.arrival;
    let Some(effect) = arrival.effect.filter(|_| arrival.again.is_none()) else { return Ok(None) };
    let found = ledger.with_effect(bits(&effect))?;
    let same = found.iter().filter(|row| row.identity == effect.0 && row.channel == arrival.channel);
    let by_standing = |row: &&std::sync::Arc<MessageRow>| (row.state == MessageState::Superseded, row.id);
    let Some(first) = same.min_by_key(by_standing) else { return Ok(None) };
    let id = MessageId(first.id);
    if first.state == MessageState::Superseded { latest(ledger, id) } else { Ok(Some(id)) }
}

/// What the same sender called by the same name within the window, oldest first.
fn copies(ledger: &mut Ledger, prepared: &Prepared) -> Result<Vec<std::sync::Arc<MessageRow>>, Failure> {
    let Some(copy) = prepared.row.copy else { return Ok(Vec::new()) };
    let arrival = &prepared.arrival;
    let oldest = oldest(arrival);
    let mut copies = ledger.copies(copy, oldest)?;
    copies.retain(|row| {
        row.channel == arrival.channel
            && row.sender == arrival.reading.sender
            && row.control_id == arrival.reading.control_id
            && row.received >= oldest
            && row.state != MessageState::Superseded
            && !is_superseded_by(row, arrival)
    });
    Ok(copies)
}

/// When what still counts was received at the earliest.
fn oldest(arrival: &Arrival) -> i64 {
    arrival.message.received.checked_sub(arrival.repeats.window).map_or(i64::MIN, nanoseconds)
}

/// Whether what was taken of its study is another patient's.
fn has_other_patient(ledger: &mut Ledger, prepared: &Prepared) -> Result<bool, Failure> {
    let Some(study) = prepared.row.study else { return Ok(false) };
    let arrival = &prepared.arrival;
    let oldest = oldest(arrival);
    ledger.is_of_another(study, oldest, |row| {
        was_taken(row)
            && row.state != MessageState::Superseded
            && row.received >= oldest
            && !is_superseded_by(row, arrival)
    })
}

/// Whether this very write closes it.
fn is_superseded_by(row: &MessageRow, arrival: &Arrival) -> bool {
    let id = Some(MessageId(row.id));
    let is_run_again = arrival.again.as_ref().map(|again| again.message) == id;
    is_run_again || (row.state == MessageState::Kept && arrival.supersedes == id)
}

/// Whether a copy stands for one that arrives with the same bytes.
fn stands(copy: &MessageRow, policy: RepeatPolicy, began: u64) -> bool {
    // A crash, or a store that could not write, lost what its sender heard: it sends again in good faith.
    let is_lost = copy.answer == AnswerState::Owed && copy.id < began;
    let is_answered_again = policy == RepeatPolicy::AnswerAgain || is_lost;
    let is_open = matches!(copy.state, MessageState::Kept | MessageState::Held);
    // What its sender heard counts, and before that what the steps made of it.
    let was_accepted = copy.told.or(copy.outcome).is_some_and(Outcome::is_positive);
    copy.answer == AnswerState::Unavailable || (is_answered_again && (is_open || was_accepted))
}

/// Whether what it says of its name and its study counts: it was not turned away itself.
fn was_taken(copy: &MessageRow) -> bool {
    !matches!(copy.state, MessageState::Refused | MessageState::Failed)
}
