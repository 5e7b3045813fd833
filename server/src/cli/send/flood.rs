//! Many messages over several connections, each answered before the next goes.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Measure,
    wire::{Came, Wire},
};

/// How often the progress is shown.
const SHOWN: Duration = Duration::from_millis(200);

/// What is sent, and how often.
#[derive(Debug)]
pub(crate) struct Flood {
    pub(crate) messages: Vec<Bytes>,
    pub(crate) count: u64,
    pub(crate) connections: u16,
}

/// What one exchange came to: the answer's code and how long it took.
type Ended = Result<(String, Duration), String>;

impl Flood {
    /// Sends them all. A connection that breaks is opened again for the next message.
    pub(crate) async fn pour(self, wire: &Wire) -> Measure {
        let (tell, mut told) = mpsc::channel(1024);
        let count = self.count;
        let shared = Arc::new((self.messages, AtomicU64::new(0), run_name()));
        let mut pouring = JoinSet::new();
        for _ in 0..self.connections {
            pouring.spawn(pour(wire.clone(), Arc::clone(&shared), count, tell.clone()));
        }
        drop(tell);
        let mut measure = Measure::begin();
        let mut progress = Progress::new(count);
        while let Some(ended) = told.recv().await {
            match ended {
                Ok((code, took)) => measure.answered(&code, took),
                Err(why) => measure.failed(why),
            }
            progress.show(&measure);
        }
        measure.end();
        progress.clear();
        // Each ended before it let go of its way to tell.
        pouring.join_all().await;
        measure
    }
}

async fn pour(
    wire: Wire,
    shared: Arc<(Vec<Bytes>, AtomicU64, String)>,
    count: u64,
    tell: mpsc::Sender<Ended>,
) {
    let (messages, next, run) = &*shared;
    let mut open = None;
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= count {
            return;
        }
        let message = &messages[number as usize % messages.len()];
        let message = super::files::numbered(message, run, number + 1).unwrap_or_else(|| message.clone());
        let began = Instant::now();
        let ended = match wire.exchange(&mut open, &message).await {
            Ok(Came { code, .. }) => Ok((code, began.elapsed())),
            Err(why) => Err(why),
        };
        if tell.send(ended).await.is_err() {
            return;
        }
    }
}

/// Tells this run's control ids from those of others: the time in 36 letters and digits, with a separator.
fn run_name() -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut milliseconds = jiff::Timestamp::now().as_millisecond().unsigned_abs();
    let mut name = Vec::new();
    while milliseconds > 0 {
        name.push(char::from(DIGITS[(milliseconds % 36) as usize]));
        milliseconds /= 36;
    }
    name.iter().rev().chain(['-'].iter()).collect()
}

/// A line on a terminal that says how far it is.
struct Progress {
    count: u64,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    fn new(count: u64) -> Self {
        Self { count, shown: None, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, measure: &Measure) {
        if !self.terminal || self.shown.is_some_and(|shown| shown.elapsed() < SHOWN) {
            return;
        }
        self.shown = Some(Instant::now());
        eprint!("\r\u{1b}[K{}", bar(measure.done(), self.count, measure.rate()));
        let _ = std::io::stderr().flush();
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\u{1b}[K");
        }
    }
}

fn bar(done: u64, count: u64, rate: f64) -> String {
    const WIDTH: u64 = 30;
    let full = (done * WIDTH / count.max(1)).min(WIDTH) as usize;
    let rest = WIDTH as usize - full;
    format!("{}{}  {done} of {count}  {rate:.0}/s", "━".repeat(full), "─".repeat(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_when_all_is_done() {
        assert!(bar(10, 10, 5.0).starts_with(&"━".repeat(30)));
        assert!(bar(0, 10, 0.0).starts_with(&"─".repeat(30)));
    }

    #[test]
    fn a_run_name_fits_into_a_control_id_with_its_number() {
        let name = run_name();
        assert!(name.len() <= 10 && name.ends_with('-'), "{name}");
    }
}
