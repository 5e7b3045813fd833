//! The look at earlier copies of an arrival.

use super::{rows::StoredMessage, state::State};
use crate::{AnswerState, Arrival, Clash, Kept, MessageId, MessageState, Outcome, RepeatPolicy};

impl State {
    /// What an arrival is, seen from the copies that are kept.
    pub(super) fn judge(&self, arrival: &Arrival) -> Kept {
        if let Some(first) = self.same_effect(arrival) {
            return Kept::Again(first);
        }
        let (same, other): (Vec<_>, Vec<_>) =
            self.copies(arrival).partition(|copy| copy.message.body == arrival.message.body);
        if let Some(first) = same.iter().rev().find(|copy| self.stands(copy, arrival.repeats.policy)) {
            return Kept::Again(first.message.id);
        }
        let last = self.copies(arrival).filter(|copy| was_taken(copy)).last();
        if let Some(last) = last.filter(|last| arrival.turns_away(last.message.body != arrival.message.body))
        {
            return Kept::Other(Clash::Bytes(id_of(last)));
        }
        let has_other_patient = self.is_of_another(arrival);
        if arrival.turns_away(has_other_patient) {
            return Kept::Other(Clash::Patient);
        }
        let mut flags = Vec::new();
        // What `AnswerAgain` lets pass is the first one processed anew, under the same identity.
        if !same.is_empty() && arrival.repeats.policy == RepeatPolicy::Accept {
            flags.push("repeat".to_owned());
        }
        if !other.is_empty() {
            flags.push("same-id-other-bytes".to_owned());
        }
        if has_other_patient {
            flags.push(Clash::Patient.flag().to_owned());
        }
        Kept::New(flags)
    }

    /// Whether an earlier copy failed and this one has the same effects.
    pub(super) fn is_anew(&self, arrival: &Arrival) -> bool {
        arrival.repeats.policy == RepeatPolicy::AnswerAgain
            && self.copies(arrival).any(|copy| copy.message.body == arrival.message.body)
    }

    /// Whether a copy with the same bytes stands for the one that arrives.
    fn stands(&self, copy: &StoredMessage, policy: RepeatPolicy) -> bool {
        // A crash, or a store that could not write, lost what its sender heard: it sends again in good faith.
        let is_lost =
            copy.answer == AnswerState::Owed && self.began.is_some_and(|began| copy.message.id < began);
        let is_unavailable = copy.answer == AnswerState::Unavailable;
        let is_answered_again = policy == RepeatPolicy::AnswerAgain || is_lost;
        is_unavailable || (is_answered_again && (is_open(copy) || was_accepted(copy)))
    }

    fn same_effect(&self, arrival: &Arrival) -> Option<MessageId> {
        let effect = arrival.effect.filter(|_| arrival.again.is_none())?;
        let same =
            |stored: &&StoredMessage| stored.channel == arrival.channel && stored.effect == Some(effect);
        let by_standing = |stored: &&StoredMessage| (stored.state == MessageState::Superseded, id_of(stored));
        let first = self.messages.values().filter(same).min_by_key(by_standing)?;
        if first.state == MessageState::Superseded { self.latest(id_of(first)) } else { Some(id_of(first)) }
    }

    /// Whether what stands of its study is another patient's: some of it, and nothing of this one's.
    fn is_of_another(&self, arrival: &Arrival) -> bool {
        let Some(study) = &arrival.study else { return false };
        let oldest = arrival.message.received.checked_sub(arrival.repeats.window);
        let counting = self.messages.values().filter(|stored| {
            stored.channel == arrival.channel
                && stored.reading.sender == arrival.reading.sender
                && stored.state != MessageState::Superseded
                && was_taken(stored)
                && !is_superseded_by(stored, arrival)
                && oldest.is_none_or(|oldest| stored.message.received >= oldest)
        });
        let of_study = counting.filter_map(|stored| stored.study.as_ref()).filter(|of| of.uid == study.uid);
        let mut patients = of_study.map(|of| &of.patient).peekable();
        patients.peek().is_some() && patients.all(|patient| *patient != study.patient)
    }

    /// What the same sender called by the same name within the window, oldest first.
    fn copies(&self, arrival: &Arrival) -> impl Iterator<Item = &StoredMessage> {
        let reading = arrival.reading.control_id.as_ref().map(|_| &arrival.reading);
        let oldest = arrival.message.received.checked_sub(arrival.repeats.window);
        self.messages.values().filter(move |stored| {
            reading.is_some_and(|reading| {
                stored.reading.control_id == reading.control_id && stored.reading.sender == reading.sender
            }) && stored.channel == arrival.channel
                && stored.state != MessageState::Superseded
                && !is_superseded_by(stored, arrival)
                && oldest.is_none_or(|oldest| stored.message.received >= oldest)
        })
    }
}

/// Whether this very write closes it.
fn is_superseded_by(stored: &StoredMessage, arrival: &Arrival) -> bool {
    let id = Some(stored.message.id);
    let is_run_again = arrival.again.as_ref().map(|again| again.message) == id;
    is_run_again || (stored.state == MessageState::Kept && arrival.supersedes == id)
}

fn is_open(copy: &StoredMessage) -> bool {
    matches!(copy.state, MessageState::Kept | MessageState::Held)
}

/// What its sender heard counts, and before that what the steps made of it.
fn was_accepted(copy: &StoredMessage) -> bool {
    let told = copy.reply.as_ref().map(|reply| reply.outcome);
    told.or(copy.outcome).is_some_and(Outcome::is_positive)
}

/// Whether what it says of its name and its study counts: it was not turned away itself.
fn was_taken(copy: &StoredMessage) -> bool {
    !matches!(copy.state, MessageState::Refused | MessageState::Failed)
}

fn id_of(stored: &StoredMessage) -> MessageId {
    stored.message.id
}
