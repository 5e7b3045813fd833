//! Where work is done: steps on the spot while they are quick, out of the way when they are not; deliveries on threads of
//! their own, so that a thousand senders do not keep them waiting.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{Semaphore, SemaphorePermit},
    task::JoinHandle,
    time::timeout,
};

/// Above this, work leaves the async threads. To hand a thread's other work to another one, and to have as many work at once as
/// there are senders, costs more than a wait of this length.
const QUICK: Duration = Duration::from_millis(4);

/// So long a message waits for a spot: then what is on them is not as quick as it was.
const PATIENCE: Duration = Duration::from_millis(20);

/// What is this slow was no accident.
const SLOW: Duration = Duration::from_millis(20);

/// What took this long by the clock was slow, however little it worked. Below that only work counts: on a busy machine any
/// thread may have to wait for a processor.
const WAITED: Duration = Duration::from_millis(200);

/// So many quick runs earn a channel its place on the async threads; one that was not quite quick takes some of that trust
/// away, and a slow one all of it.
const TRUSTED: u32 = 64;
const MOST: u32 = 2 * TRUSTED;
const LOST: u32 = 16;

/// How the steps of one channel have behaved so far.
pub(crate) struct Pace {
    trust: AtomicU32,
    spots: Spots,
}

/// Where the channels of a process do their work.
#[derive(Clone)]
pub struct Spots {
    /// How many steps may run on the async threads at once, over all channels: fewer than there are threads, so that even
    /// steps that suddenly hang leave the others a thread.
    steps: Arc<Semaphore>,
    sends: Option<Handle>,
}

impl Spots {
    pub fn new(spots: usize) -> Self {
        Self { steps: Arc::new(Semaphore::new(spots)), sends: None }
    }

    /// The same, with deliveries on the threads of this runtime. On those that take messages each step of a delivery waits
    /// until every sender that has something to say has had its turn.
    #[must_use]
    pub fn sending_on(self, sends: Handle) -> Self {
        Self { sends: Some(sends), ..self }
    }

    /// Starts what sends.
    pub(crate) fn send<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        match &self.sends {
            Some(sends) => sends.spawn(work),
            None => tokio::spawn(work),
        }
    }
}

/// Where a message's steps may run on the async threads; or none, and they run where [`Pace::run`] finds room.
pub(crate) struct Spot<'a>(Option<SemaphorePermit<'a>>);

/// A panic, in its own words.
pub(crate) struct Panicked(pub(crate) String);

impl Pace {
    pub(crate) fn new(spots: Spots) -> Self {
        Self { trust: AtomicU32::new(0), spots }
    }

    /// Waits for a spot, where the steps are quick: those of many messages then take turns, and not each a thread.
    pub(crate) async fn spot(&self) -> Spot<'_> {
        if self.trust.load(Ordering::Relaxed) < TRUSTED {
            return Spot(None);
        }
        if let Ok(spot) = self.spots.steps.try_acquire() {
            return Spot(Some(spot));
        }
        Spot(timeout(PATIENCE, self.spots.steps.acquire()).await.ok().and_then(Result::ok))
    }

    /// Runs `work`, and survives its panic.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T, Panicked> {
        self.run_on(&Spot(None), work)
    }

    /// As [`Pace::run`], on a spot that was waited for.
    pub(crate) fn run_on<T>(&self, spot: &Spot<'_>, work: impl FnOnce() -> T) -> Result<T, Panicked> {
        let began = Instant::now();
        let trust = self.trust.load(Ordering::Relaxed);
        let (done, worked) = self.place((trust, spot), || {
            // To ask costs as much as a quick step: it is done where there is a doubt.
            let before = (trust < MOST).then(processor_time);
            let done = catch_unwind(AssertUnwindSafe(work));
            (done, before.map(|before| processor_time().saturating_sub(before)))
        });
        let took = Some(began.elapsed()).filter(|took| *took >= WAITED || worked.is_none());
        let took = took.or(worked).unwrap_or_default();
        let trust = match took {
            _ if took < QUICK => (trust + 1).min(MOST),
            // Of a run whose work was not measured only the clock speaks: the next will be measured.
            _ if took < SLOW || worked.is_none() && took < WAITED => trust.saturating_sub(LOST),
            _ => 0,
        };
        // Two at once may lose one's word: it is an estimate.
        self.trust.store(trust, Ordering::Relaxed);
        done.map_err(|panic| Panicked(words(panic.as_ref())))
    }

    fn place<T>(&self, (trust, spot): (u32, &Spot<'_>), work: impl FnOnce() -> T) -> T {
        if spot.0.is_some() {
            return work();
        }
        if trust >= TRUSTED
            && let Ok(_spot) = self.spots.steps.try_acquire()
        {
            return work();
        }
        aside(work)
    }
}

/// Does what waits for something else, without keeping an async thread from the others.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // A runtime of one thread has nowhere else to go.
        _ => work(),
    }
}

/// How long the processor has worked for this thread.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// What a panic said, without the values of a message: only its fixed text is kept.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    match panic.downcast_ref::<&'static str>() {
        Some(fixed) => format!("it panicked: {fixed}"),
        None => "it panicked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Poll};

    use super::*;

    fn trusted(spots: &Spots) -> Pace {
        let pace = Pace::new(spots.clone());
        (0..TRUSTED).for_each(|_| drop(pace.run(|| ())));
        pace
    }

    #[tokio::test]
    async fn quick_steps_take_turns_on_the_spots_there_are() {
        let spots = Spots::new(1);
        let (first, second) = (trusted(&spots), trusted(&spots));
        let spot = first.spot().await;
        let mut waiting = Box::pin(second.spot());
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        drop(spot);
        assert!(waiting.await.0.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn steps_that_hang_on_all_spots_keep_no_message_waiting_for_long() {
        let spots = Spots::new(1);
        let (hanging, other) = (trusted(&spots), trusted(&spots));
        let _spot = hanging.spot().await;
        assert!(other.spot().await.0.is_none(), "it goes on without one");
    }

    #[tokio::test]
    async fn steps_that_are_not_known_to_be_quick_wait_for_no_spot() {
        let spots = Spots::new(1);
        let quick = trusted(&spots);
        let _spot = quick.spot().await;
        let fresh = Pace::new(spots.clone());
        let asked = pin!(fresh.spot());
        let Poll::Ready(spot) = futures_util::poll!(asked) else { panic!("it waits") };
        assert!(spot.0.is_none());
    }
}
