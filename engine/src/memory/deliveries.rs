//! The delivery's axis: waiting, begun, and how it ended.

use super::{
    rows::{Payload, StoredDelivery},
    state::State,
};
use crate::{
    AttemptEnd, Delivery, DeliveryId, DeliveryState, Filling, LATE_ANSWERS, LateAnswer, MessageId, Note,
    Position, Settlement, Sibling, StoreError, Tally, Waiting,
};

impl State {
    /// Refuses what left its lane in the meantime: a person may have dropped it.
    pub(super) fn begin(
        &mut self,
        id: DeliveryId,
        note: Option<Note>,
        doubts: u32,
    ) -> Result<(), StoreError> {
        let stored = self.stored(id)?;
        if !stored.is_queued() {
            return Err(StoreError(format!("delivery {} does not wait any more", id.0)));
        }
        stored.tally.doubts = doubts;
        stored.state = DeliveryState::Begun;
        stored.note = note;
        Ok(())
    }

    /// Writing the same end twice is one end; what was sent stays sent.
    pub(super) fn settle(
        &mut self,
        id: DeliveryId,
        settlement: Settlement,
    ) -> Result<Vec<(String, Waiting)>, StoreError> {
        let Settlement { end, tally, followers, .. } = settlement;
        let is_sent = matches!(end, AttemptEnd::Sent(_));
        let stored = self.stored(id)?;
        let was_sent = stored.state == DeliveryState::Sent;
        if !was_sent {
            stored.end(end, tally);
        }
        let leader = stored.clone();
        match (is_sent, was_sent) {
            (true, false) => Ok(self.take_up(&leader, &followers)),
            (true, true) => Ok(self.unfilled(&leader, &followers)),
            (false, _) => Ok(Vec::new()),
        }
    }

    pub(super) fn answered_late(&mut self, answer: LateAnswer) -> Result<(), StoreError> {
        let late = &mut self.stored(answer.delivery)?.late;
        if late.len() < LATE_ANSWERS {
            late.push(answer.response);
        }
        Ok(())
    }

    pub(super) fn fill(&mut self, id: DeliveryId, filling: Filling) -> Result<(), StoreError> {
        let stored = self.stored(id)?;
        stored.payload = filling.body.map_or(Payload::Pending, Payload::Own);
        stored.texts = filling.texts;
        stored.inputs = filling.inputs;
        Ok(())
    }

    pub(super) fn waiting(
        &self,
        channel: &str,
        destination: &str,
        after: Option<Position>,
        limit: usize,
    ) -> Vec<Waiting> {
        let mut queued: Vec<&StoredDelivery> = self
            .deliveries
            .values()
            .filter(|stored| stored.is_queued() && stored.destination == destination)
            .filter(|stored| after.is_none_or(|after| stored.position() > after))
            .filter(|stored| self.messages.get(&stored.message).is_some_and(|of| &*of.channel == channel))
            .collect();
        queued.sort_by_key(|stored| stored.position());
        queued.into_iter().take(limit).map(|stored| stored.waiting(self.received(stored.message))).collect()
    }

    pub(super) fn delivery(&self, id: DeliveryId) -> Option<Delivery> {
        let stored = self.deliveries.get(&id)?;
        Some(stored.whole(self.messages.get(&stored.message)?))
    }

    pub(super) fn sibling(&self, of: DeliveryId, destination: &str) -> Option<Sibling> {
        let of = self.deliveries.get(&of)?;
        let latest = self.siblings(of, destination).next_back()?;
        Some(Sibling { state: latest.state, response: latest.response.clone() })
    }

    pub(super) fn came_back(&self, of: MessageId, destination: &str) -> Option<Sibling> {
        let first =
            self.deliveries.values().filter(|stored| stored.message == of).map(|stored| stored.part).min()?;
        let same = |stored: &&StoredDelivery| {
            stored.message == of && stored.part == first && stored.destination == destination
        };
        let latest = self.deliveries.values().rfind(same)?;
        Some(Sibling { state: latest.state, response: latest.response.clone() })
    }

    /// Puts back what was set aside because this one had been given up; what a person parked stays with that person.
    fn take_up(&mut self, leader: &StoredDelivery, followers: &[String]) -> Vec<(String, Waiting)> {
        let received = self.received(leader.message);
        let mut taken = Vec::new();
        for stored in self.deliveries.values_mut() {
            if stored.is_set_aside_with(leader) && followers.contains(&stored.destination) {
                stored.state = DeliveryState::Waiting;
                stored.tally = Tally::default();
                stored.why = None;
                taken.push((stored.destination.clone(), stored.waiting(received)));
            }
        }
        taken
    }

    /// Those in their queues that wait for their payload.
    fn unfilled(&self, leader: &StoredDelivery, followers: &[String]) -> Vec<(String, Waiting)> {
        let received = self.received(leader.message);
        let waits = |stored: &&StoredDelivery| {
            stored.waits_for(leader)
                && stored.state == DeliveryState::Waiting
                && followers.contains(&stored.destination)
        };
        let found = self.deliveries.values().filter(waits);
        found.map(|stored| (stored.destination.clone(), stored.waiting(received))).collect()
    }
}
