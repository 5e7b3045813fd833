//! One destination of a channel and its queue. It outlives reloads: only its [`Conduct`] changes.

mod attempt;
mod conduct;
mod follow;
mod guard;
mod lanes;
mod person;
mod reading;
mod verdict;
mod view;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

pub(crate) use conduct::Conduct;
pub(crate) use person::{Withdrawn, position_of};
pub use view::{HeadView, OutletView};

use crate::{
    Content, Directory, Hash, Message, MessageId, Observer, Order, Piece, Position, QueueMode, Response,
    Stop, Store, Texts, Waiting,
    arrivals::Arrivals,
    outlet::lanes::{Lanes, Until, Watcher},
    pace,
};

/// How many fresh payloads an outlet keeps in memory; the rest is read back from the store.
const FRESH: usize = 2048;
/// Nor more than about so many bytes.
const FRESH_BYTES: usize = 16 << 20;

/// How long to wait before asking a store that failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct Outlet {
    channel: Arc<str>,
    directory: Arc<dyn Directory>,
    name: String,
    store: Arc<dyn Store>,
    observer: Arc<dyn Observer>,
    arrivals: Arc<Arrivals>,
    /// What of the queue is in memory. The store is the queue.
    lanes: Mutex<Lanes>,
    /// Taken while what lies in the store alone must not be read into memory: a person changes it, or a page is read.
    still: tokio::sync::Mutex<()>,
    /// There is something to read, and room for it.
    more: Notify,
    /// How often in a row the queue could not be read, and why.
    blind: Mutex<Option<(u32, String)>>,
    /// `None`: the channel's file names it no more; what waits is kept.
    conduct: RwLock<Option<Arc<Conduct>>>,
    /// Those whose `after:` names this one.
    followers: RwLock<Vec<Weak<Outlet>>>,
    held: AtomicBool,
    wake: Notify,
}

/// What a young delivery needs to be sent, before it must be read back from the store.
#[derive(Clone)]
pub(crate) struct Fresh {
    pub(crate) message: Message,
    pub(crate) piece: Piece,
    pub(crate) effect: Hash,
    pub(crate) body: Option<Content>,
    pub(crate) texts: Texts,
}

impl Fresh {
    /// About as many bytes as it holds alone.
    fn weight(&self) -> usize {
        let own = self.body.as_ref().filter(|body| **body != self.message.body);
        1000 + self.message.body.weight() + own.map_or(0, Content::weight)
    }
}

/// What a sender that waits hears of one delivery.
#[derive(Debug, Clone)]
pub(crate) enum Tried {
    Sent(Response),
    GivenUp {
        code: Option<String>,
        response: Option<Response>,
    },
    /// It is durable, and will be sent when it can.
    Queued,
    /// Left out after all.
    Dropped,
}

impl Tried {
    pub(crate) fn ended(&self, destination: &str) -> crate::Ended {
        let (state, response) = match self {
            Self::Sent(response) => ("sent", Some(response.clone())),
            Self::GivenUp { response, .. } => ("given_up", response.clone()),
            Self::Queued => ("queued", None),
            Self::Dropped => ("dropped", None),
        };
        crate::Ended { destination: destination.to_owned(), state, response }
    }
}

/// What an outlet shares with its channel.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) channel: Arc<str>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) arrivals: Arc<Arrivals>,
}

impl Outlet {
    pub(crate) fn new(name: &str, shared: Shared) -> Self {
        let Shared { channel, directory, store, observer, arrivals } = shared;
        let lanes = Lanes::new(Order::Arrival, store.read_ahead());
        Self {
            channel,
            directory,
            name: name.to_owned(),
            store,
            observer,
            arrivals,
            lanes: Mutex::new(lanes),
            still: tokio::sync::Mutex::default(),
            more: Notify::new(),
            blind: Mutex::default(),
            conduct: RwLock::default(),
            followers: RwLock::default(),
            held: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the settings now in force; `None` detaches it.
    pub(crate) fn conduct_by(&self, conduct: Option<Arc<Conduct>>) {
        if let Some(conduct) = &conduct {
            self.lanes().reorder(conduct.plan.order);
        }
        *self.conduct.write().unwrap_or_else(PoisonError::into_inner) = conduct;
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    /// The settings in force.
    pub(crate) fn conducted(&self) -> Option<Arc<Conduct>> {
        self.conduct()
    }

    /// How many workers it wants; none while it is detached.
    pub(crate) fn wanted_workers(&self) -> usize {
        self.conduct().map_or(0, |conduct| conduct.workers())
    }

    pub(crate) fn followed_by(&self, followers: Vec<Weak<Outlet>>) {
        *self.followers.write().unwrap_or_else(PoisonError::into_inner) = followers;
    }

    pub(crate) fn queue_mode(&self) -> QueueMode {
        self.conduct().map_or(QueueMode::Always, |conduct| conduct.plan.queue)
    }

    pub(crate) fn after(&self) -> Option<String> {
        self.conduct().and_then(|conduct| conduct.plan.after.clone())
    }

    /// Takes a delivery that is durable. With `watch`, returns where its first try will be told.
    pub(crate) fn enqueue(
        &self,
        waiting: Waiting,
        fresh: Fresh,
        watch: bool,
    ) -> Option<oneshot::Receiver<Tried>> {
        let until = if self.queue_mode() == QueueMode::Never { Until::End } else { Until::FirstTry };
        let (watcher, tried) = if watch {
            let (tell, told) = oneshot::channel();
            (Some(Watcher { tell, until }), Some(told))
        } else {
            (None, None)
        };
        let mut lanes = self.lanes();
        let is_little = (lanes.len() + 1) * fresh.weight() < FRESH_BYTES;
        let fresh = (lanes.len() < FRESH && is_little).then_some(fresh);
        lanes.insert(waiting, fresh, watcher);
        if !self.may_send() {
            lanes.tell_all_queued();
        }
        drop(lanes);
        self.wake.notify_one();
        tried
    }

    /// Sends what is ready, one after the other, until asked to stop or until the worker is one too many. The first
    /// worker's task reads on too, so that there is something to send.
    pub(crate) async fn work(self: Arc<Self>, worker: usize, stop: Stop) {
        if worker == 0 {
            tokio::join!(self.send_all(worker, &stop), self.read_on(&stop), self.try_opening(&stop));
        } else {
            self.send_all(worker, &stop).await;
        }
    }

    /// Opens the connector before there is anything to send, so that one that cannot be opened is told of at once.
    async fn try_opening(&self, stop: &Stop) {
        let Some(conduct) = self.conduct() else { return };
        let opened = tokio::select! {
            opened = conduct.destination() => opened.map(drop),
            () = stop.requested() => return,
        };
        if let Err(error) = opened {
            tracing::warn!(channel = %self.channel, destination = %self.name, %error, "the destination cannot be opened; the first delivery will try again");
        }
    }

    async fn send_all(&self, worker: usize, stop: &Stop) {
        loop {
            match AssertUnwindSafe(self.next(worker, stop)).catch_unwind().await {
                // Apart: a worker with nothing to do holds no room for an attempt.
                Ok(Some((position, conduct))) => Box::pin(self.attempt(position, &conduct, stop)).await,
                Ok(None) => return,
                Err(panic) => self.worker_broke(&pace::words(panic.as_ref()), stop).await,
            }
        }
    }

    /// Waits for a delivery that may go, and takes it.
    async fn next(&self, worker: usize, stop: &Stop) -> Option<(Position, Arc<Conduct>)> {
        while !stop.is_requested() {
            let moved = self.arrivals.moved();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let pause = match self.conduct() {
                Some(conduct) if worker >= conduct.workers() => {
                    // What woke it may have been meant for one that stays.
                    self.wake.notify_one();
                    return None;
                }
                Some(conduct) => match self.take(&conduct) {
                    Next::Take(position) => return Some((position, conduct)),
                    Next::Pause(pause) => pause,
                },
                None => None,
            };
            let until = pause.unwrap_or_else(|| Instant::now() + Duration::from_hours(1));
            tokio::select! {
                () = self.wake.notified() => {}
                () = moved => {}
                () = tokio::time::sleep_until(until) => {}
                () = stop.requested() => {}
            }
        }
        None
    }

    fn take(&self, conduct: &Conduct) -> Next {
        if self.is_held() {
            return Next::Pause(None);
        }
        let closed = conduct.closed_for(SystemTime::now());
        if !closed.is_zero() {
            return Next::Pause(Some(Instant::now() + closed));
        }
        self.read_if_wanted();
        let mut lanes = self.lanes();
        if !lanes.has_ready() && lanes.next_wake().is_none_or(|when| when > Instant::now()) {
            return Next::Pause(lanes.next_wake());
        }
        if let Some(when) = conduct.next_turn(Instant::now()) {
            return Next::Pause(Some(when));
        }
        let Some(position) = lanes.take(self.arrivals.first(), Instant::now()) else {
            return Next::Pause(lanes.next_wake());
        };
        conduct.take_turn(Instant::now());
        if lanes.has_ready() {
            // One wake stands for many deliveries: each worker wakes the next.
            self.wake.notify_one();
        }
        Next::Take(position)
    }

    fn may_send(&self) -> bool {
        let open = self.conduct().is_some_and(|conduct| conduct.closed_for(SystemTime::now()).is_zero());
        open && !self.is_held()
    }

    pub(crate) fn is_by_key(&self) -> bool {
        self.conduct().is_some_and(|conduct| conduct.plan.order == Order::Key)
    }

    /// Holds back what must not overtake a message that waits for a code; `None`: everything younger.
    pub(crate) fn bar(&self, message: MessageId, keys: Option<&[String]>) {
        self.lanes().bar(message, keys);
    }

    pub(crate) fn unbar(&self, message: MessageId) {
        self.lanes().unbar(message);
        self.wake.notify_one();
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    /// Holds or releases; durable where [`crate::Channel`] wrote it before.
    pub(crate) fn set_held(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
        if held {
            self.lanes().tell_all_queued();
        }
        self.wake.notify_one();
    }

    fn conduct(&self) -> Option<Arc<Conduct>> {
        self.conduct.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Next {
    Take(Position),
    /// Nothing may go before; `None`: until something changes.
    Pause(Option<Instant>),
}
