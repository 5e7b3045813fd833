//! What a person does to an outlet's deliveries.

use tokio::sync::MutexGuard;

use super::{Outlet, Tried, lanes::Entry};
use crate::{Act, Delivery, DeliveryId, Intervention, Position, Refusal, StoreError, Waiting};

/// A delivery that nobody sends while a person changes it.
pub(crate) struct Withdrawn<'a> {
    outlet: &'a Outlet,
    position: Position,
    place: Place,
    _still: MutexGuard<'a, ()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    InMemory,
    /// In the queue, and not read yet.
    InStore,
    NotQueued,
}

impl Outlet {
    /// Takes a delivery out of its lanes, so that nobody sends it while it is being changed.
    /// [`Refusal::UnderWay`]: a worker is sending it at this moment.
    pub(crate) async fn withdraw(&self, position: Position) -> Result<Withdrawn<'_>, Refusal> {
        let still = self.still.lock().await;
        let place = self.seize(position).await?;
        Ok(Withdrawn { outlet: self, position, place, _still: still })
    }

    async fn seize(&self, position: Position) -> Result<Place, Refusal> {
        {
            let mut lanes = self.lanes();
            if lanes.contains(&position) {
                return if lanes.seize(position) { Ok(Place::InMemory) } else { Err(Refusal::UnderWay) };
            }
            if !lanes.may_be_unread(position) {
                return Ok(Place::NotQueued);
            }
        }
        Ok(if self.in_store(position).await?.is_some() { Place::InStore } else { Place::NotQueued })
    }

    /// Takes a delivery that a person has made.
    pub(crate) fn take_made(&self, made: Waiting) {
        self.lanes().insert_new(made);
        self.wake.notify_one();
    }

    /// Where the queue ends at this moment.
    pub(crate) async fn last_waiting(&self) -> Result<Option<Position>, StoreError> {
        Ok(self.extent().await?.last)
    }

    /// A page of what waits behind `after` and up to `last`, without those that are being sent.
    pub(crate) async fn waiting_behind(
        &self,
        after: Option<Position>,
        last: Position,
    ) -> Result<Vec<Position>, StoreError> {
        let mut after = after;
        loop {
            let page = self.store.waiting(&self.channel, &self.name, after, 1_000).await?;
            let Some(end) = page.last().map(|waiting| waiting.position) else { return Ok(Vec::new()) };
            after = Some(end);
            let page = page.into_iter().map(|waiting| waiting.position).filter(|position| *position <= last);
            let lanes = self.lanes();
            let idle = page.filter(|position| !lanes.get(position).is_some_and(Entry::is_busy));
            let idle: Vec<Position> = idle.collect();
            if !idle.is_empty() || end >= last {
                return Ok(idle);
            }
        }
    }

    /// Sets the head of the queue aside for a person, so that those behind it go on.
    pub(crate) async fn park(&self, by: &str) -> Result<Option<DeliveryId>, Refusal> {
        let Some(position) = self.head_position() else { return Ok(None) };
        let withdrawn = self.withdraw(position).await?;
        let delivery = position.delivery;
        let parked =
            self.store.intervene(Intervention { delivery, what: Act::Park, by: by.to_owned() }).await;
        match parked {
            Ok(_) => {
                withdrawn.gone();
                Ok(Some(delivery))
            }
            Err(error) => {
                withdrawn.restore();
                Err(error.into())
            }
        }
    }

    fn head_position(&self) -> Option<Position> {
        let lanes = self.lanes();
        lanes.stopped().or_else(|| lanes.head()).map(|entry| entry.waiting.position)
    }
}

impl Withdrawn<'_> {
    /// Whether it stands in the queue.
    pub(crate) fn waits(&self) -> bool {
        self.place != Place::NotQueued
    }

    /// From here on the payload is read from the store.
    pub(crate) fn forget_fresh(&self) {
        self.outlet.lanes().take_fresh(&self.position);
    }

    /// It is back in the queue by a person's hand, with another tally.
    pub(crate) fn revive(self, waiting: Waiting) {
        let mut lanes = self.outlet.lanes();
        match self.place {
            Place::InMemory => {
                // The person may have edited it: what memory has is old.
                lanes.take_fresh(&self.position);
                lanes.note(&self.position, waiting.tally);
                lanes.back(self.position);
            }
            Place::InStore => {}
            Place::NotQueued => lanes.insert(waiting, None, None),
        }
        drop(lanes);
        self.outlet.wake.notify_one();
    }

    /// It left the queue by a person's hand: its lanes go on.
    pub(crate) fn gone(self) {
        match self.place {
            Place::InMemory => self.outlet.ended(self.position, Tried::Dropped),
            Place::InStore => {
                self.outlet.lanes().end_unread(self.position);
                self.outlet.ended(self.position, Tried::Dropped);
            }
            Place::NotQueued => {}
        }
    }

    /// Puts it back as it was.
    pub(crate) fn restore(self) {
        if self.place == Place::InMemory {
            self.outlet.lanes().back(self.position);
        }
        self.outlet.wake.notify_one();
    }
}

/// Where a delivery stands in its outlet's order.
pub(crate) fn position_of(delivery: &Delivery) -> Position {
    Position { message: delivery.message.id, part: delivery.piece.place.unwrap_or(0), delivery: delivery.id }
}
