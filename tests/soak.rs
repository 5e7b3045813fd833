//! Two minutes at a steady pace: memory and open files stay flat, and everything that was accepted arrives once, in order.
//!
//! `RELAIS_SOAK=30` makes it last so many minutes; `relais bench soak` measures the same at any pace.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use tests::{Behaviour, Project, Receiver, Relais, Sender, free_port, message, mshfield, wait_until};

const SENDERS: u64 = 4;
/// Between two messages of one sender: some 300 a second of all.
const PACE: Duration = Duration::from_millis(13);
/// A connection carries so many messages, so that what stays of one that is closed is seen as well.
const EACH: u64 = 25;
/// The second half may have more by this part and by so many bytes, as the last caches fill. A kilobyte that stayed of
/// each message would be more.
const PART: f64 = 0.05;
const BYTES: u64 = 8_000_000;
const FILES: u64 = 4;

/// What the server has at one moment.
#[derive(Debug, Clone, Copy)]
struct Held {
    memory: u64,
    files: u64,
}

impl Held {
    fn by(relais: &Relais) -> Self {
        let of = |file: &str| format!("/proc/{}/{file}", relais.process());
        let status = fs::read_to_string(of("status")).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
        let files = fs::read_dir(of("fd")).expect("the server runs").count() as u64;
        Self { memory: kilobytes * 1024, files }
    }
}

fn middle(held: &[Held], figure: impl Fn(&Held) -> u64) -> u64 {
    let mut figures: Vec<u64> = held.iter().map(figure).collect();
    figures.sort_unstable();
    figures[figures.len() / 2]
}

/// Sends its own numbers in order until it is told to stop; returns how many.
fn send(sender: u64, listen: u16, is_over: &AtomicBool) -> u64 {
    let mut number = 0;
    let mut next = Instant::now();
    while !is_over.load(Ordering::SeqCst) {
        let mut connection = Sender::connect(listen).expect("the channel listens");
        for _ in 0..EACH {
            number += 1;
            let answer = connection.send(&message(&format!("S{sender}-{number}"), &sender.to_string()));
            assert_eq!(mshfield(&answer.expect("every message is answered"), "MSA", 1), "AA");
            next += PACE;
            std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
    }
    number
}

/// Looks at the server once a second, as an operator's monitoring does.
fn watched(relais: &Relais, lasts: Duration) -> Vec<Held> {
    let began = Instant::now();
    let mut held = Vec::new();
    while began.elapsed() < lasts {
        let ready = relais.get("/health/ready").map(|answer| answer.0);
        assert!(ready == Some(200), "it is not ready ({ready:?}):\n{}", relais.log());
        assert!(relais.metric("relais_channel_up{channel=\"ward\"}") == Some(1.0));
        held.push(Held::by(relais));
        let next = began + Duration::from_secs(held.len() as u64);
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
    held
}

#[test]
fn memory_and_open_files_are_as_flat_in_the_second_half_as_in_the_first() {
    let minutes = std::env::var("RELAIS_SOAK").ok().and_then(|minutes| minutes.parse().ok()).unwrap_or(2);
    let receiver = Receiver::start(Behaviour::Code("AA"));
    let (project, listen) = (Project::new(), free_port());
    project.channel(
        "ward",
        &format!(
            "name: ward\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\n\
             steps:\n  - require: [PID-3.1]\n  - set: {{ PID-8: U }}\n\
             destinations:\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{}\" }}\n\
             \x20   order: {{ key: [PID-3.1] }}\n    workers: 4\n",
            receiver.port
        ),
    );
    let relais = project.start();
    let is_over = AtomicBool::new(false);
    let (held, sent) = std::thread::scope(|threads| {
        let is_over = &is_over;
        let sending: Vec<_> =
            (0..SENDERS).map(|sender| threads.spawn(move || send(sender, listen, is_over))).collect();
        let held = watched(&relais, Duration::from_mins(minutes));
        is_over.store(true, Ordering::SeqCst);
        let sent: Vec<u64> = sending.into_iter().map(|sending| sending.join().expect("it sent")).collect();
        (held, sent)
    });
    wait_until("all has arrived", || receiver.count() as u64 >= sent.iter().sum());
    arrived_once_in_order(&receiver, &sent);

    // The first quarter fills what is kept ready.
    let quarter = held.len() / 4;
    let (first, second) = (&held[quarter..2 * quarter], &held[3 * quarter..]);
    let [before, after] = [first, second].map(|held| middle(held, |held| held.memory));
    println!("{} messages, {before} then {after} bytes of memory", sent.iter().sum::<u64>());
    let most = before + (before as f64 * PART) as u64 + BYTES;
    assert!(after <= most, "memory grows: {before} bytes, then {after}");
    let [before, after] = [first, second].map(|held| middle(held, |held| held.files));
    assert!(after <= before + FILES, "open files grow: {before}, then {after}");
    assert!(relais.terminate().success());
}

fn arrived_once_in_order(receiver: &Receiver, sent: &[u64]) {
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for received in receiver.received() {
        let id = mshfield(&received, "MSH", 10);
        let (sender, number) = id.trim_start_matches('S').split_once('-').expect("an id of ours");
        let number: u64 = number.parse().expect("a number of ours");
        let before = last.entry(sender.parse().expect("a sender of ours")).or_default();
        assert_eq!(number, *before + 1, "sender {sender}: out of order, or more than once");
        *before = number;
    }
    assert!(last.into_values().eq(sent.iter().copied()), "some are missing");
}
