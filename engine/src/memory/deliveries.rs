//! The delivery's axis: waiting, begun, and how it ended.

use super::{
    rows::{Payload, StoredDelivery},
    state::State,
};
use crate::{
    AttemptEnd, Delivery, DeliveryId, DeliveryState, Filling, Note, Position, Settlement, Sibling,
    StoreError, Tally, Waiting,
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
    pub(super) fn settle(&mut self, id: DeliveryId, settlement: Settlement) -> Result<(), StoreError> {
        let stored = self.stored(id)?;
        if stored.state == DeliveryState::Sent {
            return Ok(());
        }
        stored.tally = settlement.tally;
        (stored.state, stored.why) = match settlement.end {
            AttemptEnd::Sent(response) => {
                stored.response = Some(response);
                (DeliveryState::Sent, None)
            }
            AttemptEnd::Waits { .. } => (DeliveryState::Waiting, None),
            AttemptEnd::GivenUp { why, response } => {
                stored.response = response;
                (DeliveryState::GivenUp, Some(why))
            }
            AttemptEnd::SetAside { why } => (DeliveryState::SetAside, Some(why)),
            AttemptEnd::Dropped { why } => (DeliveryState::Dropped, Some(why)),
        };
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

    /// What a person parked stays with that person.
    pub(super) fn take_up(
        &mut self,
        sibling: DeliveryId,
        dependents: &[String],
    ) -> Result<Vec<(String, Waiting)>, StoreError> {
        let of = self.stored(sibling)?.clone();
        let received = self.received(of.message);
        let mut taken = Vec::new();
        for stored in self.deliveries.values_mut() {
            let is_dependent = stored.message == of.message
                && stored.part == of.part
                && stored.after.as_ref() == Some(&of.destination)
                && dependents.contains(&stored.destination);
            if is_dependent && stored.state == DeliveryState::SetAside && !stored.is_parked {
                stored.state = DeliveryState::Waiting;
                stored.tally = Tally::default();
                stored.why = None;
                taken.push((stored.destination.clone(), stored.waiting(received)));
            }
        }
        Ok(taken)
    }
}
