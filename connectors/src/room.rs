//! Room in memory for what comes in pieces: all that is on its way in at one source shares it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// An instance is in memory until so much of it has come.
pub(crate) const LEAST_MEMORY: usize = 2 << 20;
pub(crate) const NO_MEMORY: &str = "is less than an instance takes until it goes to the disk: two megabytes";

/// How much is left.
#[derive(Debug)]
pub(crate) struct Room(AtomicUsize);

/// What one of those that come has taken; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: Arc<Room>,
    taken: usize,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(bytes)))
    }

    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { room: Arc::clone(self), taken: 0 }
    }
}

impl Share {
    /// Takes so much more; whether there was as much. Nobody waits for room: two halves could wait for each other.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = |left: usize| left.checked_sub(bytes);
        let had = self.room.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok();
        self.taken += if had { bytes } else { 0 };
        had
    }

    /// Gives all of it back.
    pub(crate) fn clear(&mut self) {
        self.room.0.fetch_add(self.taken, Ordering::Relaxed);
        self.taken = 0;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_gives_back_another_takes() {
        let room = Room::new(10);
        let (mut one, mut other) = (room.share(), room.share());
        assert!(one.take(6) && !other.take(5) && other.take(4) && !one.take(1));
        one.clear();
        assert!(other.take(6));
        drop(other);
        assert!(one.take(10));
    }
}
