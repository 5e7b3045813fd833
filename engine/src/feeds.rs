//! The inlets of channels that other channels feed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::Inlet;

/// Finds the inlet of a channel by its name. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Feeds(Arc<Mutex<HashMap<String, Inlet>>>);

impl Feeds {
    /// Opens a channel to being fed, until the guard is dropped.
    #[must_use]
    pub fn offer(&self, channel: &str, inlet: Inlet) -> Offer {
        self.lock().insert(channel.to_owned(), inlet.clone());
        Offer { feeds: self.clone(), channel: channel.to_owned(), inlet }
    }

    /// The inlet of a channel that runs and takes what others feed it.
    pub fn find(&self, channel: &str) -> Option<Inlet> {
        self.lock().get(channel).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Inlet>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As long as it lives, the channel can be fed.
pub struct Offer {
    feeds: Feeds,
    channel: String,
    inlet: Inlet,
}

impl Drop for Offer {
    fn drop(&mut self) {
        let mut feeds = self.feeds.lock();
        // A reload may have offered the channel anew before this one let go.
        if feeds.get(&self.channel).is_some_and(|offered| offered.is(&self.inlet)) {
            feeds.remove(&self.channel);
        }
    }
}
