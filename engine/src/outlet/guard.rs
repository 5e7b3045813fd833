//! Bugs, and a store that cannot be read: no delivery is left in the hands of nobody, and operations see why it waits.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    sync::PoisonError,
    time::Duration,
};

use futures_util::FutureExt;

use super::{Outlet, STORE_PAUSE};
use crate::{Position, Stop, StoreError, Why, WhyKind, pace};

/// How long a delivery rests that met a bug.
const PAUSE: Duration = Duration::from_secs(1);
/// How long, at most, before what cannot be read is tried again.
const LONGEST: Duration = Duration::from_secs(30);
/// So many times in a row it may be a passing trouble.
pub(super) const UNREADABLE: u32 = 3;

impl Outlet {
    /// Does a part of an attempt. A bug in it leaves the delivery as the store has it.
    pub(super) async fn guarded<T>(
        &self,
        position: Position,
        stop: &Stop,
        work: Pin<&mut (impl Future<Output = Option<T>> + Send)>,
    ) -> Option<T> {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => done,
            Err(panic) => {
                self.take_up_broken(position, &pace::words(panic.as_ref()), stop).await;
                None
            }
        }
    }

    /// The same for one that goes with another: that one is its caller's.
    pub(super) async fn guarded_with<T>(
        &self,
        with: Option<Position>,
        stop: &Stop,
        work: Pin<&mut (impl Future<Output = T> + Send)>,
    ) -> T {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => done,
            Err(panic) => {
                if let Some(position) = with {
                    self.take_up_broken(position, &pace::words(panic.as_ref()), stop).await;
                }
                resume_unwind(panic)
            }
        }
    }

    async fn take_up_broken(&self, position: Position, why: &str, stop: &Stop) {
        let (message, delivery) = (position.message.0, position.delivery.0);
        tracing::error!(channel = %self.channel, destination = %self.name, message_id = message, delivery, why, "a bug cut a delivery; it goes on as the store has it");
        while let Err(error) = self.look_up(position).await {
            tracing::warn!(channel = %self.channel, destination = %self.name, delivery, %error, "cannot read a delivery that a bug cut; will try again");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.requested() => return,
            }
        }
        self.rest_for(position, PAUSE);
    }

    /// The worker itself met a bug, with nothing in its hands.
    pub(super) async fn worker_broke(&self, why: &str, stop: &Stop) {
        tracing::error!(channel = %self.channel, destination = %self.name, why, "a bug cut a worker; it goes on");
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.requested() => {}
        }
    }

    /// A delivery cannot be read: it rests, each time longer, and says why.
    pub(super) fn cannot_load(&self, position: Position, error: &StoreError) {
        let why = Why::new(WhyKind::Unloaded, format!("it cannot be read: {error}"));
        let times = self.lanes().cannot_be_read(&position, why);
        let (message, delivery) = (position.message.0, position.delivery.0);
        match times {
            1 => {
                tracing::warn!(channel = %self.channel, destination = %self.name, message_id = message, delivery, %error, "a waiting delivery cannot be read; will try again");
            }
            UNREADABLE => {
                tracing::error!(channel = %self.channel, destination = %self.name, message_id = message, delivery, %error, "a waiting delivery cannot be read, and stops those behind it until it can");
            }
            _ => {}
        }
        self.rest_for(position, pause(times));
    }

    pub(super) fn has_loaded(&self, position: Position) {
        if self.lanes().can_be_read(&position) >= UNREADABLE {
            let (message, delivery) = (position.message.0, position.delivery.0);
            tracing::info!(channel = %self.channel, destination = %self.name, message_id = message, delivery, "the delivery can be read again");
        }
    }

    /// The queue cannot be read; returns how long to wait.
    pub(super) fn cannot_read_queue(&self, error: &StoreError) -> Duration {
        let mut blind = self.blind.lock().unwrap_or_else(PoisonError::into_inner);
        let times = blind.as_ref().map_or(1, |(times, _)| times + 1);
        if times == 1 {
            tracing::warn!(channel = %self.channel, destination = %self.name, %error, "cannot read the queue; will try again");
        } else if times == UNREADABLE {
            tracing::error!(channel = %self.channel, destination = %self.name, %error, "the queue cannot be read: what waits in it is not sent until it can");
        }
        *blind = Some((times, format!("the queue cannot be read: {error}")));
        pause(times)
    }

    pub(super) fn has_read_queue(&self) {
        let mut blind = self.blind.lock().unwrap_or_else(PoisonError::into_inner);
        if blind.take().is_some_and(|(times, _)| times >= UNREADABLE) {
            tracing::info!(channel = %self.channel, destination = %self.name, "the queue can be read again");
        }
    }

    /// Why the queue cannot be read, where that is no passing trouble.
    pub(super) fn blindness(&self) -> Option<String> {
        let blind = self.blind.lock().unwrap_or_else(PoisonError::into_inner);
        blind.as_ref().filter(|(times, _)| *times >= UNREADABLE).map(|(_, why)| why.clone())
    }
}

fn pause(times: u32) -> Duration {
    STORE_PAUSE.saturating_mul(1 << times.saturating_sub(1).min(16)).min(LONGEST)
}
