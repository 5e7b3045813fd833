//! What a person does to one delivery.

use super::{
    rows::{Audited, Payload, StoredDelivery},
    state::State,
};
use crate::{Act, Content, DeliveryId, DeliveryState, Intervention, StoreError, Tally, Waiting, Why};

impl State {
    /// `fresh` is the id of the new delivery, where the act makes one.
    pub(super) fn intervene(
        &mut self,
        intervention: Intervention,
        fresh: DeliveryId,
    ) -> Result<Option<Waiting>, StoreError> {
        let Intervention { delivery, what, by } = intervention;
        let word = match &what {
            Act::Resend { .. } => "resend",
            Act::Drop => "drop",
            Act::Park => "park",
        };
        let back = match what {
            Act::Resend { to, body } => Some(self.resend(delivery, to, body, fresh)?),
            Act::Drop => {
                self.take_out(delivery, DeliveryState::Dropped, &by)?;
                None
            }
            Act::Park => {
                self.take_out(delivery, DeliveryState::SetAside, &by)?.is_parked = true;
                None
            }
        };
        self.audit.push(Audited { by, what: format!("{word} {}", delivery.0) });
        Ok(back)
    }

    fn resend(
        &mut self,
        id: DeliveryId,
        to: Option<String>,
        body: Option<Content>,
        fresh: DeliveryId,
    ) -> Result<Waiting, StoreError> {
        let stored = self.stored(id)?;
        if stored.state == DeliveryState::Sent || to.is_some() || body.is_some() {
            return self.resend_anew(id, to, body, fresh);
        }
        // One that is under way keeps its doubt.
        if stored.state != DeliveryState::Begun {
            stored.state = DeliveryState::Waiting;
        }
        stored.tally = Tally::default();
        stored.why = None;
        stored.is_parked = false;
        let back = stored.clone();
        Ok(back.waiting(self.received(back.message)))
    }

    /// A delivery of its own: with an effect that nobody has had yet. The old one is done with.
    fn resend_anew(
        &mut self,
        id: DeliveryId,
        to: Option<String>,
        body: Option<Content>,
        fresh: DeliveryId,
    ) -> Result<Waiting, StoreError> {
        let old = self.stored(id)?.clone();
        let destination = to.unwrap_or_else(|| old.destination.clone());
        let repeat = self.siblings(&old, &destination).count() as u32;
        let of = self.message(old.message)?;
        let output = old.part.map_or(0, |place| place.saturating_sub(1));
        let channel = of.channel.clone();
        let effect = of.message.effect(&channel, repeat, &destination, output);
        let received = of.message.received;
        let new = StoredDelivery {
            id: fresh,
            destination,
            effect,
            payload: body.map_or_else(|| old.payload.clone(), Payload::Own),
            state: DeliveryState::Waiting,
            note: None,
            tally: Tally::default(),
            why: None,
            response: None,
            late: Vec::new(),
            is_parked: false,
            ..old.clone()
        };
        if !matches!(old.state, DeliveryState::Sent | DeliveryState::Begun) {
            let replaced = self.stored(id)?;
            replaced.state = DeliveryState::Dropped;
            replaced.why = Some(Why::ours(format!("sent again as delivery {}", fresh.0)));
        }
        let waiting = new.waiting(received);
        self.deliveries.insert(fresh, new);
        Ok(waiting)
    }

    fn take_out(
        &mut self,
        id: DeliveryId,
        state: DeliveryState,
        by: &str,
    ) -> Result<&mut StoredDelivery, StoreError> {
        let stored = self.stored(id)?;
        if stored.state == DeliveryState::Sent {
            return Err(StoreError(format!("delivery {} was sent", id.0)));
        }
        if stored.state != state {
            stored.state = state;
            stored.why = Some(Why::ours(format!("by {by}")));
        }
        Ok(stored)
    }
}
