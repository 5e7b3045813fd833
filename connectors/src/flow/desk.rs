//! What a flow and whoever asks about it have in common: how it stands, and what it is to look at again.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use engine::{Hash, Opening};
use tokio::{sync::Notify, time::Instant};

use super::{away::Away, place::Location};

/// The desk of one channel's flow; whoever opens the channel's source finds the same.
pub(crate) struct Desk {
    /// Rings when something came, or when somebody asks.
    pub(crate) bell: Arc<Notify>,
    pub(super) away: Away,
    flows: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sight: Option<(Instant, Seen)>,
    wishes: Wishes,
}

/// What a look brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Files that were there to be taken, or may be at the next look.
    pub(super) there: usize,
    /// Files whose answers are awaited.
    pub(super) awaited: usize,
    /// Whether there were more than could be looked at.
    pub(super) has_more: bool,
}

/// What a person asked of a flow.
#[derive(Default)]
pub(super) struct Wishes {
    /// Claimed files lie where this run does not know of them.
    pub(super) recover: bool,
    /// Files that are to be taken as if they had not been.
    pub(super) forget: Vec<Location>,
}

/// A flow that runs, as long as this lives.
pub(super) struct Running(Arc<Desk>);

impl Desk {
    pub(crate) fn of(opening: &Opening) -> Arc<Self> {
        let notes = opening.notes.as_os_str().as_encoded_bytes();
        let identity = Hash::of(&[b"flow", notes, opening.channel.as_bytes()]);
        opening.shares.of(identity, || Self {
            bell: Arc::default(),
            away: Away::new(&opening.notes, &opening.channel),
            flows: AtomicUsize::new(0),
            state: Mutex::default(),
        })
    }

    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.flows.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(self))
    }

    pub(super) fn runs(&self) -> bool {
        self.flows.load(Ordering::SeqCst) > 0
    }

    pub(super) fn looked(&self, seen: Seen) {
        self.state().sight = Some((Instant::now(), seen));
    }

    /// How the flow stands, in words; empty before its first look.
    pub(super) fn words(&self) -> String {
        let Some((when, seen)) = self.state().sight.filter(|_| self.runs()) else { return String::new() };
        let mut words = format!("looked at {} s ago", when.elapsed().as_secs());
        let more = if seen.has_more { "more than " } else { "" };
        if seen.there > 0 {
            let _ = write!(words, ", {more}{} there", files(seen.there));
        }
        if seen.awaited > 0 {
            let _ = write!(words, ", {} taken and waiting for answers", files(seen.awaited));
        }
        words
    }

    pub(super) fn awaited(&self) -> usize {
        self.state().sight.filter(|_| self.runs()).map_or(0, |(_, seen)| seen.awaited)
    }

    /// Lets the flow find files that were claimed for it.
    pub(super) fn recover(&self) {
        self.state().wishes.recover = true;
        self.bell.notify_one();
    }

    /// Lets the flow take a file that it has noted.
    pub(super) fn forget(&self, at: Location) {
        self.state().wishes.forget.push(at);
        self.bell.notify_one();
    }

    pub(super) fn take_wishes(&self) -> Wishes {
        std::mem::take(&mut self.state().wishes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.flows.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `1 file`, `3 files`.
pub(super) fn files(number: usize) -> String {
    if number == 1 { "1 file".to_owned() } else { format!("{number} files") }
}
