//! What a report counts is what happened: each message once, as it stands, on the day on which it came.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::time::{Duration, SystemTime};

use engine::{
    AttemptEnd, Closed, Halt, History, Intervention, MessageId, MessageState, Outcome, Reason, Settlement,
    Store, Tallied, TalliedDay, Tally, Unit, Why, WhyKind,
};
use stage::{CHANNEL, arrival, at, delivery, given_up, processed, sent};
use store::Sqlite;

const DAY: u64 = 86_400;

/// What becomes of the n-th message.
#[derive(Clone, Copy)]
enum Fate {
    Sent,
    Filtered,
    Unreadable,
    Refused,
    Failed,
    GivenUp,
    SetAside,
    Waiting,
}

const FATES: [Fate; 8] = [
    Fate::Sent,
    Fate::Filtered,
    Fate::Unreadable,
    Fate::Refused,
    Fate::Failed,
    Fate::GivenUp,
    Fate::SetAside,
    Fate::Waiting,
];

fn closed(n: u64, fate: Fate) -> Option<Closed> {
    let (state, outcome, halt) = match fate {
        Fate::Filtered => {
            (MessageState::Filtered, Outcome::Filtered, Some(Halt::Filtered { why: "no".to_owned() }))
        }
        Fate::Unreadable => (MessageState::Refused, Outcome::Unreadable, None),
        Fate::Refused => {
            let halt = Halt::Refused { why: format!("DUPONT {n}"), at: Some("PID-3".to_owned()) };
            (MessageState::Refused, Outcome::Refused, Some(halt))
        }
        Fate::Failed => {
            let halt = Halt::Failed { step: "step 2".to_owned(), why: format!("DUPONT {n}"), place: None };
            (MessageState::Failed, Outcome::Failed, Some(halt))
        }
        _ => return None,
    };
    let why = Why::new(WhyKind::Unreadable, format!("line {n}, column {}: a quote", n * 7));
    Some(Closed { state, outcome, why, halt, inputs: None, ran: None })
}

async fn live(store: &Sqlite, n: u64, fate: Fate) {
    let id = store.next_message();
    let mut arrival = arrival(id, &format!("M{n}"), "MSH|x");
    arrival.message.received = at(n % 3 * DAY + n);
    store.keep(vec![arrival]).await.unwrap();
    if let Some(closed) = closed(n, fate) {
        return store.close(id, closed).await.unwrap();
    }
    let [record, archive] = [store.next_delivery(), store.next_delivery()];
    let deliveries = vec![delivery(record, "record"), delivery(archive, "archive")];
    store.queue(processed(id, &format!("M{n}"), deliveries)).await.unwrap();
    store.settle(archive, sent("")).await.unwrap();
    let settlement = match fate {
        Fate::Sent => sent("MSA|AA"),
        Fate::GivenUp => given_up("DUPONT is not known"),
        Fate::SetAside => {
            let end = AttemptEnd::SetAside { why: Why::ours("cut") };
            Settlement { end, tally: Tally::default(), followers: Vec::new(), attempt: None }
        }
        _ => return,
    };
    store.settle(record, settlement).await.unwrap();
}

async fn counted(store: &Sqlite) -> Tallied {
    let bounds: Vec<SystemTime> = (0..=3).map(|day| at(day * DAY)).collect();
    store.tallied(CHANNEL, Unit::Message, &bounds).await.unwrap()
}

fn expected(rounds: u64) -> TalliedDay {
    TalliedDay {
        received: rounds * 8,
        messages: rounds * 8,
        bytes: rounds * 8 * 5,
        processed: rounds,
        unwanted: rounds,
        refused: rounds * 2,
        failed: rounds,
        given_up: rounds,
        in_doubt: rounds,
        waiting: rounds,
        ..TalliedDay::default()
    }
}

#[tokio::test]
async fn each_message_is_counted_once_on_its_day_and_no_reason_holds_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    for round in 0..9 {
        for (place, fate) in FATES.iter().enumerate() {
            // So that each fate comes on each day.
            live(&store, round + 9 * place as u64, *fate).await;
        }
    }
    let tallied = counted(&store).await;
    for day in &tallied.days {
        let times = day.times.at(1.0).unwrap();
        assert!(times > Duration::from_hours(24), "these came long ago, and were sent now");
        assert_eq!(TalliedDay { times: engine::Times::default(), ..day.clone() }, expected(3));
    }
    let refused_at = Reason::RefusedAt { place: "PID-3".to_owned() };
    let unreadable = Reason::Unreadable { why: "line …, column …: a quote".to_owned() };
    let failed = Reason::Failed { step: "step 2".to_owned() };
    let given_up = Reason::GivenUp { destination: "record".to_owned() };
    let mut wanted = vec![(unreadable, 9), (refused_at, 9), (failed, 9), (given_up, 9)];
    wanted.sort();
    assert_eq!(tallied.reasons, wanted);
    drop(store);
    let again = Sqlite::open(folder.path()).unwrap();
    assert_eq!(counted(&again).await, tallied, "a restart changes nothing");
    assert_eq!(
        again.tallied("nobody", Unit::File, &[at(0), at(DAY)]).await.unwrap().days,
        [TalliedDay::default()]
    );
}

#[tokio::test]
async fn what_was_sent_again_counts_by_its_latest_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    live(&store, 0, Fate::GivenUp).await;
    let before = counted(&store).await;
    assert_eq!((before.days[0].given_up, before.days[0].processed), (1, 0));
    let shown = store.show(MessageId(1)).await.unwrap().unwrap();
    let old = shown.row.deliveries.iter().find(|one| one.destination == "record").unwrap().id;
    let what = engine::Act::Resend { to: None, body: None };
    let waiting = store.intervene(Intervention { delivery: old, what, by: "ann".to_owned() }).await.unwrap();
    let again = waiting.unwrap().position.delivery;
    assert_eq!(counted(&store).await.days[0].waiting, 1);
    store.settle(again, sent("MSA|AA")).await.unwrap();
    let after = counted(&store).await;
    assert_eq!((after.days[0].received, after.days[0].processed, after.reasons), (1, 1, Vec::new()));
}

/// One message of a file, and what becomes of it.
async fn one_of(store: &Sqlite, file: u8, place: u32, fate: Fate) -> MessageId {
    let id = store.next_message();
    let name = format!("F{file}-{place}");
    let mut arrival = arrival(id, &name, "MSH|x");
    arrival.message.received = at(u64::from(place));
    arrival.batch = Some((engine::Hash([file; 32]), place));
    store.keep(vec![arrival]).await.unwrap();
    if let Some(closed) = closed(u64::from(place), fate) {
        store.close(id, closed).await.unwrap();
        return id;
    }
    let record = store.next_delivery();
    store.queue(processed(id, &name, vec![delivery(record, "record")])).await.unwrap();
    if let Fate::Sent = fate {
        store.settle(record, sent("MSA|AA")).await.unwrap();
    }
    id
}

#[tokio::test]
async fn a_file_of_several_messages_counts_once_as_the_worst_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    for (file, fates) in [
        (1, [Fate::Sent, Fate::Filtered, Fate::Sent]),
        (2, [Fate::Sent, Fate::Refused, Fate::Sent]),
        (3, [Fate::Filtered, Fate::Filtered, Fate::Filtered]),
        (4, [Fate::Sent, Fate::Waiting, Fate::Filtered]),
        (5, [Fate::Waiting, Fate::Failed, Fate::Refused]),
    ] {
        for (place, fate) in (1..).zip(fates) {
            one_of(&store, file, place, fate).await;
        }
    }
    let refused = one_of(&store, 6, 1, Fate::Refused).await;
    one_of(&store, 6, 2, Fate::Sent).await;
    let bounds = [at(0), at(DAY)];
    let counted = async || store.tallied(CHANNEL, Unit::File, &bounds).await.unwrap();
    let numbers = |day: &TalliedDay| {
        let TalliedDay { received, messages, processed, unwanted, refused, failed, waiting, .. } = day;
        [*received, *messages, *processed, *unwanted, *refused, *failed, *waiting]
    };
    assert_eq!(numbers(&counted().await.days[0]), [6, 17, 1, 1, 2, 1, 1]);
    // Run again, and it gets through: the message that stands for it is of the same file.
    let again = store.next_message();
    let mut stands = arrival(again, "F6-1", "MSH|x");
    stands.message.received = at(500);
    stands.again = Some(engine::Again { message: refused, by: "someone".to_owned() });
    store.keep(vec![stands]).await.unwrap();
    let record = store.next_delivery();
    store.queue(processed(again, "F6-1", vec![delivery(record, "record")])).await.unwrap();
    store.settle(record, sent("MSA|AA")).await.unwrap();
    assert_eq!(numbers(&counted().await.days[0]), [6, 17, 2, 1, 1, 1, 1]);
    let by_message = store.tallied(CHANNEL, Unit::Message, &bounds).await.unwrap();
    assert_eq!(numbers(&by_message.days[0]), [17, 17, 7, 5, 2, 1, 2], "messages, one by one");
}
