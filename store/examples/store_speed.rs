//! Measures whole lives: keep, queue, begin, settle, each durable before the next, so many at once.
//!
//! `cargo run --release -p store --example store_speed [SECONDS]`

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use engine::{
    Arrival, AttemptEnd, Content, DeliveryId, Facts, Hash, Message, MessageState, NewDelivery, OtherBytes,
    Outcome, Owed, Part, Processed, Reading, RepeatPolicy, Repeats, Response, Settlement, Store, Tally,
    Texts,
};
use store::Sqlite;

/// A middling ORU^R01.
const BODY: usize = 1500;

#[tokio::main]
async fn main() {
    let seconds = std::env::args().nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(10);
    println!("whole lives of messages of {BODY} bytes: keep, queue (one delivery), begin, settle;");
    println!("so many senders at once, each write durable before the next of its message; {seconds} s each");
    for senders in [1, 64, 512] {
        let (lives, size, worst) = measure(senders, Duration::from_secs(seconds)).await;
        let rate = lives / seconds.max(1);
        println!(
            "{senders:>4} at once: {rate:>7} messages/s, slowest life {worst:?}, {} MB on disk",
            size / 1_000_000
        );
    }
}

async fn measure(senders: usize, time: Duration) -> (u64, u64, Duration) {
    let folder = tempfile::tempdir_in(".").expect("the current folder can be written");
    let store = Arc::new(Sqlite::open(folder.path()).expect("a new folder makes a new store"));
    let lives = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + time;
    let body = Content::from(vec![b'x'; BODY]);
    let senders: Vec<_> = (0..senders)
        .map(|_| {
            let (store, lives, body) = (Arc::clone(&store), Arc::clone(&lives), body.clone());
            tokio::spawn(async move { live_until(end, &store, &lives, &body).await })
        })
        .collect();
    let mut worst = Duration::ZERO;
    for sender in senders {
        worst = worst.max(sender.await.expect("a sender does not panic"));
    }
    let size = engine::History::size(&*store);
    (lives.load(Ordering::SeqCst), size, worst)
}

async fn live_until(end: Instant, store: &Sqlite, lives: &AtomicU64, body: &Content) -> Duration {
    let mut worst = Duration::ZERO;
    while Instant::now() < end {
        let began = Instant::now();
        live(store, body).await.expect("the store writes");
        worst = worst.max(began.elapsed());
        lives.fetch_add(1, Ordering::SeqCst);
    }
    worst
}

async fn live(store: &Sqlite, body: &Content) -> Result<(), engine::StoreError> {
    let arrival = arrival(store, body);
    let delivery = store.next_delivery();
    let processed = processed(&arrival.message, delivery);
    store.keep(vec![arrival]).await?;
    store.queue(processed).await?;
    store.begin(delivery, None, 0).await?;
    let response = Response { body: Some(b"MSH|^~\\&|A|B\rMSA|AA|1\r"[..].into()), facts: Facts::new() };
    let tally = Tally { attempts: 1, ..Tally::default() };
    store
        .settle(
            delivery,
            Settlement { end: AttemptEnd::Sent(response), tally, followers: Vec::new(), attempt: None },
        )
        .await
        .map(drop)
}

fn processed(message: &Message, delivery: DeliveryId) -> Processed {
    let delivery = NewDelivery {
        id: delivery,
        destination: "record".to_owned(),
        effect: message.effect("lab", 0, "record", 0),
        keys: Vec::new(),
        after: None,
        body: None,
        texts: Texts::new(),
    };
    let control_id = message.control_id.clone();
    Processed {
        channel: "lab".into(),
        message: message.id,
        version: Hash::of(&[b"version"]),
        state: MessageState::Queued,
        outcome: Outcome::Accepted,
        inputs: None,
        parts: vec![Part { place: None, control_id, body: None, halt: None, deliveries: vec![delivery] }],
        expected: Vec::new(),
        joins: None,
        ran: None,
    }
}

fn arrival(store: &Sqlite, body: &Content) -> Arrival {
    let id = store.next_message();
    let control_id = format!("MSG{:08}", id.0);
    let reading = Reading {
        sender: "LAB|HOP".to_owned(),
        control_id: Some(control_id.clone()),
        kind: Some("ORU^R01".to_owned()),
        keys: vec![("patient".to_owned(), format!("IPP{:06}", id.0 % 50_000))],
        flags: Vec::new(),
        study: None,
    };
    let identity = Hash::of(&[b"LAB|HOP", control_id.as_bytes(), &body.hash().0]);
    let mut facts = Facts::new();
    facts.insert("peer".to_owned(), "10.0.0.7:51234".into());
    let message = Message {
        id,
        body: body.clone(),
        facts: Arc::new(facts),
        control_id: Some(control_id),
        identity,
        received: SystemTime::now(),
    };
    Arrival {
        channel: "lab".into(),
        message,
        reading,
        study: None,
        version: Hash::of(&[b"version"]),
        repeats: Repeats {
            policy: RepeatPolicy::Accept,
            window: Duration::from_hours(24),
            others: OtherBytes::Flag,
        },
        supersedes: None,
        again: None,
        closed: None,
        answer: Owed::Owed,
        effect: None,
        batch: None,
        gathers: None,
    }
}
