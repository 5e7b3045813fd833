//! Senders: connections that each send, wait for the answer and send again, as fast as they are answered.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use connectors::mllp::frame::{Found, Marks, Reader};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    sync::Barrier,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{delivered::Delivered, histogram::Histogram, oru::Letters};
use crate::cli::Complaint;

/// How long an answer may take before the measure fails.
const PATIENCE: Duration = Duration::from_mins(2);
/// The longest answer taken.
const LONGEST: usize = 64 * 1024;

/// What is sent.
pub(super) struct Load {
    pub(super) to: SocketAddr,
    pub(super) connections: u16,
    /// So many are under way on each connection.
    pub(super) depth: u16,
    /// No more than so many; without it until told to stop.
    pub(super) count: Option<u64>,
    /// So many each second over all connections; without it as fast as they are answered.
    pub(super) pace: Option<f64>,
    pub(super) delivered: Arc<Delivered>,
}

impl Load {
    /// One message under way on each connection, until told to stop.
    pub(super) fn closed(to: SocketAddr, connections: u16) -> Self {
        let delivered = Arc::new(Delivered::unbounded());
        Self { to, connections, depth: 1, count: None, pace: None, delivered }
    }

    /// As many as fast as can be: to fill a store or a queue.
    pub(super) fn filling(to: SocketAddr, count: u64) -> Self {
        Self { depth: 16, count: Some(count), ..Self::closed(to, 32) }
    }

    /// Opens the connections, all of them before the first message.
    pub(super) async fn start(self) -> Running {
        let shared = Arc::new(Shared {
            begin: Barrier::new(usize::from(self.connections) + 1),
            load: self,
            taken: AtomicU64::new(0),
            tally: Tally::default(),
        });
        let mut senders = JoinSet::new();
        for place in 0..shared.load.connections {
            let shared = Arc::clone(&shared);
            senders.spawn(async move {
                if let Err(why) = send(&shared, place).await {
                    shared.tally.fail(why);
                }
            });
        }
        shared.begin.wait().await;
        Running { shared, senders }
    }
}

/// What came of it so far.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) accepted: AtomicU64,
    pub(super) waits: Histogram,
    stop: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl Tally {
    /// The first failure is the one that is told; all stop.
    fn fail(&self, why: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.stop.store(true, Ordering::SeqCst);
    }

    fn verdict(&self) -> Result<u64, Complaint> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(self.accepted.load(Ordering::SeqCst)),
            Some(why) => Err(Complaint::wrong(format!("the measure does not count: {why}"))),
        }
    }
}

/// Senders at work.
pub(super) struct Running {
    shared: Arc<Shared>,
    senders: JoinSet<()>,
}

impl Running {
    pub(super) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    pub(super) fn delivered(&self) -> &Delivered {
        &self.shared.load.delivered
    }

    pub(super) fn accepted(&self) -> u64 {
        self.shared.tally.accepted.load(Ordering::SeqCst)
    }

    /// Has them stop, each with its last answer; returns how many were accepted in all.
    pub(super) async fn stop(self) -> Result<u64, Complaint> {
        self.shared.tally.stop.store(true, Ordering::SeqCst);
        self.shared.load.delivered.let_go();
        self.finish().await
    }

    /// Waits until the count is sent and answered; returns how many were accepted.
    pub(super) async fn finish(self) -> Result<u64, Complaint> {
        self.senders.join_all().await;
        self.shared.tally.verdict()
    }
}

struct Shared {
    load: Load,
    begin: Barrier,
    taken: AtomicU64,
    tally: Tally,
}

impl Shared {
    /// How many a connection may send next; 0 when it is over.
    fn take(&self) -> u64 {
        if self.tally.stop.load(Ordering::Relaxed) {
            return 0;
        }
        let depth = u64::from(self.load.depth);
        let Some(count) = self.load.count else { return depth };
        let taken = self.taken.fetch_add(depth, Ordering::SeqCst);
        count.saturating_sub(taken).min(depth)
    }
}

async fn send(shared: &Shared, place: u16) -> Result<(), String> {
    let to = shared.load.to;
    let opened = timeout(PATIENCE, TcpStream::connect(to)).await;
    shared.begin.wait().await;
    let stream = opened.map_err(|_| format!("no connection to {to} within two minutes"))?;
    let stream = stream.map_err(|error| format!("cannot connect to {to}: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut line = Line { stream, reader: Reader::new(Marks::default(), LONGEST), asked: VecDeque::new() };
    let mut letters = Letters::new(place, shared.load.connections);
    let mut beat = Beat::new(&shared.load, place);
    let mut frames = Vec::new();
    loop {
        let count = shared.take();
        if count == 0 {
            return Ok(());
        }
        beat.wait().await;
        frames.clear();
        for _ in 0..count {
            shared.load.delivered.wait_for_room().await;
            line.asked.push_back(letters.write(&mut frames));
        }
        line.exchange(&frames, &shared.tally).await?;
    }
}

/// One connection with the control ids whose answers are awaited.
struct Line {
    stream: TcpStream,
    reader: Reader,
    asked: VecDeque<String>,
}

impl Line {
    async fn exchange(&mut self, frames: &[u8], tally: &Tally) -> Result<(), String> {
        let began = Instant::now();
        self.stream.write_all(frames).await.map_err(|error| format!("cannot send: {error}"))?;
        while let Some(control_id) = self.asked.pop_front() {
            let answer = timeout(PATIENCE, self.answer()).await;
            require_accepted(&answer.map_err(|_| "no answer within two minutes".to_owned())??, &control_id)?;
            tally.waits.add(began.elapsed());
            tally.accepted.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn answer(&mut self) -> Result<bytes::Bytes, String> {
        loop {
            match self.reader.find() {
                Some(Found::Frame(answer)) => return Ok(answer),
                Some(_) => return Err("what came back is no answer".to_owned()),
                None => match self.reader.read_from(&mut self.stream).await {
                    Ok(0) => return Err("the connection was closed before the answer".to_owned()),
                    Ok(_) => {}
                    Err(error) => return Err(format!("cannot read the answer: {error}")),
                },
            }
        }
    }
}

/// MSA-1 is positive and MSA-2 names the message. Found without parsing: the sender must cost little.
fn require_accepted(answer: &[u8], control_id: &str) -> Result<(), String> {
    let segment = answer.split(|byte| *byte == b'\r').find(|segment| segment.starts_with(b"MSA|"));
    let mut fields = segment.unwrap_or_default().split(|byte| *byte == b'|').skip(1);
    let code = fields.next().unwrap_or_default();
    if code != b"AA" && code != b"CA" {
        return Err(format!("a message was answered `{}`", String::from_utf8_lossy(code)));
    }
    if fields.next().unwrap_or_default() != control_id.as_bytes() {
        return Err("an answer names another message".to_owned());
    }
    Ok(())
}

/// When the next message is due.
struct Beat {
    next: Instant,
    every: Option<Duration>,
}

impl Beat {
    fn new(load: &Load, place: u16) -> Self {
        let every = load.pace.map(|pace| Duration::from_secs_f64(f64::from(load.connections) / pace));
        // Each connection begins at another moment of the first round.
        let offset = every.unwrap_or_default().mul_f64(f64::from(place) / f64::from(load.connections));
        Self { next: Instant::now() + offset, every }
    }

    async fn wait(&mut self) {
        if let Some(every) = self.every {
            sleep_until(self.next).await;
            self.next += every;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_be_positive_and_name_its_message() {
        let answer = b"MSH|^~\\&|A\rMSA|AA|1-2|words\r";
        assert!(require_accepted(answer, "1-2").is_ok());
        assert!(require_accepted(answer, "1-3").is_err());
        assert!(require_accepted(b"MSH|^~\\&|A\rMSA|AE|1-2\r", "1-2").is_err());
        assert!(require_accepted(b"MSH|^~\\&|A\r", "1-2").is_err());
    }
}
