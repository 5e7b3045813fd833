//! Reads a queue from the store, as far as memory has room for it.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{Outlet, STORE_PAUSE, Tried, lanes::Wish};
use crate::{DeliveryId, Extent, MessageId, Position, Stop, StoreError, Waiting, pace};

/// How many deliveries of one message are read at once.
const PARTS: usize = 100;

/// What a look at the store brought.
enum Look {
    /// There may be more.
    Read,
    /// There is nothing to read, or no room for it.
    Nothing,
    /// What comes next may be changed by a message that is still in its steps.
    Barred,
}

impl Outlet {
    /// Reads the front of the queue, and how long it is; looks up what became of the attempts that a stop has cut.
    /// While nobody sends.
    ///
    /// Where it cannot be read, says how long to wait.
    pub(crate) async fn refill(&self) -> Result<(), Duration> {
        self.refilled().await.map_err(|error| self.cannot_read_queue(&error))?;
        self.has_read_queue();
        self.wake.notify_one();
        Ok(())
    }

    async fn refilled(&self) -> Result<(), StoreError> {
        {
            let _still = self.still.lock().await;
            let cut = self.lanes().busy();
            for position in cut {
                self.look_up(position).await?;
            }
            if !self.lanes().is_counted() {
                let extent = self.extent().await?;
                self.lanes().count(extent);
            }
        }
        self.read_page().await.map(drop)
    }

    /// Takes the deliveries of a message whose write seemed to fail.
    pub(crate) async fn take_up(&self, message: MessageId) -> Result<(), StoreError> {
        let mut after = Position { message, part: 0, delivery: DeliveryId(0) };
        loop {
            let page = self.store.waiting(&self.channel, &self.name, Some(after), PARTS).await?;
            let number = page.iter().take_while(|waiting| waiting.position.message == message).count();
            {
                let mut lanes = self.lanes();
                for waiting in page.into_iter().take(number) {
                    after = waiting.position;
                    lanes.insert(waiting, None, None);
                }
            }
            self.wake.notify_one();
            if number < PARTS {
                return Ok(());
            }
        }
    }

    /// Reads on whenever there is room, until asked to stop.
    pub(super) async fn read_on(&self, stop: &Stop) {
        while !stop.is_requested() {
            let moved = self.arrivals.moved();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let read = AssertUnwindSafe(self.read_page()).catch_unwind().await;
            let read = read.unwrap_or_else(|panic| Err(StoreError(pace::words(panic.as_ref()))));
            let (is_barred, pause) = match read {
                Ok(Look::Read) => {
                    self.has_read_queue();
                    continue;
                }
                Ok(Look::Nothing) => (false, Duration::from_hours(1)),
                Ok(Look::Barred) => (true, Duration::from_hours(1)),
                Err(error) => (false, self.cannot_read_queue(&error)),
            };
            tokio::select! {
                () = self.more.notified() => {}
                () = moved, if is_barred => {}
                () = tokio::time::sleep_until(Instant::now() + pause) => {}
                () = stop.requested() => {}
            }
        }
    }

    /// Returns when no page is being read that began before this call: those that begin later see what is open now.
    pub(crate) async fn has_read(&self) {
        drop(self.still.lock().await);
    }

    /// Has more read, where there is more and room for it.
    pub(super) fn read_if_wanted(&self) {
        if self.lanes().wants_more() {
            self.more.notify_one();
        }
    }

    async fn read_page(&self) -> Result<Look, StoreError> {
        if !self.lanes().wants_more() {
            return Ok(Look::Nothing);
        }
        let _still = self.still.lock().await;
        let first_open = self.arrivals.first();
        let Some(wish) = self.lanes().wish(first_open) else {
            return Ok(if first_open.is_some() { Look::Barred } else { Look::Nothing });
        };
        let page = self.page(&wish).await;
        let mut lanes = self.lanes();
        match page {
            Ok(page) => lanes.take_in(&wish, page),
            Err(error) => {
                lanes.is_not_read();
                return Err(error);
            }
        }
        drop(lanes);
        self.wake.notify_waiters();
        self.wake.notify_one();
        Ok(Look::Read)
    }

    async fn page(&self, wish: &Wish) -> Result<Vec<Waiting>, StoreError> {
        let after = Some(wish.after);
        let Some(key) = &wish.key else {
            return self.store.waiting(&self.channel, &self.name, after, wish.limit).await;
        };
        self.store.waiting_of_key((&self.channel, &self.name), key, after, wish.limit).await
    }

    /// Asks the store how a delivery stands whose attempt has not begun: it may have left its queue.
    pub(super) async fn look_again(&self, position: Position) {
        match self.in_store(position).await {
            Ok(None) => self.ended(position, Tried::Dropped),
            Ok(Some(_)) | Err(_) => self.rest_for(position, STORE_PAUSE),
        }
    }

    pub(super) async fn extent(&self) -> Result<Extent, StoreError> {
        self.store.extent(&self.channel, &self.name).await
    }

    /// Takes up again what a worker had when it was cut.
    pub(super) async fn look_up(&self, position: Position) -> Result<(), StoreError> {
        if let Some(waiting) = self.in_store(position).await? {
            self.lanes().renew(waiting);
            return Ok(());
        }
        // Its end was written, and perhaps brought back what follows it.
        for follower in self.all_followers() {
            follower.take_up(position.message).await?;
        }
        self.ended(position, Tried::Dropped);
        Ok(())
    }

    /// A delivery as it waits in the store, if it does.
    pub(super) async fn in_store(&self, position: Position) -> Result<Option<Waiting>, StoreError> {
        let before = Position { delivery: DeliveryId(position.delivery.0.saturating_sub(1)), ..position };
        let next = self.store.waiting(&self.channel, &self.name, Some(before), 1).await?;
        Ok(next.into_iter().find(|waiting| waiting.position == position))
    }
}
