//! The messages of a channel that are kept and not yet queued or closed.
//!
//! A delivery is not sent while an earlier message of its channel stands here: nobody knows yet
//! whether that one has a delivery that must go first.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{MessageId, Store};

#[derive(Default)]
pub(crate) struct Arrivals {
    open: Mutex<BTreeSet<MessageId>>,
    moved: Notify,
}

impl Arrivals {
    /// Gives the next message its place. Under one lock with the reservation, so that no later
    /// message can be sent before this one is known to be open.
    pub(crate) fn enter(&self, store: &dyn Store) -> MessageId {
        let mut open = self.lock();
        let id = store.next_message();
        open.insert(id);
        id
    }

    /// Takes note of a message that an earlier run of the channel left open.
    pub(crate) fn stands(&self, id: MessageId) {
        self.lock().insert(id);
    }

    /// The message is queued or closed, or was never kept: what waited for it may go.
    pub(crate) fn leave(&self, id: MessageId) {
        let mut open = self.lock();
        let was_first = open.first() == Some(&id);
        open.remove(&id);
        drop(open);
        if was_first {
            self.moved.notify_waiters();
        }
    }

    /// The oldest that is open.
    pub(crate) fn first(&self) -> Option<MessageId> {
        self.lock().first().copied()
    }

    /// Wakes each time the oldest changes. Enable it before asking for [`Self::first`].
    pub(crate) fn moved(&self) -> tokio::sync::futures::Notified<'_> {
        self.moved.notified()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<MessageId>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
