//! What a person does to an outlet's deliveries.

use super::{Outlet, Tried};
use crate::{Act, DeliveryId, Intervention, Position, Refusal, Waiting};

impl Outlet {
    /// Takes a delivery that a person put back into the queue, from where [`Self::withdraw`] left it.
    pub(crate) fn revive(&self, waiting: Waiting) {
        let mut lanes = self.lanes();
        let position = waiting.position;
        if lanes.contains(&position) {
            // The person may have edited it: what memory has is old.
            lanes.take_fresh(&position);
            lanes.note(&position, waiting.tally);
            lanes.back(position);
        } else {
            lanes.insert(waiting, None, None);
        }
        drop(lanes);
        self.wake.notify_one();
    }

    /// Takes a delivery out of its lanes, so that nobody sends it while it is being changed.
    /// `false`: a worker is sending it at this moment.
    pub(crate) fn withdraw(&self, delivery: DeliveryId) -> bool {
        let mut lanes = self.lanes();
        match lanes.position_of(delivery) {
            Some(position) => lanes.seize(position),
            None => true,
        }
    }

    /// Whether a delivery stands in this queue.
    pub(crate) fn waits(&self, delivery: DeliveryId) -> bool {
        self.lanes().position_of(delivery).is_some()
    }

    /// Every delivery in the queue that nobody is sending.
    pub(crate) fn waiting_now(&self) -> Vec<DeliveryId> {
        self.lanes().idle()
    }

    /// From here on the payload is read from the store.
    pub(crate) fn forget_fresh(&self, delivery: DeliveryId) {
        let mut lanes = self.lanes();
        if let Some(position) = lanes.position_of(delivery) {
            lanes.take_fresh(&position);
        }
    }

    /// It left the queue by a person's hand: its lanes go on.
    pub(crate) fn gone(&self, delivery: DeliveryId) {
        let position = self.lanes().position_of(delivery);
        if let Some(position) = position {
            self.ended(position, Tried::Dropped);
        }
    }

    /// Puts back what [`Self::withdraw`] took, as it was.
    pub(crate) fn restore(&self, delivery: DeliveryId) {
        let mut lanes = self.lanes();
        if let Some(position) = lanes.position_of(delivery) {
            lanes.back(position);
        }
        drop(lanes);
        self.wake.notify_one();
    }

    /// Sets the head of the queue aside for a person, so that those behind it go on.
    pub(crate) async fn park(&self, by: &str) -> Result<Option<DeliveryId>, Refusal> {
        let Some(position) = self.head_position() else { return Ok(None) };
        if !self.lanes().seize(position) {
            return Err(Refusal::UnderWay);
        }
        let delivery = position.delivery;
        let parked =
            self.store.intervene(Intervention { delivery, what: Act::Park, by: by.to_owned() }).await;
        match parked {
            Ok(_) => {
                self.gone(delivery);
                Ok(Some(delivery))
            }
            Err(error) => {
                self.restore(delivery);
                Err(error.into())
            }
        }
    }

    fn head_position(&self) -> Option<Position> {
        let lanes = self.lanes();
        lanes.stopped().or_else(|| lanes.head()).map(|entry| entry.waiting.position)
    }
}
