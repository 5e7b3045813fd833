//! Pulls the plug again and again under load: nothing acknowledged is lost, order holds, repeats are only what was in doubt.
//!
//! `RELAIS_CRASHES=200` runs more rounds than CI does.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use tests::{
    Behaviour, Project, Receiver, Relais, Sender, comes_true, free_port, message, mshfield, wait_until,
};

const CONNECTIONS: usize = 16;
const WORKERS: usize = 4;

/// One analyser: sends its own numbers in order, each until it is acknowledged.
struct Analyser {
    acknowledged: Arc<AtomicU32>,
    sending: JoinHandle<()>,
}

fn analyser(number: usize, port: u16, stop: &Arc<AtomicBool>, total: &Arc<AtomicU64>) -> Analyser {
    let acknowledged = Arc::new(AtomicU32::new(0));
    let (count, stop, total) = (Arc::clone(&acknowledged), Arc::clone(stop), Arc::clone(total));
    let sending = std::thread::spawn(move || {
        let mut connection = None;
        let mut next = 1;
        while !stop.load(Ordering::SeqCst) {
            if connection.is_none() {
                connection = Sender::connect(port).ok();
            }
            let Some(open) = connection.as_mut() else {
                std::thread::park_timeout(Duration::from_millis(5));
                continue;
            };
            let id = format!("A{number}-{next}");
            match open.send(&message(&id, &format!("P{number}"))) {
                Ok(answer) if mshfield(&answer, "MSA", 1) == "AA" => {
                    assert_eq!(mshfield(&answer, "MSA", 2), id, "an answer for another message");
                    count.store(next, Ordering::SeqCst);
                    total.fetch_add(1, Ordering::SeqCst);
                    next += 1;
                }
                Ok(answer) => {
                    assert_eq!(mshfield(&answer, "MSA", 1), "AR", "neither taken nor to be sent again");
                }
                Err(_) => connection = None,
            }
        }
    });
    Analyser { acknowledged, sending }
}

fn channel(reply: &str, listen: u16, peer: u16) -> String {
    format!(
        "name: crash\nsource:\n  mllp: {{ listen: \"127.0.0.1:{listen}\" }}\nreply: {reply}\nrepeats: answer_again\n\
         destinations:\n  - name: record\n    to:\n      mllp: {{ connect: \"127.0.0.1:{peer}\" }}\n\
         \x20   order: {{ key: [PID-3.1] }}\n    workers: {WORKERS}\n    retry: {{ first: 20ms, longest: 100ms }}\n"
    )
}

fn survives(reply: &str, crashes: u64) {
    let project = Project::new();
    let listen = free_port();
    let receiver = Receiver::start(Behaviour::Code("AA"));
    project.channel("crash", &channel(reply, listen, receiver.port));

    let stop = Arc::new(AtomicBool::new(false));
    let total = Arc::new(AtomicU64::new(0));
    let analysers: Vec<Analyser> =
        (0..CONNECTIONS).map(|number| analyser(number, listen, &stop, &total)).collect();

    let mut relais = project.start();
    for crash in 0..crashes {
        // The moment is as random as the machine: after a number of answers that differs each time.
        let until = total.load(Ordering::SeqCst) + 40 + (crash * 37) % 160;
        wait_until("the analysers were answered", || total.load(Ordering::SeqCst) >= until);
        relais.kill();
        relais = project.start();
    }
    let until = total.load(Ordering::SeqCst) + 50;
    wait_until("the analysers were answered after the last crash", || total.load(Ordering::SeqCst) >= until);
    stop.store(true, Ordering::SeqCst);
    let counts: Vec<u32> = analysers
        .into_iter()
        .map(|analyser| {
            analyser.sending.join().expect("an analyser saw nothing wrong");
            analyser.acknowledged.load(Ordering::SeqCst)
        })
        .collect();

    let acknowledged: u32 = counts.iter().sum();
    all_arrive(&counts, &receiver, (&project, &relais));
    let arrived = arrivals(&receiver);
    let repeats = judge(&arrived, &counts);
    println!(
        "reply {reply}: {crashes} crashes, {acknowledged} acknowledged, {} arrived, {repeats} repeats ({} of one at most), 0 lost",
        receiver.count(),
        most_copies(&arrived)
    );
    assert!(repeats <= crashes * WORKERS as u64, "more repeats than sends that a crash can have cut");
}

/// Waits until everything acknowledged has arrived.
fn all_arrive(counts: &[u32], receiver: &Receiver, (project, relais): (&Project, &Relais)) {
    let mut seen = (0, arrivals(receiver));
    let mut all_have_arrived = || {
        if receiver.count() != seen.0 {
            seen = (receiver.count(), arrivals(receiver));
        }
        counts.iter().enumerate().all(|(number, count)| {
            seen.1.get(&number).is_some_and(|arrived| arrived.iter().max().is_some_and(|last| last >= count))
        })
    };
    let mut have_arrived = comes_true(Duration::from_secs(20), &mut all_have_arrived);
    if !have_arrived {
        // One that five crashes in a row have cut stops its lane for a person, who looks and sends it again.
        for stopped in stopped(project) {
            let resent = project.relais(&["resend", &stopped]);
            println!("{}", String::from_utf8_lossy(&resent.stdout));
        }
        have_arrived = comes_true(Duration::from_mins(1), &mut all_have_arrived);
    }
    if !have_arrived {
        let status = project.relais(&["status"]);
        let last = |number: usize| seen.1.get(&number).and_then(|arrived| arrived.iter().max().copied());
        let short: Vec<_> =
            counts.iter().enumerate().map(|(number, count)| (number, *count, last(number))).collect();
        let words = String::from_utf8_lossy(&status.stdout).into_owned();
        panic!("not everything arrived: {short:?}\n{words}\n{}", relais.log());
    }
}

/// The messages that stand in the way of those behind them until a person decides.
fn stopped(project: &Project) -> Vec<String> {
    let found = project.relais(&["find", "--state", "waiting", "--limit", "1000", "--format", "json"]);
    let found: Vec<Value> = serde_json::from_slice(&found.stdout).expect("a list is told as JSON");
    let is_stopped = |message: &&Value| {
        let mut deliveries = message["deliveries"].as_array().into_iter().flatten();
        deliveries.any(|delivery| delivery["stopped"] == true)
    };
    found.iter().filter(is_stopped).map(|message| message["id"].to_string()).collect()
}

/// The numbers of each analyser, as they arrived.
fn arrivals(receiver: &Receiver) -> HashMap<usize, Vec<u32>> {
    let mut arrived: HashMap<usize, Vec<u32>> = HashMap::new();
    for received in receiver.received() {
        let id = mshfield(&received, "MSH", 10);
        let (analyser, number) = id.trim_start_matches('A').split_once('-').expect("an id of ours");
        let number = number.parse().expect("a number of ours");
        arrived.entry(analyser.parse().expect("an analyser of ours")).or_default().push(number);
    }
    arrived
}

/// How often one arrived at most.
fn most_copies(arrived: &HashMap<usize, Vec<u32>>) -> usize {
    let runs = arrived.values().flat_map(|numbers| numbers.chunk_by(|one, next| one == next));
    runs.map(<[u32]>::len).max().unwrap_or_default()
}

/// Checks that nothing acknowledged is missing and order holds; counts the repeats.
fn judge(arrived: &HashMap<usize, Vec<u32>>, counts: &[u32]) -> u64 {
    let mut repeats = 0;
    for (number, count) in counts.iter().enumerate() {
        let numbers = &arrived[&number];
        let mut highest = 0;
        for &one in numbers {
            if one <= highest {
                assert_eq!(one, highest, "analyser {number}: {one} came again after {highest}");
                repeats += 1;
            } else {
                assert_eq!(one, highest + 1, "analyser {number}: {} is missing before {one}", highest + 1);
                highest = one;
            }
        }
        assert!(highest >= *count, "analyser {number}: {count} were acknowledged, {highest} arrived");
    }
    repeats
}

fn crashes() -> u64 {
    std::env::var("RELAIS_CRASHES").ok().and_then(|crashes| crashes.parse().ok()).unwrap_or(25)
}

#[test]
fn what_was_answered_when_stored_survives_every_crash() {
    survives("stored", crashes());
}

#[test]
fn what_was_answered_when_processed_survives_every_crash() {
    survives("processed", crashes());
}
