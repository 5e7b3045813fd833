//! The peer that receives: answers at once, and sees whether anything comes twice, out of order or not at all.

mod mllp;
mod web;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{
    delivered::Delivered,
    histogram::Histogram,
    oru::{self, Mark},
};
use crate::cli::Complaint;
pub(super) use mllp::answer;

/// Within what the messages must come in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Of each sending connection: its next message goes when the last one is answered.
    Arrival,
    /// Of each patient.
    Patient,
    /// Not looked at, nor whether anything comes twice: each may be meant to.
    None,
    /// Not looked at; what comes again is repeated.
    Once,
}

/// What it speaks.
#[derive(Debug, Clone, Copy)]
enum Protocol {
    Mllp,
    Http,
}

/// A receiving peer, up or down.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

/// What its connections share.
struct Shared {
    protocol: Protocol,
    delivered: Arc<Delivered>,
    order: Order,
    /// The last of each, where order matters: connection and number.
    last: Mutex<HashMap<u64, (u64, u64)>>,
    /// All of them, where each comes once.
    seen: Mutex<HashSet<(u64, u64)>>,
    repeated: AtomicU64,
    out_of_order: AtomicU64,
    /// From sending the message to its arrival here.
    waits: Histogram,
    /// The patient whose messages stay unanswered.
    stuck: watch::Sender<Option<u64>>,
}

impl Peer {
    /// Takes a port; what comes is counted by `delivered`.
    pub(super) async fn up(order: Order, delivered: Arc<Delivered>) -> Result<Self, Complaint> {
        Self::at(super::ports::free(1)?[0], order, delivered).await
    }

    /// Takes a port as a web server to which each message is put once, in any order.
    pub(super) async fn web(delivered: Arc<Delivered>) -> Result<Self, Complaint> {
        let shared = Shared::new(Protocol::Http, Order::Once, delivered);
        Self::listening(super::ports::free(1)?[0], shared).await
    }

    /// Takes this port.
    pub(super) async fn at(
        address: SocketAddr,
        order: Order,
        delivered: Arc<Delivered>,
    ) -> Result<Self, Complaint> {
        Self::listening(address, Shared::new(Protocol::Mllp, order, delivered)).await
    }

    async fn listening(address: SocketAddr, shared: Shared) -> Result<Self, Complaint> {
        let shared = Arc::new(shared);
        let mut peer = Self { address, shared, listening: None };
        peer.rise().await?;
        Ok(peer)
    }

    /// Listens, where it did before.
    pub(super) async fn rise(&mut self) -> Result<(), Complaint> {
        let listener = TcpListener::bind(self.address)
            .await
            .map_err(|error| Complaint::wrong(format!("cannot receive on {}: {error}", self.address)))?;
        self.listening = Some(tokio::spawn(listen(listener, Arc::clone(&self.shared))));
        Ok(())
    }

    /// Closes its port and every connection.
    pub(super) async fn fall(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            // It ends as it was told.
            let _ = listening.await;
        }
    }

    pub(super) fn delivered(&self) -> &Arc<Delivered> {
        &self.shared.delivered
    }

    pub(super) fn waits(&self) -> &Histogram {
        &self.shared.waits
    }

    /// From now on messages of this patient are read and not answered; `None` answers them.
    pub(super) fn hold(&self, patient: Option<u64>) {
        self.shared.stuck.send_replace(patient);
    }

    pub(super) fn repeated(&self) -> u64 {
        self.shared.repeated.load(Ordering::SeqCst)
    }

    pub(super) fn out_of_order(&self) -> u64 {
        self.shared.out_of_order.load(Ordering::SeqCst)
    }

    /// Fails where order was promised and not kept.
    pub(super) fn require_order(&self) -> Result<(), Complaint> {
        match self.out_of_order() {
            0 => Ok(()),
            number => Err(Complaint::wrong(format!("{number} messages arrived out of order"))),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(attend(stream, Arc::clone(&shared)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn attend(stream: TcpStream, shared: Arc<Shared>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (protocol, stuck) = (shared.protocol, shared.stuck.subscribe());
    let taking = Taking { shared, stuck };
    match protocol {
        Protocol::Mllp => mllp::attend(stream, taking).await,
        Protocol::Http => web::attend(stream, taking).await,
    }
}

/// What one connection does with a message that has come.
struct Taking {
    shared: Arc<Shared>,
    stuck: watch::Receiver<Option<u64>>,
}

impl Taking {
    /// Counts it. One of the patient who is held waits here.
    async fn take(&mut self, mark: Mark) {
        // It cannot fail: we hold what it hears.
        let _ = self.stuck.wait_for(|patient| *patient != Some(mark.patient)).await;
        self.shared.take(mark);
    }
}

impl Shared {
    fn new(protocol: Protocol, order: Order, delivered: Arc<Delivered>) -> Self {
        Self {
            protocol,
            delivered,
            order,
            last: Mutex::default(),
            seen: Mutex::default(),
            repeated: AtomicU64::new(0),
            out_of_order: AtomicU64::new(0),
            waits: Histogram::default(),
            stuck: watch::Sender::new(None),
        }
    }

    fn take(&self, mark: Mark) {
        self.waits.add(oru::now().saturating_sub(mark.sent));
        match self.order {
            Order::None => self.delivered.add(),
            Order::Once => self.take_once(mark),
            Order::Arrival => self.take_in_order(mark, mark.connection),
            Order::Patient => self.take_in_order(mark, mark.patient),
        }
    }

    fn take_once(&self, mark: Mark) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = seen.insert((mark.connection, mark.number));
        drop(seen);
        if is_new {
            self.delivered.add();
        } else {
            self.repeated.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn take_in_order(&self, mark: Mark, key: u64) {
        let here = (mark.connection, mark.number);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.insert(key, here);
        drop(last);
        if before == Some(here) {
            self.repeated.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if before.is_some_and(|before| before > here) {
            self.out_of_order.fetch_add(1, Ordering::SeqCst);
        }
        self.delivered.add();
    }
}
