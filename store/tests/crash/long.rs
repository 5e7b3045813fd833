//! Long bodies, and the plug pulled at one call to the disk after the other.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use engine::{Ages, Content, DeliveryState, History, MessageId, Spool, Store};
use store::Sqlite;

use super::parent::{Child, Spoken};
use crate::stage::{CHANNEL, arrival, delivery, processed, sent};

const PIECE: usize = 256 << 10;
const PIECES: u8 = 5;
const HEAD: &[u8] = b"what a step wrote in front of it";

/// The calls by which something lasting changes.
const CALLS: [&str; 5] = ["rename,renameat,renameat2", "fsync", "fdatasync", "pwrite64", "unlink,unlinkat"];

fn body_of(id: u64) -> Vec<u8> {
    (0..PIECES).flat_map(|piece| vec![piece ^ id as u8; PIECE]).collect()
}

/// Three lives of messages whose bodies come piece by piece, the first of which is forgotten at last.
pub(crate) async fn lives(store: Arc<Sqlite>) {
    for _ in 0..3 {
        let message = store.next_message();
        let mut spool = Spool::new(Arc::clone(&store) as Arc<dyn Store>);
        for piece in body_of(message.0).chunks(PIECE) {
            spool.write(piece).await.unwrap();
        }
        let body = spool.end().await.unwrap();
        let mut arrival = arrival(message, &message.to_string(), "");
        arrival.message.body = body.clone();
        store.keep(vec![arrival]).await.unwrap();
        println!("kept {message}");
        let id = store.next_delivery();
        let rest = body.slice(HEAD.len() as u64..body.len() as u64);
        let payload = Content::of([Bytes::from_static(HEAD).into(), rest]).unwrap();
        let wish = engine::NewDelivery { body: Some(payload), ..delivery(id, "record") };
        store.queue(processed(message, &message.to_string(), vec![wish])).await.unwrap();
        println!("queued {message}");
        store.begin(id, None, 0).await.unwrap();
        println!("begun {message}");
        if message.0 == 1 {
            store.settle(id, sent("AA")).await.unwrap();
            println!("settled {message}");
        }
    }
    let (now, later) = (Duration::ZERO, Duration::from_hours(1));
    store.forget(CHANNEL, Ages { content: now, errors: later, metadata: later }).await.unwrap();
    println!("words done");
}

/// Kills the child at the `nth` of these calls that one of its threads makes; whether it came so far, and what it said.
pub(crate) fn cut_at(folder: &Path, calls: &str, nth: usize) -> (bool, Spoken) {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    strace
        .args(["-e", &format!("inject={calls}:signal=SIGKILL:when={nth}")])
        .arg(std::env::current_exe().unwrap());
    let mut child = Child::spawn(strace, folder, "long");
    let mut spoken = Spoken::default();
    spoken.hear(&mut child, usize::MAX);
    let is_done = spoken.words.last().is_some_and(|words| words == "done");
    (!is_done, spoken)
}

/// Each of the calls in turn, until there is none of it left; how many there were.
pub(crate) fn cut_at_each() -> usize {
    let found = Command::new("strace").arg("--version").stdout(Stdio::null()).status();
    assert!(
        found.is_ok(),
        "this test ends a program at its calls with strace: install it (apt-get install strace)"
    );
    std::thread::scope(|scope| {
        let cutting = CALLS.map(|calls| scope.spawn(move || cut_at_each_of(calls)));
        cutting.into_iter().map(|cuts| cuts.join().unwrap()).sum()
    })
}

fn cut_at_each_of(calls: &str) -> usize {
    for nth in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let (was_cut, spoken) = cut_at(folder.path(), calls, nth);
        check(folder.path(), &spoken, &format!("{calls} {nth}"));
        if !was_cut {
            return nth - 1;
        }
    }
    unreachable!("a program makes so many calls and no more")
}

/// What was acknowledged is there byte for byte, and each file belongs to a message.
fn check(folder: &Path, spoken: &Spoken, when: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let with_bytes = runtime.block_on(async {
        let store = Sqlite::open(folder).unwrap();
        let mut with_bytes = 0;
        for id in 1..=3 {
            let shown = store.show(MessageId(id)).await.unwrap();
            let Some(shown) = shown else {
                assert!(!spoken.kept.contains(&id), "{when}: message {id} was acknowledged and is gone");
                continue;
            };
            let is_sent = shown.row.deliveries.first().is_some_and(|one| one.state == DeliveryState::Sent);
            assert!(is_sent || !spoken.settled.contains(&id), "{when}: message {id}");
            let Some(body) = shown.body else {
                assert!(is_sent, "{when}: the bytes of message {id} are gone, and it was not sent");
                continue;
            };
            with_bytes += 1;
            assert!(body.whole().unwrap() == body_of(id), "{when}: message {id} has other bytes");
            let is_queued = !shown.row.deliveries.is_empty();
            assert!(is_queued || !spoken.queued.contains(&id), "{when}: message {id} was queued");
            if let Some(delivery) = shown.row.deliveries.first().filter(|_| !is_sent) {
                let payload = store.delivery(delivery.id).await.unwrap().and_then(|delivery| delivery.body);
                let payload = payload.expect("it has its own").whole().unwrap();
                let wanted = [HEAD, &body_of(id)[HEAD.len()..]].concat();
                assert!(payload == wanted, "{when}: the delivery of message {id} has other bytes");
            }
        }
        with_bytes
    });
    let report = store::verify(folder).unwrap();
    assert!(report.faults.is_empty(), "{when}: {report:?}");
    let files = |name: &str| std::fs::read_dir(folder.join(name)).map_or(0, Iterator::count);
    assert_eq!(
        (files("large"), files("spool")),
        (with_bytes, 0),
        "{when}: files without a message, or the other way round"
    );
}
