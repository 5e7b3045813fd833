//! The attempts at a delivery: there after a restart, in backups and in older stores, bounded, and gone with their message.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::{path::Path, time::Duration};

use engine::{
    Ages, AttemptEnd, DeliveryId, DeliveryOutcome, History, MessageId, PastAttempt, PastAttempts, Settlement,
    Store, Tally, Why,
};
use stage::{CHANNEL, at, given_up, queue, sent};
use store::{Beside, Comes, Sqlite, restore};

fn open(folder: &Path) -> Sqlite {
    Sqlite::open(folder).unwrap()
}

fn attempt(number: u32, outcome: DeliveryOutcome) -> PastAttempt {
    PastAttempt {
        number,
        began: at(number.into()),
        took: Duration::from_millis(12),
        outcome,
        why: (outcome != DeliveryOutcome::Sent)
            .then(|| Why::ours(format!("refused: the peer said {number}"))),
        next: (outcome == DeliveryOutcome::Retried).then_some(Duration::from_secs(1)),
    }
}

/// One that leaves its delivery in the queue.
async fn fails(store: &Sqlite, id: DeliveryId, number: u32) {
    let tally = Tally { attempts: number, ..Tally::default() };
    let attempt = Some(attempt(number, DeliveryOutcome::Retried));
    let end = AttemptEnd::Waits { doubt: false };
    store.settle(id, Settlement { end, tally, followers: Vec::new(), attempt }).await.unwrap();
}

async fn numbers(store: &Sqlite, of: MessageId) -> (Vec<u32>, u64, Vec<u32>) {
    let mut all = store.attempts(of).await.unwrap();
    let (_, destination, PastAttempts { first, between, last }) = all.remove(0);
    assert_eq!((destination.as_str(), all.len()), ("record", 0));
    let numbers = |of: &[PastAttempt]| of.iter().map(|made| made.number).collect();
    (numbers(&first), between, numbers(&last))
}

#[tokio::test]
async fn attempts_are_there_after_a_restart_and_the_one_that_arrived_stands_behind_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (message, id) = queue(&store, "A1", "record").await;
    let (at_once, other) = queue(&store, "A2", "record").await;
    store.settle(other, sent("AA")).await.unwrap();
    fails(&store, id, 1).await;
    // In the files, and the next one is added to what is read from there.
    assert_eq!(numbers(&store, message).await, (vec![1], 0, vec![]));
    fails(&store, id, 2).await;
    drop(store);

    let store = open(folder.path());
    fails(&store, id, 3).await;
    let arrived = Some(attempt(4, DeliveryOutcome::Sent));
    store.settle(id, Settlement { attempt: arrived, ..sent("AA") }).await.unwrap();
    drop(store);
    let store = open(folder.path());
    let all = store.attempts(message).await.unwrap();
    let made = all[0].2.first.clone();
    let mut expected: Vec<_> = (1..4).map(|number| attempt(number, DeliveryOutcome::Retried)).collect();
    expected.push(attempt(4, DeliveryOutcome::Sent));
    assert_eq!(made, expected);
    assert_eq!(numbers(&store, at_once).await, (vec![], 0, vec![]), "nothing of what arrived at once");
    let report = store::verify(folder.path()).unwrap();
    assert!(report.faults.is_empty(), "{report:?}");
}

#[tokio::test]
async fn of_many_attempts_the_first_and_the_last_are_kept_and_the_others_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (message, id) = queue(&store, "A1", "record").await;
    for number in 1..=40 {
        fails(&store, id, number).await;
        if number % 7 == 0 {
            store.depths().await.unwrap();
        }
    }
    assert_eq!(numbers(&store, message).await, ((1..=5).collect(), 20, (26..=40).collect()));
}

#[tokio::test]
async fn attempts_go_with_the_content_of_their_message() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (message, id) = queue(&store, "A1", "record").await;
    let refused = Some(attempt(1, DeliveryOutcome::GivenUp));
    store.settle(id, Settlement { attempt: refused, ..given_up("DUPONT") }).await.unwrap();
    assert_eq!(numbers(&store, message).await.0, [1]);
    let (now, later) = (Duration::ZERO, Duration::from_hours(1));
    let of_content = Ages { content: now, errors: now, metadata: later };
    assert_eq!(store.forget(CHANNEL, of_content).await.unwrap(), 1);
    assert_eq!(numbers(&store, message).await, (vec![], 0, vec![]));
    let of_all = Ages { content: now, errors: now, metadata: now };
    assert_eq!(store.forget(CHANNEL, of_all).await.unwrap(), 1);
    assert!(store.attempts(message).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_backup_has_the_attempts() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place.path().join("data"));
    let (message, id) = queue(&store, "A1", "record").await;
    fails(&store, id, 1).await;
    store.backup(&place.path().join("backup"), Beside::default()).await.unwrap();
    restore(&place.path().join("backup"), &place.path().join("back"), &Comes::AsItWas).unwrap();
    assert_eq!(numbers(&open(&place.path().join("back")), message).await.0, [1]);
}

#[tokio::test]
async fn a_store_of_an_earlier_version_is_found_sound_and_takes_attempts_once_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (message, id) = queue(&store, "A1", "record").await;
    drop(store);
    let span = folder.path().join(format!("spans/{:020}.db", 0));
    let connection = rusqlite::Connection::open(span).unwrap();
    let undo = "DROP TABLE attempts; DROP INDEX messages_by_study; ALTER TABLE messages DROP COLUMN study; \
                ALTER TABLE messages DROP COLUMN patient; ALTER TABLE messages DROP COLUMN ran; \
                ALTER TABLE messages DROP COLUMN took; ALTER TABLE messages DROP COLUMN answered; \
                PRAGMA user_version = 3";
    connection.execute_batch(undo).unwrap();
    drop(connection);
    let report = store::verify(folder.path()).unwrap();
    assert!(report.faults.is_empty(), "{report:?}");
    let store = open(folder.path());
    fails(&store, id, 1).await;
    assert_eq!(numbers(&store, message).await.0, [1]);
}
