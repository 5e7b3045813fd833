//! One request to stop, heard by all who wait for it.

use std::sync::Arc;

use tokio::sync::watch;

/// Asks to stop, or waits for being asked. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }
}

impl Stop {
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once somebody asked, at once if somebody already has. Safe to cancel.
    pub async fn requested(&self) {
        // The sender lives in `self`, so the wait cannot end in an error.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }
}
