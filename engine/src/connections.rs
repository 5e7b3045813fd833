//! The open connections of a channel: who is at the other end, since when, and when the last byte went either way.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// Those of a source, or, made by [`Connections::to`], those to one of its destinations. All clones are one.
#[derive(Clone, Default)]
pub struct Connections {
    all: Arc<All>,
    /// `None`: of the source.
    destination: Option<Arc<str>>,
}

#[derive(Default)]
struct All {
    /// Senders that are in, for the channel's metrics.
    senders: AtomicI64,
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Open>>,
}

struct Open {
    destination: Option<Arc<str>>,
    line: Arc<Line>,
}

/// One connection, however many are shown it.
struct Line {
    peer: SocketAddr,
    since: SystemTime,
    /// When the certificate that the peer showed ends.
    certificate: Option<SystemTime>,
    /// In milliseconds since 1970; 0 while there was none.
    came: AtomicU64,
    went: AtomicU64,
}

/// One connection, until it is dropped.
pub struct Connected {
    all: Arc<All>,
    number: u64,
    line: Arc<Line>,
}

/// One connection as a person sees it. No content of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionView {
    /// `None`: a sender.
    pub destination: Option<String>,
    pub peer: SocketAddr,
    pub since: SystemTime,
    /// When the certificate that the peer showed ends, where it showed one.
    pub certificate: Option<SystemTime>,
    /// When the last byte came from the peer, and when the last one went to it.
    pub came: Option<SystemTime>,
    pub went: Option<SystemTime>,
}

impl Connections {
    /// Those to one of the channel's destinations.
    #[must_use]
    pub fn to(&self, destination: &str) -> Self {
        Self { all: Arc::clone(&self.all), destination: Some(destination.into()) }
    }

    /// A sender is in.
    pub fn enter(&self) {
        self.all.senders.fetch_add(1, Ordering::SeqCst);
    }

    pub fn leave(&self) {
        self.all.senders.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many senders are in.
    pub fn senders(&self) -> i64 {
        self.all.senders.load(Ordering::SeqCst)
    }

    /// Shows a connection as long as what is given back lives.
    #[must_use]
    pub fn show(&self, peer: SocketAddr, certificate: Option<SystemTime>) -> Connected {
        self.list(Arc::new(Line {
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            since: SystemTime::now(),
            certificate,
            came: AtomicU64::new(0),
            went: AtomicU64::new(0),
        }))
    }

    fn list(&self, line: Arc<Line>) -> Connected {
        let number = self.all.next.fetch_add(1, Ordering::Relaxed);
        let open = Open { destination: self.destination.clone(), line: Arc::clone(&line) };
        self.all.lock().insert(number, open);
        Connected { all: Arc::clone(&self.all), number, line }
    }

    /// At most so many of them, those that opened last first, and how many there are.
    pub fn view(&self, most: usize) -> (Vec<ConnectionView>, usize) {
        let open = self.all.lock();
        (open.values().rev().take(most).map(Open::view).collect(), open.len())
    }
}

impl All {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn view(&self) -> ConnectionView {
        ConnectionView {
            destination: self.destination.as_deref().map(str::to_owned),
            peer: self.line.peer,
            since: self.line.since,
            certificate: self.line.certificate,
            came: time(&self.line.came),
            went: time(&self.line.went),
        }
    }
}

impl Connected {
    /// Shows the same connection among others too: those of a channel that shares it.
    #[must_use]
    pub fn also(&self, among: &Connections) -> Self {
        among.list(Arc::clone(&self.line))
    }

    /// Bytes came from the peer.
    pub fn came(&self) {
        self.line.came.store(now(), Ordering::Relaxed);
    }

    /// Bytes went to the peer.
    pub fn went(&self) {
        self.line.went.store(now(), Ordering::Relaxed);
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.all.lock().remove(&self.number);
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: &AtomicU64) -> Option<SystemTime> {
    let millis = Some(millis.load(Ordering::Relaxed)).filter(|millis| *millis > 0)?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_shown_with_its_last_bytes_until_it_is_dropped() {
        let (here, peer) = (Connections::default(), SocketAddr::from(([10, 0, 0, 9], 2575)));
        let sender = here.show(peer, None);
        let receiver = here.to("record").show(peer, Some(SystemTime::UNIX_EPOCH));
        sender.came();
        let (shown, all) = here.view(10);
        assert_eq!(all, 2);
        let newest = shown.first().unwrap();
        assert_eq!((newest.destination.as_deref(), newest.came), (Some("record"), None));
        assert!(shown[1].destination.is_none() && shown[1].came.is_some() && shown[1].went.is_none());
        assert_eq!(here.view(1).0.len(), 1, "no more than was asked for");
        let there = Connections::default();
        let shared = sender.also(&there);
        shared.went();
        assert_eq!(there.view(1).0[0].went, here.view(10).0[1].went);
        drop(sender);
        assert_eq!((here.view(10).1, there.view(10).1), (1, 1), "each until its own is dropped");
        drop(shared);
        assert_eq!(there.view(10).1, 0);
        drop(receiver);
        assert_eq!(here.view(10), (vec![], 0));
    }
}
