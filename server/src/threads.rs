//! The threads of the process: those that take messages, and those that send.

use std::{io, num::NonZero, thread::available_parallelism};

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads for deliveries alone, so that a thousand senders do not keep them waiting.
pub(crate) struct Sends(Option<Runtime>);

impl Sends {
    pub(crate) fn start() -> io::Result<Self> {
        runtime().map(|runtime| Self(Some(runtime)))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it runs until it is dropped").handle()
    }
}

impl Drop for Sends {
    /// The channels have joined what they sent with; whatever else there is holds nobody up.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Threads that take messages and serve people, or those that send. More than processors: steps that hang leave the other
/// channels some. Scripts nest deeply: their stacks are reserved, and cost memory only where they are used.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(workers()).thread_stack_size(100 << 20).enable_all().build()
}

/// How many threads a runtime has.
pub(crate) fn workers() -> usize {
    available_parallelism().map_or(2, NonZero::get) * 2
}
