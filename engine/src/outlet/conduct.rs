//! How an outlet behaves in the version of the channel now in force.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{sync::OnceCell, time::Instant};

use crate::{
    Destination, Jitter, OnNack, Opening, Order, OutletPlan, Retry, Script, SendError, Tally, WhenUnsure,
    pace::{self, Pace},
};

pub(crate) struct Conduct {
    pub(crate) plan: OutletPlan,
    /// The outlet's place in the file: how the script knows it.
    pub(crate) index: usize,
    pub(crate) script: Arc<dyn Script>,
    pub(crate) pace: Pace,
    opening: Opening,
    destination: Arc<OnceCell<Box<dyn Destination>>>,
    /// When the next send may start, under `rate:`.
    turn: Mutex<Option<Instant>>,
}

impl Conduct {
    pub(crate) fn new(
        plan: OutletPlan,
        index: usize,
        script: Arc<dyn Script>,
        opening: Opening,
        pace: Pace,
    ) -> Self {
        Self { plan, index, script, pace, opening, destination: Arc::default(), turn: Mutex::default() }
    }

    /// Keeps the connection of the version before, where the settings are the same.
    pub(crate) fn inherit(&mut self, before: &Conduct) {
        if before.plan.version == self.plan.version {
            self.destination = Arc::clone(&before.destination);
        }
    }

    /// The connector, opened at its first use. What cannot be opened cannot take anything now.
    pub(crate) async fn destination(&self) -> Result<&dyn Destination, SendError> {
        let opened = self.destination.get_or_try_init(|| self.plan.settings.open(&self.opening)).await;
        opened.map(AsRef::as_ref).map_err(|error| SendError::not_delivered(error.to_string()))
    }

    /// The connector, where it was opened.
    pub(crate) fn opened(&self) -> Option<&dyn Destination> {
        self.destination.get().map(AsRef::as_ref)
    }

    /// How many send at once: one where there is one lane.
    pub(crate) fn workers(&self) -> usize {
        if self.plan.order == Order::Arrival { 1 } else { self.plan.workers.max(1) }
    }

    pub(crate) fn when_unsure(&self) -> WhenUnsure {
        self.plan.when_unsure()
    }

    pub(crate) fn closed_for(&self, now: SystemTime) -> Duration {
        let Some(hours) = &self.plan.hours else { return Duration::ZERO };
        catch_unwind(AssertUnwindSafe(|| (hours.0)(now))).unwrap_or_else(|panic| {
            let why = pace::words(panic.as_ref());
            tracing::error!(destination = %self.plan.name, why, "a bug cut a look at the hours: nothing is sent for a minute");
            Duration::from_mins(1)
        })
    }

    /// When `rate:` allows the next send, if not now.
    pub(crate) fn next_turn(&self, now: Instant) -> Option<Instant> {
        self.turn().filter(|turn| *turn > now)
    }

    pub(crate) fn take_turn(&self, now: Instant) {
        let Some(rate) = self.plan.rate else { return };
        let gap = rate.per / rate.sends.max(1);
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *turn = Some(turn.unwrap_or(now).max(now) + gap);
    }

    /// What a receiver's code means here.
    pub(crate) fn on_nack(&self, code: Option<&str>) -> OnNack {
        let Some(code) = code else { return OnNack::GiveUp };
        self.plan.nack.get(code).copied().unwrap_or(if code == "CE" { OnNack::Retry } else { OnNack::GiveUp })
    }

    /// Whether a delivery that counts `tally` may be tried once more.
    pub(crate) fn is_exhausted(&self, tally: &Tally) -> bool {
        let Retry { attempts, lasting, .. } = self.plan.retry;
        attempts.is_some_and(|most| tally.counted >= most)
            || lasting.is_some_and(|longest| Duration::from_millis(tally.spent_ms) >= longest)
    }

    /// How long to wait after so many attempts.
    pub(crate) fn pause(&self, attempts: u32, at_least: Option<Duration>) -> Duration {
        let Retry { first, longest, factor, jitter, .. } = self.plan.retry;
        let grown = first.as_secs_f64() * factor.max(1.0).powi(attempts.saturating_sub(1).min(64) as i32);
        let pause = Duration::from_secs_f64(grown.min(longest.as_secs_f64()).max(0.0));
        let pause = match jitter {
            Jitter::None => pause,
            Jitter::Some => pause.mul_f64(0.5 + 0.5 * share()),
        };
        pause.max(at_least.unwrap_or_default())
    }

    fn turn(&self) -> Option<Instant> {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number between 0 and 1, so that many outlets do not try again at the same instant.
fn share() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    f64::from(RandomState::new().build_hasher().finish() as u32) / f64::from(u32::MAX)
}
