//! One delivery as its outlet's memory holds it.

use tokio::{sync::oneshot, time::Instant};

use super::super::{Fresh, Tried, guard::UNREADABLE};
use crate::Waiting;

pub(in crate::outlet) struct Entry {
    pub(in crate::outlet) waiting: Waiting,
    /// What to send, while it is young enough to be in memory. Boxed: a long queue has room for few of them.
    pub(super) fresh: Option<Box<Fresh>>,
    pub(super) state: State,
    pub(super) lanes: Vec<u64>,
    pub(super) watcher: Option<Watcher>,
    /// Its sender's wait is over (`queue: never`): the attempt under way is the last.
    pub(super) is_last_try: bool,
    /// The delivery it follows waits in its own queue: so does this one.
    pub(super) leader_waits: bool,
    /// How often in a row it could not be read.
    pub(super) unread: u32,
}

/// Somebody who waits for news of a delivery.
pub(in crate::outlet) struct Watcher {
    pub(in crate::outlet) tell: oneshot::Sender<Tried>,
    pub(in crate::outlet) until: Until,
}

/// How long a watcher waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::outlet) enum Until {
    /// To be queued is news enough.
    FirstTry,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waits,
    /// A worker has it. `nudged`: what it may come to wait for has ended in the meantime.
    Busy {
        nudged: bool,
    },
    Rests(Instant),
    /// Until another outlet has sent the same message.
    Follows,
    /// Until a person says so.
    Stopped,
}

impl Entry {
    pub(super) fn new(
        waiting: Waiting,
        fresh: Option<Fresh>,
        lanes: Vec<u64>,
        watcher: Option<Watcher>,
    ) -> Self {
        let state = if waiting.tally.stopped { State::Stopped } else { State::Waits };
        let fresh = fresh.map(Box::new);
        Self { waiting, fresh, state, lanes, watcher, is_last_try: false, leader_waits: false, unread: 0 }
    }

    pub(super) fn tell(&mut self, tried: Tried) {
        if let Some(watcher) = self.watcher.take() {
            watcher.tell(tried);
        }
    }

    /// Tells somebody who waits for the first try that there is none for now; says whether nobody waits any more.
    pub(super) fn tell_queued(&mut self) -> bool {
        if self.watcher.as_ref().is_some_and(|watcher| watcher.until == Until::FirstTry) {
            self.tell(Tried::Queued);
        }
        self.watcher.is_none()
    }

    /// Whether nothing has to be found out before it is sent.
    pub(super) fn is_untouched(&self) -> bool {
        self.waiting.state == crate::DeliveryState::Waiting
            && self.waiting.after.is_none()
            && !self.is_last_try
    }

    /// Whether those behind it stand behind one that waits.
    pub(super) fn holds_up(&self) -> bool {
        match self.state {
            State::Rests(_) | State::Stopped => true,
            State::Follows => self.leader_waits,
            State::Waits | State::Busy { .. } => false,
        }
    }

    pub(in crate::outlet) fn is_last_try(&self) -> bool {
        self.is_last_try
    }

    pub(in crate::outlet) fn is_stopped(&self) -> bool {
        self.state == State::Stopped || self.unread >= UNREADABLE
    }

    pub(in crate::outlet) fn is_busy(&self) -> bool {
        matches!(self.state, State::Busy { .. })
    }
}

impl Watcher {
    pub(super) fn tell(self, tried: Tried) {
        // A sender that no longer waits has its answer.
        let _ = self.tell.send(tried);
    }
}
