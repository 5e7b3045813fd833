//! Where steps are run: on the spot while they are quick, out of the way when they are not.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
};

/// Above this, work leaves the async threads.
const QUICK: Duration = Duration::from_millis(1);

/// So many quick runs in a row earn a channel its place on the async threads.
const TRUSTED_AFTER: u32 = 64;

/// How the steps of one channel have behaved so far.
pub(crate) struct Pace {
    quick_in_a_row: AtomicU32,
    spots: Spots,
}

/// How many steps may run on the async threads at once, over all channels: fewer than there are
/// threads, so that even steps that suddenly hang leave the others a thread.
#[derive(Clone)]
pub struct Spots(Arc<Semaphore>);

impl Spots {
    pub fn new(spots: usize) -> Self {
        Self(Arc::new(Semaphore::new(spots)))
    }
}

/// A panic, in its own words.
pub(crate) struct Panicked(pub(crate) String);

impl Pace {
    pub(crate) fn new(spots: Spots) -> Self {
        Self { quick_in_a_row: AtomicU32::new(0), spots }
    }

    /// Runs `work`, and survives its panic.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T, Panicked> {
        let began = Instant::now();
        let done = self.place(|| catch_unwind(AssertUnwindSafe(work)));
        if began.elapsed() < QUICK {
            self.quick_in_a_row.fetch_add(1, Ordering::SeqCst);
        } else {
            self.quick_in_a_row.store(0, Ordering::SeqCst);
        }
        done.map_err(|panic| Panicked(words(panic.as_ref())))
    }

    fn place<T>(&self, work: impl FnOnce() -> T) -> T {
        let trusted = self.quick_in_a_row.load(Ordering::SeqCst) >= TRUSTED_AFTER;
        if trusted && let Ok(_spot) = self.spots.0.try_acquire() {
            return work();
        }
        // A runtime of one thread has nowhere else to go.
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
            _ => work(),
        }
    }
}

/// What a panic said, without the values of a message: only its fixed text is kept.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    match panic.downcast_ref::<&'static str>() {
        Some(fixed) => format!("it panicked: {fixed}"),
        None => "it panicked".to_owned(),
    }
}
