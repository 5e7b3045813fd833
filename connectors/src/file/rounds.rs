//! Makes the entries of a folder durable: those who ask while the disk is at it share the next time.
//!
//! A sync covers what stood in the folder when it began, and nothing that came later. So whoever asks waits for one that
//! began after he asked: his own, or that of another who came meanwhile.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

use rustix::{
    fs::{fstat, fsync},
    io::Errno,
};

/// The folders that are being synced.
#[derive(Default)]
pub(super) struct Folders(Mutex<HashMap<Inode, Weak<Syncs>>>);

/// A file system, and what bears this number in it while somebody has it open.
type Inode = (u64, u64);

/// The syncs of one folder, one after the other.
#[derive(Default)]
struct Syncs {
    /// The one that has not begun.
    next: Mutex<Arc<Round>>,
    turn: Mutex<()>,
}

/// What one sync came to.
type Round = OnceLock<Result<(), Errno>>;

impl Folders {
    /// Returns when a sync has ended that began after this was called, with what it came to.
    pub(super) fn sync(&self, folder: &OwnedFd) -> Result<(), Errno> {
        let stat = fstat(folder)?;
        self.syncs((stat.st_dev, stat.st_ino)).join(|| fsync(folder))
    }

    fn syncs(&self, inode: Inode) -> Arc<Syncs> {
        let mut folders = lock(&self.0);
        if let Some(syncs) = folders.get(&inode).and_then(Weak::upgrade) {
            return syncs;
        }
        folders.retain(|_, syncs| syncs.strong_count() > 0);
        let syncs = Arc::default();
        folders.insert(inode, Arc::downgrade(&syncs));
        syncs
    }
}

impl Syncs {
    fn join(&self, sync: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let mine = Arc::clone(&lock(&self.next));
        let _turn = lock(&self.turn);
        if let Some(done) = mine.get() {
            return *done;
        }
        // Whoever comes from now on may have been too late for this one.
        *lock(&self.next) = Arc::default();
        *mine.get_or_init(sync)
    }
}

/// Of a round that panicked nothing is known: the next in turn does it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    /// What three are told of whom two came while the first one's sync was at work; the later syncs come to `later`.
    fn two_come_meanwhile(later: Result<(), Errno>) -> (Result<(), Errno>, Vec<Result<(), Errno>>, usize) {
        let (syncs, count) = (Syncs::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            let mut others = Vec::new();
            let first = syncs.join(|| {
                let next = Arc::clone(&lock(&syncs.next));
                for _ in 0..2 {
                    others.push(scope.spawn(|| {
                        syncs.join(|| {
                            count.fetch_add(1, Ordering::SeqCst);
                            later
                        })
                    }));
                }
                // Both have come when they have asked for the round that this one is not: with ours, four know it.
                while Arc::strong_count(&next) < 4 {
                    thread::yield_now();
                }
                Ok(())
            });
            let told = others.into_iter().map(|other| other.join().unwrap()).collect();
            (first, told, count.load(Ordering::SeqCst))
        })
    }

    #[test]
    fn those_who_come_while_the_disk_is_at_it_share_one_sync_that_begins_later() {
        let (first, others, count) = two_come_meanwhile(Ok(()));
        assert_eq!((first, others, count), (Ok(()), vec![Ok(()), Ok(())], 1));
    }

    #[test]
    fn a_sync_that_failed_has_failed_for_all_who_waited_for_it_and_for_nobody_else() {
        let (first, others, _) = two_come_meanwhile(Err(Errno::IO));
        assert_eq!((first, others), (Ok(()), vec![Err(Errno::IO), Err(Errno::IO)]));
    }

    #[test]
    fn a_folder_is_synced_anew_for_each_who_comes_alone_and_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (syncs, count) = (Syncs::default(), AtomicUsize::new(0));
        for _ in 0..2 {
            let sync = || {
                count.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            syncs.join(sync).unwrap();
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
        let folders = Folders::default();
        for name in ["a", "b"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            folders.sync(&OwnedFd::from(std::fs::File::open(&path).unwrap())).unwrap();
        }
        assert_eq!(lock(&folders.0).len(), 1);
    }
}
