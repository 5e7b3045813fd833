//! Looks into contents, and searches that go on: they find what a plain filter of everything finds, in its order.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, SystemTime},
};

use engine::{Ages, Arrival, Content, History, MessageId, NewDelivery, Processed, Query, Shown, Store as _};
use proptest::prelude::*;
use stage::{CHANNEL, arrival, delivery, given_up, keep, processed, sent};
use store::{Fits, Look, Place, Seen, Settings, Sqlite};

const WORDS: [&str; 4] = ["DUPONT", "durand", "K 7.2", "nothing of that"];

/// A message, and how far it came.
#[derive(Debug, Clone)]
struct Story {
    is_ward: bool,
    received: &'static str,
    fate: Fate,
}

#[derive(Debug, Clone)]
enum Fate {
    Kept,
    Waits,
    Arrives { as_what: Option<&'static str>, answer: &'static str },
    GivenUp { why: &'static str },
}

fn stories() -> impl Strategy<Value = Vec<Story>> {
    let word = || proptest::sample::select(WORDS.to_vec());
    let fate = prop_oneof![
        Just(Fate::Kept),
        Just(Fate::Waits),
        (proptest::option::of(word()), word())
            .prop_map(|(as_what, answer)| Fate::Arrives { as_what, answer }),
        word().prop_map(|why| Fate::GivenUp { why }),
    ];
    let story =
        (any::<bool>(), word(), fate).prop_map(|(is_ward, received, fate)| Story { is_ward, received, fate });
    proptest::collection::vec(story, 1..24)
}

/// What is asked, of which channel and state, and how many at a time.
#[derive(Debug, Clone)]
struct Asked {
    word: &'static str,
    channel: Option<&'static str>,
    seen: Option<Vec<String>>,
    state: Option<&'static str>,
    destination: Option<&'static str>,
    limit: usize,
}

fn asked() -> impl Strategy<Value = Asked> {
    let state = proptest::option::of(proptest::sample::select(vec!["sent", "given_up", "waiting", "kept"]));
    let destination = proptest::option::of(proptest::sample::select(vec!["record", "archive"]));
    let channel = proptest::option::of(proptest::sample::select(vec![CHANNEL, "ward", "gone"]));
    let word = proptest::sample::select(WORDS.to_vec());
    let seen = proptest::option::of(Just(vec!["ward".to_owned(), "none".to_owned()]));
    (word, channel, seen, state, destination, 1..5_usize).prop_map(
        |(word, channel, seen, state, destination, limit)| Asked {
            word,
            channel,
            seen,
            state,
            destination,
            limit,
        },
    )
}

fn fits(word: &str) -> Fits {
    let word = word.to_lowercase();
    Arc::new(move |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase().contains(&word))
}

/// A new file every few messages.
fn open(folder: &Path) -> Sqlite {
    Sqlite::open_with(folder, Settings { span: 5, ..Settings::default() }).unwrap()
}

async fn play(at: &Sqlite, number: usize, story: &Story) {
    let channel = if story.is_ward { "ward" } else { CHANNEL };
    let (id, name) = (at.next_message(), format!("A{number}"));
    let body = format!("MSH|{}", story.received);
    let came = Arrival { channel: Arc::from(channel), ..arrival(id, &name, &body) };
    at.keep(vec![came]).await.unwrap();
    let leaves = match &story.fate {
        Fate::Kept => return,
        Fate::Arrives { as_what: Some(word), .. } => Some(Content::from(format!("PID|{word}"))),
        _ => None,
    };
    let to = if number.is_multiple_of(3) { "archive" } else { "record" };
    let delivery = NewDelivery { body: leaves, ..delivery(at.next_delivery(), to) };
    let goes = delivery.id;
    let queued = Processed { channel: Arc::from(channel), ..processed(id, &name, vec![delivery]) };
    at.queue(queued).await.unwrap();
    match &story.fate {
        Fate::Arrives { answer, .. } => drop(at.settle(goes, sent(answer)).await.unwrap()),
        Fate::GivenUp { why } => drop(at.settle(goes, given_up(why)).await.unwrap()),
        Fate::Kept | Fate::Waits => {}
    }
}

/// What a person sees who opens one message after the other.
fn says(shown: &Shown, word: &str) -> bool {
    let whole = |content: &Content| content.whole().unwrap().to_vec();
    let mut all: Vec<Vec<u8>> = shown.body.iter().map(whole).collect();
    all.extend(shown.parts.iter().filter_map(|part| part.body.as_ref()).map(whole));
    for payload in &shown.payloads {
        all.extend(payload.body.iter().map(whole));
        all.extend(payload.response.clone());
    }
    all.extend(shown.row.why.iter().map(|why| why.as_bytes().to_vec()));
    let why = shown.row.deliveries.iter().filter_map(|one| one.tally.why.clone());
    all.extend(why.map(|why| why.as_bytes().to_vec()));
    all.iter().any(|bytes| fits(word)(bytes))
}

async fn plainly(store: &Sqlite, asked: &Asked) -> Vec<MessageId> {
    let query = Query {
        channel: asked.channel.map(str::to_owned),
        state: asked.state.map(str::to_owned),
        destination: asked.destination.map(str::to_owned),
        limit: 1000,
        ..Query::default()
    };
    let mut found = Vec::new();
    for row in store.find(&query).await.unwrap() {
        let is_seen = asked.seen.as_ref().is_none_or(|seen| seen.contains(&row.channel));
        let shown = store.show(row.id).await.unwrap().unwrap();
        if is_seen && says(&shown, asked.word) {
            found.push(row.id);
        }
    }
    found
}

/// Page after page, until nothing is left.
async fn by_looks(store: &Sqlite, asked: &Asked) -> Vec<MessageId> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let query = Query {
            channel: asked.channel.map(str::to_owned),
            state: asked.state.map(str::to_owned),
            destination: asked.destination.map(str::to_owned),
            limit: asked.limit,
            before,
            ..Query::default()
        };
        let mut look = Look::new(query, asked.seen.clone(), fits(asked.word));
        let mut page = 0;
        while page < asked.limit {
            let Seen { found: some, before: next, .. } = store.look_on(&mut look).await.unwrap();
            page += some.len();
            found.extend(some.into_iter().map(|(row, _)| row.id));
            before = next;
            if before.is_none() {
                return found;
            }
        }
        assert_eq!(page, asked.limit, "a page is never longer than was asked");
    }
}

/// The same by keys, a file at a time.
async fn by_files(store: &Sqlite, query: &Query) -> Vec<MessageId> {
    let (mut query, mut found, mut behind) = (query.clone(), Vec::new(), None);
    loop {
        let (rows, goes_on) = store.find_on(std::slice::from_ref(&query), behind).await.unwrap();
        query.limit -= rows.len();
        found.extend(rows.into_iter().map(|row| row.id));
        behind = goes_on;
        if behind.is_none() || query.limit == 0 {
            return found;
        }
    }
}

const CONTENT: Ages =
    Ages { content: Duration::ZERO, errors: Duration::ZERO, metadata: Duration::from_hours(1) };
const ALL: Ages = Ages { content: Duration::ZERO, errors: Duration::ZERO, metadata: Duration::ZERO };

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_look_finds_what_a_plain_filter_of_everything_finds(
        old in stories(), young in stories(), asked in proptest::collection::vec(asked(), 6), forgets in 0..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = open(folder.path());
            for (number, story) in old.iter().enumerate() {
                play(&store, number, story).await;
                store.depths().await.unwrap();
            }
            match forgets {
                0 => {}
                1 => drop(store.forget(CHANNEL, CONTENT).await.unwrap()),
                _ => {
                    let ages = [CHANNEL, "ward"].map(|channel| (channel.to_owned(), ALL));
                    store.forget_spans(&BTreeMap::from(ages)).await.unwrap();
                }
            }
            for (number, story) in young.iter().enumerate() {
                play(&store, 100 + number, story).await;
            }
            for asked in &asked {
                assert_eq!(by_looks(&store, asked).await, plainly(&store, asked).await, "{asked:?}");
            }
            for text in [None, Some("IPPA1*".to_owned()), Some("A100".to_owned())] {
                let query = Query { text, limit: 7, ..Query::default() };
                let at_once: Vec<_> = store.find(&query).await.unwrap().iter().map(|row| row.id).collect();
                assert_eq!(by_files(&store, &query).await, at_once);
            }
        });
    }
}

/// All of one look.
async fn all_of(store: &Sqlite, query: Query, word: &str) -> Seen {
    let mut look = Look::new(Query { limit: 1000, ..query }, None, fits(word));
    let mut all = Seen::default();
    loop {
        let seen = store.look_on(&mut look).await.unwrap();
        all.found.extend(seen.found);
        all.messages += seen.messages;
        all.forgotten += seen.forgotten;
        all.unread += seen.unread;
        all.until = seen.until.or(all.until);
        if seen.before.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn it_says_where_the_words_stand_and_what_holds_nothing_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let arrives =
        |as_what, answer| Story { is_ward: false, received: "none", fate: Fate::Arrives { as_what, answer } };
    let stories = [
        Story { is_ward: false, received: "DUPONT", fate: Fate::Waits },
        arrives(Some("DUPONT"), "AA"),
        arrives(None, "AE|dupont is unknown"),
        Story { is_ward: false, received: "none", fate: Fate::GivenUp { why: "refused: no Dupont" } },
        arrives(None, "AA"),
    ];
    for (number, story) in stories.iter().enumerate() {
        play(&store, number, story).await;
    }
    let seen = all_of(&store, Query::default(), "Dupont").await;
    let places: Vec<Place> = seen.found.iter().map(|(_, place)| *place).collect();
    assert_eq!(places, [Place::Reason, Place::Answered, Place::Sent, Place::Received]);
    assert_eq!((seen.messages, seen.forgotten, seen.unread), (5, 0, 0));
    assert!(seen.until.is_some() && seen.before.is_none());
    store.forget(CHANNEL, CONTENT).await.unwrap();
    let seen = all_of(&store, Query::default(), "Dupont").await;
    assert_eq!((seen.messages, seen.forgotten), (5, 4), "one waits, and is kept whole");
}

#[tokio::test]
async fn what_is_packed_with_a_dictionary_and_without_is_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    for hundred in 0..25 {
        let numbers = hundred * 100..(hundred + 1) * 100;
        let arrivals = numbers.map(|number| {
            arrival(store.next_message(), &format!("A{number}"), &format!("MSH|PID||P{number}P"))
        });
        store.keep(arrivals.collect()).await.unwrap();
        store.depths().await.unwrap();
    }
    for number in [0, 7, 2499] {
        let seen = all_of(&store, Query::default(), &format!("p{number}p")).await;
        assert_eq!((seen.found.len(), seen.messages, seen.unread), (1, 2500, 0), "{number}");
        assert_eq!(seen.found[0].0.control_id, Some(format!("A{number}")));
    }
}

#[tokio::test]
async fn a_long_body_is_looked_into_to_its_end_and_one_that_is_gone_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let with_word_at = |place: usize| "x".repeat(place) + "DUPONT" + &"x".repeat(1 << 20);
    // Where a stretch ends, and where the next would begin that did not hold the end of the one before.
    let across = (1 << 20) - 3;
    let bodies = [("A1", 0), ("A2", across), ("A3", 3 * across), ("A4", 40 << 20), ("A5", 0)];
    let bodies = bodies.map(|(name, place)| (name, with_word_at(place)));
    for (name, body) in bodies {
        store.keep(vec![arrival(store.next_message(), name, &body)]).await.unwrap();
    }
    keep(&store, "A6").await;
    let gone = std::fs::read_dir(folder.path().join("large")).unwrap().flatten();
    let gone = gone.max_by_key(std::fs::DirEntry::file_name).unwrap();
    std::fs::remove_file(gone.path()).unwrap();
    let seen = all_of(&store, Query::default(), "dupont").await;
    let found: Vec<_> = seen.found.iter().filter_map(|(row, _)| row.control_id.as_deref()).collect();
    assert_eq!(found, ["A4", "A3", "A2", "A1"]);
    assert_eq!((seen.messages, seen.unread), (6, 1));
}
#[tokio::test]
async fn after_a_moment_it_says_how_far_it_is_and_goes_on_behind_that() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..3 {
        keep(&store, &format!("A{number}")).await;
    }
    // Each message takes longer than a moment.
    let looked_at = Arc::new(AtomicUsize::new(0));
    let slow: Fits = Arc::new({
        let looked_at = Arc::clone(&looked_at);
        move |_: &[u8]| {
            looked_at.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(60));
            false
        }
    });
    let mut look = Look::new(Query { limit: 9, ..Query::default() }, None, slow);
    for number in 1..=3 {
        let seen = store.look_on(&mut look).await.unwrap();
        assert_eq!((seen.messages, looked_at.load(Ordering::SeqCst)), (1, number));
        assert!(seen.until.is_some() && seen.found.is_empty());
    }
    while store.look_on(&mut look).await.unwrap().before.is_some() {}
    assert_eq!(looked_at.load(Ordering::SeqCst), 3, "none is looked at twice");
}

#[tokio::test]
async fn a_moment_ends_within_a_long_body_and_the_next_goes_on_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let long = "123456789|".repeat(400_000);
    let accented = format!("MSH|^~\\&|A|B|C|D|20260301||ADT^A01|1|P|2.5\r{}é", "è".repeat(1 << 20));
    for (name, body) in [("A1", "short"), ("A2", &accented), ("A3", &long)] {
        store.keep(vec![arrival(store.next_message(), name, body)]).await.unwrap();
    }
    // Each stretch takes longer than a moment.
    let looked_at = Arc::new(Mutex::new(Vec::new()));
    let slow: Fits = Arc::new({
        let looked_at = Arc::clone(&looked_at);
        move |bytes: &[u8]| {
            looked_at.lock().unwrap().push((bytes.len(), std::str::from_utf8(bytes).is_ok()));
            thread::sleep(Duration::from_millis(60));
            String::from_utf8_lossy(bytes).contains("è")
        }
    });
    let mut look = Look::new(Query { limit: 9, ..Query::default() }, None, slow);
    let (mut messages, mut moments, mut found) = (0, 0, Vec::new());
    loop {
        let seen = store.look_on(&mut look).await.unwrap();
        (messages, moments) = (messages + seen.messages, moments + 1);
        found.extend(seen.found.into_iter().filter_map(|(row, _)| row.control_id));
        if seen.before.is_none() {
            break;
        }
    }
    let looked_at = looked_at.lock().unwrap();
    assert_eq!((messages, found), (3, vec!["A2".to_owned()]));
    // 4 MB in four stretches, one of the next, and what is short: a moment for each, and perhaps one that finds nothing more.
    assert!(looked_at.len() == 6 && (6..=7).contains(&moments), "{moments}: {looked_at:?}");
    assert!(looked_at.iter().all(|(length, is_text)| *length <= (1 << 20) + 1024 && *is_text));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_somebody_looks_messages_are_kept_and_found_and_the_next_look_waits() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    keep(&*store, "A1").await;
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let slow: Fits = Arc::new(move |_: &[u8]| {
        begun.send(()).unwrap();
        may_go_on.lock().unwrap().recv().is_ok()
    });
    let looked_at = Arc::new(AtomicUsize::new(0));
    let counted: Fits = Arc::new({
        let looked_at = Arc::clone(&looked_at);
        move |_: &[u8]| looked_at.fetch_add(1, Ordering::SeqCst) == usize::MAX
    });
    let looks = [slow, counted].map(|fits| {
        let mut look =
            Look::new(Query { limit: 9, before: Some(MessageId(2)), ..Query::default() }, None, fits);
        let store = Arc::clone(&store);
        async move { store.look_on(&mut look).await.unwrap().found.len() }
    });
    let [first, second] = looks;
    let first = tokio::spawn(first);
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    let second = tokio::spawn(second);
    for number in 2..20 {
        keep(&*store, &format!("A{number}")).await;
    }
    assert_eq!(store.find(&Query { limit: 100, ..Query::default() }).await.unwrap().len(), 19);
    assert_eq!(looked_at.load(Ordering::SeqCst), 0, "one at a time");
    go_on.send(()).unwrap();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 0));
    assert_eq!(looked_at.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_older_than_asked_for_ends_a_look_and_a_clock_that_was_set_back_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    let now = SystemTime::now();
    // A run of numbers whose only message, its last, was received long before those around it.
    let ago = |minutes: u64| now - Duration::from_mins(minutes);
    for (id, received) in [
        (5, ago(1)),
        ((1 << 14) - 1, ago(1)),
        ((2 << 14) - 1, ago(90)),
        ((3 << 14) - 1, ago(300)),
        (3 << 14, ago(1)),
    ] {
        let mut came = arrival(MessageId(id), &format!("A{id}"), "DUPONT");
        came.message.received = received;
        store.keep(vec![came]).await.unwrap();
    }
    let found = async |since: SystemTime, before: Option<u64>| {
        let query = Query { since: Some(since), before: before.map(MessageId), ..Query::default() };
        let seen = all_of(&store, query, "dupont").await;
        seen.found.iter().map(|(row, _)| row.id.0).collect::<Vec<_>>()
    };
    assert_eq!(found(ago(60), Some(2 << 14)).await, [(1 << 14) - 1, 5], "half an hour is a clock's");
    assert_eq!(found(ago(60), None).await, [3 << 14], "four hours are not");
    assert_eq!(found(ago(400), None).await.len(), 5);
}
