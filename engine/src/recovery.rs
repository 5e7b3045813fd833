//! Messages that stand between two writes, and who waits for them.
//!
//! A crash or a failing store leaves a message kept and not queued. It is taken up before newer
//! messages of its channel: their second leg waits at the gate until it is through.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{Notify, oneshot, watch};

use crate::{Hash, Message, MessageId, Reply};

pub(crate) struct Recovery {
    underway: Mutex<HashMap<MessageId, Vec<oneshot::Sender<Reply>>>>,
    stranded: Mutex<BTreeMap<MessageId, Stranded>>,
    /// Messages whose senders heard *unavailable* from this run, by identity: a second copy is known here even
    /// where the store could not write what was told.
    disappointed: Mutex<HashMap<Hash, MessageId>>,
    shut: watch::Sender<bool>,
    /// Whether what an earlier run left open is known; the gate stays shut until then.
    looked_back: AtomicBool,
    more: Notify,
}

/// More than this many senders told *unavailable* are not told apart; the store knows them when it writes again.
const REMEMBERED: usize = 100_000;

/// A message to be taken up.
#[derive(Clone)]
pub(crate) struct Stranded {
    pub(crate) message: Message,
    pub(crate) starts: u32,
    pub(crate) marks: u32,
    pub(crate) kept: IsKept,
}

/// Whether the store certainly has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IsKept {
    Yes,
    /// The write failed, and nobody knows whether it took effect.
    Perhaps,
}

impl Default for Recovery {
    /// Starts with the gate shut: what an earlier run left open goes first.
    fn default() -> Self {
        Self {
            underway: Mutex::default(),
            stranded: Mutex::default(),
            disappointed: Mutex::default(),
            shut: watch::Sender::new(true),
            looked_back: AtomicBool::new(false),
            more: Notify::new(),
        }
    }
}

impl Recovery {
    /// Returns once no older message has to be taken up first.
    pub(crate) async fn turn(&self) {
        if *self.shut.borrow() {
            // The sender lives in `self`: the wait cannot end in an error.
            let _ = self.shut.subscribe().wait_for(|shut| !shut).await;
        }
    }

    /// Whether an older message has to be taken up first.
    pub(crate) fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    pub(crate) fn begin(&self, id: MessageId) {
        lock(&self.underway).insert(id, Vec::new());
    }

    /// Tells everybody who waits for this message how it ended.
    pub(crate) fn end(&self, id: MessageId, reply: Option<&Reply>) {
        let waiting = lock(&self.underway).remove(&id).unwrap_or_default();
        for copy in waiting {
            if let Some(reply) = reply {
                let _ = copy.send(reply.clone());
            }
        }
    }

    /// A second copy waits for the answer to the first, if that one is under way.
    pub(crate) fn wait_for(&self, first: MessageId) -> Option<oneshot::Receiver<Reply>> {
        let mut underway = lock(&self.underway);
        let waiting = underway.get_mut(&first)?;
        let (tell, told) = oneshot::channel();
        waiting.push(tell);
        Some(told)
    }

    pub(crate) fn strand(&self, stranded: Stranded) {
        let mut all = lock(&self.stranded);
        self.shut.send_replace(true);
        all.insert(stranded.message.id, stranded);
        drop(all);
        self.more.notify_one();
    }

    /// Takes a message that nobody has taken up yet, so that a second copy may stand for it.
    pub(crate) fn claim(&self, id: MessageId) -> Option<Stranded> {
        lock(&self.stranded).remove(&id)
    }

    /// Remembers that the sender of this message heard *unavailable*.
    pub(crate) fn disappoint(&self, message: &Message) {
        let mut disappointed = lock(&self.disappointed);
        if message.control_id.is_some() && disappointed.len() < REMEMBERED {
            disappointed.insert(message.identity, message.id);
        }
    }

    /// The first copy of this message, if its sender heard *unavailable*.
    pub(crate) fn first_copy(&self, identity: Hash) -> Option<MessageId> {
        lock(&self.disappointed).get(&identity).copied()
    }

    /// The message was never kept, or another copy stands for it.
    pub(crate) fn forget(&self, identity: Hash) {
        lock(&self.disappointed).remove(&identity);
    }

    pub(crate) fn is_underway(&self, id: MessageId) -> bool {
        lock(&self.underway).contains_key(&id)
    }

    /// Takes the oldest up: from here on it is under way.
    pub(crate) fn next(&self) -> Option<Stranded> {
        let mut all = lock(&self.stranded);
        let (id, stranded) = all.pop_first()?;
        self.begin(id);
        Some(stranded)
    }

    /// What an earlier run left open is stranded here now.
    pub(crate) fn look_back(&self) {
        self.looked_back.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_looked_back(&self) -> bool {
        self.looked_back.load(Ordering::SeqCst)
    }

    /// Lets newer messages through, if nothing is left to take up.
    pub(crate) fn open_gate(&self) {
        let all = lock(&self.stranded);
        if all.is_empty() && self.has_looked_back() {
            self.shut.send_replace(false);
        }
    }

    /// There is something to look at, though nothing is stranded.
    pub(crate) fn wake(&self) {
        self.more.notify_one();
    }

    pub(crate) async fn more(&self) {
        self.more.notified().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
