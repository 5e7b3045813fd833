//! How many messages have arrived at their end, and how far the senders may be ahead of that.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::cli::Complaint;

/// So many messages may be under way to their end, or two for each connection.
const AHEAD: usize = 256;

/// So many where what has arrived is read now and then: several times what arrives between two readings, since what
/// has arrived and is not read yet keeps senders waiting for room.
const AHEAD_OF_READING: usize = 4096;

/// How many messages of so many senders may be under way.
pub(super) fn ahead(connections: u16) -> usize {
    AHEAD.max(2 * usize::from(connections))
}

/// Counts what arrives; shared by the one who receives and those who send.
pub(super) struct Delivered {
    arrivals: AtomicU64,
    /// How often each message arrives.
    copies: u64,
    sent: AtomicU64,
    ahead: usize,
    room: Semaphore,
}

impl Delivered {
    /// Senders wait when so many messages have not arrived.
    pub(super) fn bounded(copies: u64, ahead: usize) -> Self {
        let (arrivals, sent) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { arrivals, copies, sent, ahead, room: Semaphore::new(ahead) }
    }

    /// As many under way as keep every leg busy, and no more, so that what arrives is soon as much as what comes.
    pub(super) fn ahead(connections: u16) -> Self {
        Self::bounded(1, ahead(connections))
    }

    /// For whoever is told of arrivals only now and then.
    pub(super) fn read_now_and_then() -> Self {
        Self::bounded(1, AHEAD_OF_READING)
    }

    /// Senders never wait.
    pub(super) fn unbounded() -> Self {
        Self::bounded(1, Semaphore::MAX_PERMITS / 2)
    }

    /// One copy has arrived.
    pub(super) fn add(&self) {
        let before = self.arrivals.fetch_add(1, Ordering::SeqCst);
        if (before + 1).is_multiple_of(self.copies) {
            self.room.add_permits(1);
        }
    }

    /// So many copies have arrived in all.
    pub(super) fn reach(&self, arrivals: u64) {
        while self.arrivals.load(Ordering::SeqCst) < arrivals {
            self.add();
        }
    }

    /// Messages of which every copy has arrived, give or take those under way.
    pub(super) fn count(&self) -> u64 {
        self.arrivals.load(Ordering::SeqCst) / self.copies
    }

    /// Waits until one more message may be sent.
    pub(super) async fn wait_for_room(&self) {
        if let Ok(permit) = self.room.acquire().await {
            permit.forget();
        }
        self.sent.fetch_add(1, Ordering::SeqCst);
    }

    /// Messages that were sent and have not arrived.
    pub(super) fn under_way(&self) -> u64 {
        self.sent.load(Ordering::SeqCst).saturating_sub(self.count())
    }

    /// Whether as much arrives as is sent: there is no more room, or it has not shrunk since so many were under way.
    pub(super) fn is_steady(&self, before: u64) -> bool {
        let (under_way, ahead) = (self.under_way(), self.ahead as u64);
        under_way >= ahead / 10 * 9 || under_way <= before + ahead / 20
    }

    /// Lets senders go on, whatever has arrived.
    pub(super) fn let_go(&self) {
        self.room.close();
    }

    /// Waits until so many messages have arrived. The patience begins anew with each that arrives.
    pub(super) async fn wait_for(&self, messages: u64, patience: Duration) -> Result<(), Complaint> {
        let (mut seen, mut since) = (self.count(), Instant::now());
        while self.count() < messages {
            if self.count() > seen {
                (seen, since) = (self.count(), Instant::now());
            } else if since.elapsed() > patience {
                return Err(Complaint::wrong(format!(
                    "of {messages} messages that were accepted, {seen} have arrived, and no more come"
                )));
            }
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_steady_when_full_or_when_no_more_are_under_way_than_before() {
        let delivered = Delivered::bounded(1, 100);
        for _ in 0..50 {
            delivered.wait_for_room().await;
        }
        assert!(delivered.is_steady(48) && !delivered.is_steady(10));
        for _ in 0..45 {
            delivered.wait_for_room().await;
        }
        assert!(delivered.is_steady(10));
        assert!(Delivered::unbounded().is_steady(0));
    }

    #[tokio::test]
    async fn a_message_counts_when_all_its_copies_have_arrived() {
        let delivered = Delivered::bounded(2, 1);
        delivered.wait_for_room().await;
        delivered.add();
        assert_eq!((delivered.count(), delivered.room.available_permits()), (0, 0));
        delivered.reach(2);
        assert_eq!((delivered.count(), delivered.room.available_permits()), (1, 1));
        assert_eq!(delivered.under_way(), 0);
        assert!(delivered.wait_for(1, Duration::ZERO).await.is_ok());
        assert!(delivered.wait_for(2, Duration::ZERO).await.is_err());
    }
}
