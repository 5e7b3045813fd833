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
    sync::Semaphore,
    task::JoinHandle,
};

/// Above this, work leaves the async threads.
const QUICK: Duration = Duration::from_millis(1);

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

/// A panic, in its own words.
pub(crate) struct Panicked(pub(crate) String);

impl Pace {
    pub(crate) fn new(spots: Spots) -> Self {
        Self { trust: AtomicU32::new(0), spots }
    }

    /// Runs `work`, and survives its panic.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T, Panicked> {
        let began = Instant::now();
        let trust = self.trust.load(Ordering::Relaxed);
        let (done, worked) = self.place(trust, || {
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

    fn place<T>(&self, trust: u32, work: impl FnOnce() -> T) -> T {
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
