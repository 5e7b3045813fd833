//! When what became of a message: there after a restart and after a crash, in backups and in older stores, and of the last run.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use engine::{
    AnswerState, Closed, History, MessageId, MessageState, Outcome, Processed, Ran, Reply, ShownTimes, Store,
    Told, Why,
};
use stage::{delivery, keep, processed, queue, sent};
use store::{Beside, Comes, Sqlite, restore};

fn open(folder: &Path) -> Sqlite {
    Sqlite::open(folder).unwrap()
}

/// Steps that took so many milliseconds, and have ended just now.
fn ran(millis: u64) -> Ran {
    Ran { ended: SystemTime::now(), took: Duration::from_millis(millis) }
}

async fn times(store: &Sqlite, of: MessageId) -> ShownTimes {
    store.show(of).await.unwrap().unwrap().times
}

/// Keeps a message, queues it after steps of so many milliseconds, and answers it.
async fn goes(store: &Sqlite, control_id: &str, millis: u64) -> MessageId {
    let id = keep(store, control_id).await;
    let delivery = delivery(store.next_delivery(), "record");
    let whole = processed(id, control_id, vec![delivery]);
    store.queue(Processed { ran: Some(ran(millis)), ..whole }).await.unwrap();
    answered(store, id, AnswerState::Told).await;
    id
}

/// What became of an answer goes with the next write.
async fn answered(store: &Sqlite, id: MessageId, state: AnswerState) {
    store.told(id, Told { state, reply: Reply::of(Outcome::Accepted) });
    store.switch("a write", None, "test").await.unwrap();
}

/// All times are there, in their order.
fn are_whole(times: &ShownTimes, took: f64) {
    assert_eq!(times.steps_took, Some(took), "{times:?}");
    let at = |time: &Option<String>| time.as_ref().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at(&times.steps_ended) <= at(&times.answered), "{times:?}");
}

#[tokio::test]
async fn times_are_there_after_a_restart_and_in_a_backup() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let store = open(&data);
    let id = goes(&store, "A1", 12).await;
    let live = times(&store, id).await;
    are_whole(&live, 0.012);
    store.backup(&place.path().join("backup"), Beside::default()).await.unwrap();
    drop(store);
    assert_eq!(times(&open(&data), id).await, live);
    restore(&place.path().join("backup"), &place.path().join("back"), &Comes::AsItWas).unwrap();
    assert_eq!(times(&open(&place.path().join("back")), id).await, live);
}

#[tokio::test]
async fn a_row_that_changes_after_it_was_filed_and_is_read_from_the_journal_keeps_its_times() {
    let place = tempfile::tempdir().unwrap();
    let (data, cut) = (place.path().join("data"), place.path().join("cut"));
    let store = open(&data);
    let (id, delivery) = queue(&store, "A1", "record").await;
    let other = goes(&store, "A2", 7).await;
    let filed = times(&store, other).await;
    // What a crash leaves: the files as they were, and the journal with what came after.
    copy(&data, &cut);
    store.settle(delivery, sent("AA")).await.unwrap();
    answered(&store, other, AnswerState::Untold).await;
    let third = goes(&store, "A3", 5).await;
    let live = (times(&store, other).await, times(&store, third).await);
    assert_ne!(live.0.answered, filed.answered, "it was answered once more");
    drop(store);
    for file in fs::read_dir(data.join("journal")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), cut.join("journal").join(file.file_name())).unwrap();
    }
    let store = open(&cut);
    assert_eq!((times(&store, other).await, times(&store, third).await), live);
    assert_eq!(times(&store, id).await, ShownTimes::default(), "nobody measured its steps");
}

/// Of the last run: a message that waited for a code runs again.
#[tokio::test]
async fn a_message_that_runs_again_has_the_times_of_its_last_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = keep(&store, "A1").await;
    let why = Why::ours("waits for a code");
    let held = Closed { ran: Some(ran(3)), ..Closed::new(MessageState::Held, Outcome::Accepted, why) };
    store.close(id, held).await.unwrap();
    assert_eq!(times(&store, id).await.steps_took, Some(0.003));
    let delivery = delivery(store.next_delivery(), "record");
    store.queue(Processed { ran: Some(ran(9)), ..processed(id, "A1", vec![delivery]) }).await.unwrap();
    assert_eq!(times(&store, id).await.steps_took, Some(0.009));
}

#[tokio::test]
async fn a_store_of_an_earlier_version_is_found_sound_and_has_no_times_of_what_came_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let early = goes(&store, "A1", 1).await;
    drop(store);
    let span = folder.path().join(format!("spans/{:020}.db", 0));
    let connection = rusqlite::Connection::open(span).unwrap();
    let undo = "ALTER TABLE messages DROP COLUMN ran; ALTER TABLE messages DROP COLUMN took; \
                ALTER TABLE messages DROP COLUMN answered; PRAGMA user_version = 5";
    connection.execute_batch(undo).unwrap();
    drop(connection);
    let report = store::verify(folder.path()).unwrap();
    assert!(report.faults.is_empty(), "{report:?}");
    let store = open(folder.path());
    let late = goes(&store, "A2", 2).await;
    assert_eq!(times(&store, early).await, ShownTimes::default());
    are_whole(&times(&store, late).await, 0.002);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else {
            fs::copy(file.path(), target).unwrap();
        }
    }
}
