//! The peer that receives: answers at once, and sees whether anything comes twice, out of order or not at all.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use connectors::mllp::frame::{Found, Marks, Reader};
use tokio::{
    io::AsyncWriteExt as _,
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

/// The longest message taken.
const LONGEST: usize = 64_000_000;

/// Within what the messages must come in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Of each sending connection: its next message goes when the last one is answered.
    Arrival,
    /// Of each patient.
    Patient,
    /// Not looked at: each comes several times.
    None,
}

/// A receiving peer, up or down.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

/// What its connections share.
struct Shared {
    delivered: Arc<Delivered>,
    order: Order,
    /// The last of each, in order: connection and number.
    last: Mutex<HashMap<u64, (u64, u64)>>,
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

    /// Takes this port.
    pub(super) async fn at(
        address: SocketAddr,
        order: Order,
        delivered: Arc<Delivered>,
    ) -> Result<Self, Complaint> {
        let shared = Arc::new(Shared {
            delivered,
            order,
            last: Mutex::default(),
            repeated: AtomicU64::new(0),
            out_of_order: AtomicU64::new(0),
            waits: Histogram::default(),
            stuck: watch::Sender::new(None),
        });
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

/// One connection. What came together is answered together.
async fn attend(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut stuck = shared.stuck.subscribe();
    let mut reader = Reader::new(Marks::default(), LONGEST);
    let mut answers = Vec::new();
    if stream.set_nodelay(true).is_err() {
        return;
    }
    loop {
        match reader.find() {
            Some(Found::Frame(message)) => {
                let Some(mark) = Mark::read(&message) else { return };
                // It cannot fail: we hold what it hears.
                let _ = stuck.wait_for(|patient| *patient != Some(mark.patient)).await;
                shared.take(mark);
                answer(&message, &mut answers);
                continue;
            }
            Some(Found::TooLong(_)) => return,
            Some(Found::Stray(_) | Found::Part { .. }) => continue,
            None => {}
        }
        if stream.write_all(&answers).await.is_err() {
            return;
        }
        answers.clear();
        match reader.read_from(&mut stream).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

impl Shared {
    fn take(&self, mark: Mark) {
        self.waits.add(oru::now().saturating_sub(mark.sent));
        let key = match self.order {
            Order::None => return self.delivered.add(),
            Order::Arrival => mark.connection,
            Order::Patient => mark.patient,
        };
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

/// Adds an answer of a fixed form, without parsing: the peer must cost little.
pub(super) fn answer(message: &Bytes, answers: &mut Vec<u8>) {
    let control_id = message.split(|byte| *byte == b'|').nth(9).unwrap_or_default();
    answers.extend_from_slice(b"\x0bMSH|^~\\&|PEER||||20260301080000||ACK|");
    answers.extend_from_slice(control_id);
    answers.extend_from_slice(b"|P|2.5\rMSA|AA|");
    answers.extend_from_slice(control_id);
    answers.extend_from_slice(b"\r\x1c\x0d");
}
