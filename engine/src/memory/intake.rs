//! The message's axis: kept, then queued or closed.

use super::{
    rows::{Audited, StoredDelivery, StoredMessage, StoredPart},
    state::State,
};
use crate::{
    Arrival, Closed, DeliveryId, DeliveryState, Done, Halt, Interrupted, Kept, Message, MessageId,
    MessageState, NewDelivery, Outcome, Processed, Reply, ReplyBody, Standing, Standstill, StoreError,
    StoredReply, Taken, Told, Why,
    store::{abandoned, left_to},
};

impl State {
    pub(super) fn keep(&mut self, arrivals: Vec<Arrival>) -> Result<Vec<Kept>, StoreError> {
        if let Some(twice) = arrivals.iter().find(|arrival| self.messages.contains_key(&arrival.message.id)) {
            return Err(StoreError(format!("message {} is kept already", twice.message.id)));
        }
        Ok(arrivals.into_iter().map(|arrival| self.keep_one(arrival)).collect())
    }

    pub(super) fn take(&mut self, arrival: Arrival, done: Done) -> Result<Taken, StoreError> {
        let id = arrival.message.id;
        let kept = self.keep(vec![arrival])?.remove(0);
        let Kept::New(flags) = &kept else { return Ok(Taken { kept, done: None }) };
        if flags.iter().any(|flag| flag == "repeat") {
            return Ok(Taken { kept, done: None });
        }
        let done = match done {
            Done::Queue(processed) => self.queue(processed)?,
            Done::Close(closed) => self.close(id, closed).map(|()| Vec::new())?,
        };
        Ok(Taken { kept, done: Some(done) })
    }

    fn keep_one(&mut self, arrival: Arrival) -> Kept {
        let Some(again) = arrival.again.clone() else { return self.keep_judged(arrival) };
        if let Some(standing) = self.stands_instead(again.message) {
            return Kept::Again(standing);
        }
        let id = arrival.message.id;
        let kept = self.keep_judged(arrival);
        let stands = if let Kept::Again(first) = &kept { *first } else { id };
        self.run_again(&again, stands);
        kept
    }

    fn keep_judged(&mut self, mut arrival: Arrival) -> Kept {
        let kept = self.judge(&arrival);
        let flags = match &kept {
            Kept::New(flags) => flags.clone(),
            Kept::Other(clash) => {
                arrival.closed = Some(clash.closed());
                vec![clash.flag().to_owned()]
            }
            Kept::Again(_) => return kept,
        };
        let is_anew = self.is_anew(&arrival);
        self.supersede(&arrival);
        let id = arrival.message.id;
        if flags.iter().any(|flag| flag == "repeat") {
            arrival.message.identity = Message::identity_of_repeat(arrival.message.identity, id);
        }
        let all = arrival.reading.flags.iter().chain(&flags).cloned().collect();
        self.gathers(&arrival.channel.clone(), id, arrival.gathers);
        let stored = StoredMessage { is_anew, ..StoredMessage::new(arrival, all) };
        self.messages.insert(id, stored);
        kept
    }

    fn supersede(&mut self, arrival: &Arrival) {
        let Some(first) = arrival.supersedes.and_then(|first| self.messages.get_mut(&first)) else { return };
        if first.state == MessageState::Kept {
            let why = Why::ours(format!("its sender sent it again: see message {}", arrival.message.id));
            first.close(Closed::new(MessageState::Superseded, Outcome::Unavailable, why));
            first.successor = Some(arrival.message.id);
        }
    }

    /// A message that has left `kept` already, and is not held: whoever has it here comes too late.
    fn open(&mut self, id: MessageId) -> Result<&mut StoredMessage, StoreError> {
        let stored = self.message(id)?;
        if matches!(stored.state, MessageState::Kept | MessageState::Held) {
            Ok(stored)
        } else {
            Err(StoreError(format!("message {id} is not open any more")))
        }
    }

    pub(super) fn queue(
        &mut self,
        processed: Processed,
    ) -> Result<Vec<(DeliveryId, DeliveryState)>, StoreError> {
        let Processed { message, version, state, outcome, inputs, parts, expected, joins, .. } = processed;
        let stored = self.open(message)?;
        let is_anew = stored.is_anew;
        stored.version = version;
        stored.state = state;
        stored.outcome = Some(outcome);
        stored.inputs = inputs;
        stored.why = None;
        stored.halt = None;
        stored.marks = 0;
        stored.parts = parts.iter().map(StoredPart::new).collect();
        self.expect(message, expected);
        self.join(message, joins);
        let mut done = Vec::new();
        for part in parts {
            for delivery in part.deliveries {
                let id = delivery.id;
                let earlier = is_anew.then(|| self.effect_stands(&delivery)).flatten();
                let mut stored = StoredDelivery::new(message, part.place, delivery);
                if let Some((earlier, first, of)) = earlier {
                    stored.state = left_out(earlier);
                    stored.why = Some(left_to(first, of));
                    done.push((id, earlier));
                }
                self.deliveries.insert(id, stored);
            }
        }
        Ok(done)
    }

    /// The delivery of an earlier copy that has, or will have, this very effect: how it stands, and of which message.
    fn effect_stands(&self, new: &NewDelivery) -> Option<(DeliveryState, DeliveryId, MessageId)> {
        let goes = |stored: &&StoredDelivery| {
            !matches!(stored.state, DeliveryState::GivenUp | DeliveryState::Dropped)
        };
        let same =
            self.deliveries.values().filter(|stored| stored.effect == new.effect && stored.id != new.id);
        let first =
            same.filter(goes).max_by_key(|stored| (stored.state == DeliveryState::Sent, stored.id))?;
        Some((first.state, first.id, first.message))
    }

    pub(super) fn close(&mut self, id: MessageId, closed: Closed) -> Result<(), StoreError> {
        self.open(id)?.close(closed);
        Ok(())
    }

    pub(super) fn told(&mut self, id: MessageId, told: Told) {
        if let Some(stored) = self.messages.get_mut(&id) {
            stored.answer = told.state;
            // "Not now" is no answer for a second copy.
            stored.reply = Some(told.reply).filter(|reply| reply.outcome != Outcome::Unavailable);
        }
    }

    pub(super) fn interrupted(&mut self, channel: &str) -> Vec<Interrupted> {
        let open =
            |stored: &&mut StoredMessage| &*stored.channel == channel && stored.state == MessageState::Kept;
        self.messages
            .values_mut()
            .filter(open)
            .map(|stored| {
                stored.starts += 1;
                Interrupted {
                    message: stored.message.clone(),
                    reading: stored.reading.clone(),
                    starts: stored.starts,
                    marks: stored.marks,
                    answer: stored.answer,
                }
            })
            .collect()
    }

    pub(super) fn held(&self, channel: &str, after: Option<MessageId>, limit: usize) -> Vec<Standstill> {
        let standstill = |stored: &StoredMessage| {
            let Some(Halt::Held(held)) = &stored.halt else { return None };
            Some(Standstill { message: stored.message.id, held: held.clone(), marks: stored.marks })
        };
        let of_channel = |stored: &&StoredMessage| {
            stored.state == MessageState::Held
                && &*stored.channel == channel
                && after.is_none_or(|after| stored.message.id > after)
        };
        self.messages.values().filter(of_channel).filter_map(standstill).take(limit).collect()
    }

    pub(super) fn abandon(&mut self, id: MessageId, by: &str) -> bool {
        let held = self.messages.get_mut(&id).filter(|stored| stored.state == MessageState::Held);
        let Some(stored) = held else { return false };
        stored.state = MessageState::Filtered;
        stored.outcome = Some(Outcome::Filtered);
        stored.why = Some(abandoned(by));
        self.audit.push(Audited { by: by.to_owned(), what: format!("drop message {id}") });
        true
    }

    /// Counts those that the run before left in their steps.
    pub(super) fn mark_who_is_inside(&mut self) {
        for id in std::mem::take(&mut self.inside) {
            if let Ok(stored) = self.open(id) {
                stored.marks += 1;
            }
        }
    }

    pub(super) fn standing(&self, id: MessageId) -> Option<Standing> {
        let stored = self.messages.get(&id)?;
        let reply = stored.reply.clone().map(stored_reply);
        Some(Standing { state: stored.state, outcome: stored.outcome, reply })
    }
}

fn stored_reply(reply: Reply) -> StoredReply {
    let Reply { outcome, why, at, code, body } = reply;
    let (from, script) = match body {
        Some(ReplyBody::From(bytes)) => (Some(bytes.to_vec()), None),
        Some(ReplyBody::Script(bytes)) => (None, Some(bytes.to_vec())),
        None => (None, None),
    };
    StoredReply { outcome, why, at, code, from, script }
}

/// How a delivery is kept whose effect another one has, or will have: it is sent there, once.
fn left_out(earlier: DeliveryState) -> DeliveryState {
    if earlier == DeliveryState::Sent { DeliveryState::Sent } else { DeliveryState::Dropped }
}
