//! Messages in many files: repeats found, bytes kept, and files forgotten whole.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use engine::{
    Act, Ages, Content, DeliveryId, Filling, History, Intervention, Kept, MessageId, OtherBytes, Query,
    RepeatPolicy, Repeats, Store, Texts,
};
use stage::{CHANNEL, arrival, delivery, keep, processed, queue, sent};
use store::{Settings, Sqlite};

/// A new file every few messages.
fn open(folder: &Path) -> Sqlite {
    Sqlite::open_with(folder, Settings { span: 4, ..Settings::default() }).unwrap()
}

fn files(folder: &Path, of: &str) -> usize {
    let entries = std::fs::read_dir(folder.join(of)).unwrap().flatten();
    entries.filter(|entry| !entry.file_name().to_string_lossy().contains('-')).count()
}

/// Filed one by one, so that files are cut between them.
async fn queue_many(store: &Sqlite, names: std::ops::Range<usize>) -> Vec<(MessageId, DeliveryId)> {
    let mut queued = Vec::new();
    for name in names {
        queued.push(queue(store, &format!("A{name}"), "record").await);
        store.depths().await.unwrap();
    }
    queued
}

fn large(byte: u8) -> Content {
    Content::from(vec![byte; 1 << 20])
}

const NOW: Ages = Ages { content: Duration::ZERO, errors: Duration::ZERO, metadata: Duration::ZERO };

#[tokio::test]
async fn a_repeat_is_known_whatever_file_its_first_copy_lies_in_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    queue_many(&store, 0..30).await;
    assert!(files(folder.path(), "spans") > 5);
    drop(store);
    let store = open(folder.path());
    let repeats = Repeats {
        policy: RepeatPolicy::AnswerAgain,
        window: Duration::from_hours(1),
        others: OtherBytes::Flag,
    };
    for name in 0..30 {
        let id = store.next_message();
        let second = engine::Arrival { repeats, ..arrival(id, &format!("A{name}"), "MSH|the body") };
        let kept = store.keep(vec![second]).await.unwrap();
        assert!(matches!(kept[0], Kept::Again(_)), "A{name}: {kept:?}");
    }
}

#[tokio::test]
async fn a_store_that_was_closed_leaves_no_logs_beside_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    queue_many(&store, 0..30).await;
    // Readers have the files open, too.
    assert_eq!(store.find(&Query { limit: 100, ..Query::default() }).await.unwrap().len(), 30);
    drop(store);
    let logs = |entry: &std::fs::DirEntry| {
        entry.file_name().to_string_lossy().ends_with("-wal") && entry.metadata().unwrap().len() > 0
    };
    let left = std::fs::read_dir(folder.path().join("spans")).unwrap().flatten().filter(logs).count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_file_of_which_everything_may_go_goes_at_once_and_no_number_is_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let queued = queue_many(&store, 0..24).await;
    for (_, id) in &queued[..20] {
        store.settle(*id, sent("AA")).await.unwrap();
    }
    let before = files(folder.path(), "spans");
    let nobody = store.forget_spans(&BTreeMap::from([("other".to_owned(), NOW)])).await.unwrap();
    assert_eq!(nobody, 0, "a channel that nobody names keeps what it has");
    let ages = BTreeMap::from([(CHANNEL.to_owned(), NOW)]);
    let forgotten = store.forget_spans(&ages).await.unwrap();
    assert!(forgotten >= 12, "{forgotten}");
    assert!(files(folder.path(), "spans") <= before - 3);
    let found = store.find(&Query { limit: 100, ..Query::default() }).await.unwrap();
    assert_eq!(found.len() as u64, 24 - forgotten);
    assert_eq!(store.waiting(CHANNEL, "record", None, 100).await.unwrap().len(), 4);
    for (_, id) in &queued[20..] {
        store.settle(*id, sent("AA")).await.unwrap();
    }
    store.forget_spans(&ages).await.unwrap();
    store.forget(CHANNEL, NOW).await.unwrap();
    assert!(store.find(&Query { limit: 100, ..Query::default() }).await.unwrap().is_empty());
    drop(store);
    let store = open(folder.path());
    assert!(store.next_message() > queued[23].0 && store.next_delivery() > queued[23].1);
}

#[tokio::test]
async fn large_bytes_of_a_delivery_are_named_by_its_message_and_go_with_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    // Deliveries have higher numbers than messages.
    let message = keep(&store, "A1").await;
    while store.next_delivery() < DeliveryId(50) {}
    let follower = delivery(store.next_delivery(), "record");
    let (filled, after) = (follower.id, Some("archive".to_owned()));
    let follower = engine::NewDelivery { after, ..follower };
    store.queue(processed(message, "A1", vec![follower])).await.unwrap();
    let filling = Filling { body: Some(large(b'f')), texts: Texts::new(), inputs: None };
    store.fill(filled, filling).await.unwrap();
    let edited = Act::Resend { to: None, body: Some(large(b'e')) };
    let by = "ada".to_owned();
    let again = store.intervene(Intervention { delivery: filled, what: edited, by }).await.unwrap().unwrap();
    let again = again.position.delivery;
    drop(store);

    let store = open(folder.path());
    assert_eq!(store.delivery(filled).await.unwrap().unwrap().body, Some(large(b'f')));
    assert_eq!(store.delivery(again).await.unwrap().unwrap().body, Some(large(b'e')));
    for id in [filled, again] {
        store.settle(id, sent("AA")).await.unwrap();
    }
    // Another message, whose number is that of nobody's delivery, keeps its bytes.
    let other = store.next_message();
    let body = String::from_utf8(vec![b'o'; 1 << 20]).unwrap();
    store.keep(vec![arrival(other, "A2", &body)]).await.unwrap();
    assert_eq!(store.forget(CHANNEL, NOW).await.unwrap(), 1);
    assert_eq!(files(folder.path(), "large"), 1);
    assert!(store.show(other).await.unwrap().unwrap().body.is_some());
}

#[tokio::test]
async fn large_bytes_that_no_message_was_kept_for_are_gone_at_once_or_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let body = String::from_utf8(vec![b'o'; 1 << 20]).unwrap();
    let repeats = Repeats {
        policy: RepeatPolicy::AnswerAgain,
        window: Duration::from_hours(1),
        others: OtherBytes::Flag,
    };
    for _ in 0..2 {
        let id = store.next_message();
        store.keep(vec![engine::Arrival { repeats, ..arrival(id, "A1", &body) }]).await.unwrap();
    }
    keep(&store, "A2").await;
    assert_eq!(files(folder.path(), "large"), 1, "that of the copy that was not kept is gone");
    drop(store);
    // What a crash leaves between the file and the record that speaks of it.
    std::fs::write(folder.path().join("large/00000000000000000077.1.0.0123456789abcdef"), &body).unwrap();
    std::fs::write(folder.path().join("spool/half"), &body).unwrap();
    open(folder.path());
    assert_eq!((files(folder.path(), "large"), files(folder.path(), "spool")), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_sends_again_while_old_messages_are_forgotten_is_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let queued = queue_many(&store, 0..40).await;
    for (_, id) in &queued {
        store.settle(*id, stage::given_up("AE")).await.unwrap();
    }
    let forgetting = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            store.forget_spans(&BTreeMap::from([(CHANNEL.to_owned(), NOW)])).await.unwrap();
            store.forget(CHANNEL, NOW).await.unwrap();
        }
    });
    for (_, id) in queued.iter().rev() {
        let what = Act::Resend { to: None, body: None };
        // Refused where it was forgotten before.
        let _ = store.intervene(Intervention { delivery: *id, what, by: "ada".to_owned() }).await;
    }
    forgetting.await.unwrap();
    for waiting in store.waiting(CHANNEL, "record", None, 100).await.unwrap() {
        let id = waiting.position.delivery;
        let whole = store.delivery(id).await.unwrap().expect("what waits is there");
        assert_eq!(whole.body, Some(Content::from("MSH|the body")), "delivery {}", id.0);
        assert!(store.show(waiting.position.message).await.unwrap().is_some());
    }
}
