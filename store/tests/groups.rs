//! Groups in the store: over restarts, and when what is old is forgotten.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use engine::{Ages, Gathered, Gatherings, History, Joins, MessageId, Ripe, Store};
use stage::{CHANNEL, arrival, processed};
use store::Sqlite;

fn joins(key: &str) -> Joins {
    Joins { key: key.to_owned(), brings: "{}".to_owned(), expected: None }
}

async fn member(store: &Sqlite, control_id: &str, key: &str) -> MessageId {
    let id = store.next_message();
    store.keep(vec![arrival(id, control_id, &format!("MSH|{id}"))]).await.unwrap();
    store
        .queue(engine::Processed { joins: Some(joins(key)), ..processed(id, control_id, Vec::new()) })
        .await
        .unwrap();
    id
}

async fn ripe(store: &Sqlite) -> Gatherings {
    let later = SystemTime::now() + Duration::from_hours(1);
    store.gatherings(CHANNEL, Ripe { last: later, first: None }, 10).await.unwrap()
}

/// Keeps a run of the only ripe group; says which members it has.
async fn run(store: &Sqlite, name: &str) -> (MessageId, Vec<MessageId>) {
    let group = ripe(store).await.ripe.remove(0);
    let members = store.members(CHANNEL, group.mark, 0, 100).await.unwrap();
    let id = store.next_message();
    let gathers = Some(Gathered { mark: group.mark, through: members.last().unwrap().place });
    store.keep(vec![engine::Arrival { gathers, ..arrival(id, name, "{}") }]).await.unwrap();
    store.queue(processed(id, name, Vec::new())).await.unwrap();
    (id, members.iter().map(|member| member.message).collect())
}

fn ages(content: Duration, metadata: Duration) -> Ages {
    Ages { content, errors: content, metadata }
}

#[tokio::test]
async fn a_group_is_known_over_a_restart_and_each_message_says_what_it_has_to_do_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    let (a, b) = (member(&store, "A", "S1").await, member(&store, "B", "S1").await);
    drop(store);
    let store = Sqlite::open(folder.path()).unwrap();
    let early = Ripe { last: SystemTime::UNIX_EPOCH, first: Some(SystemTime::UNIX_EPOCH) };
    let found = store.gatherings(CHANNEL, early, 10).await.unwrap();
    assert!(found.ripe.is_empty() && found.first.is_some() && found.last >= found.first);
    let (first, had) = run(&store, "R1").await;
    assert_eq!(had, [a, b]);
    assert!(ripe(&store).await.ripe.is_empty());
    let c = member(&store, "C", "S1").await;
    let again = member(&store, "A", "S1").await;
    let of_b = store.membership(b).await.unwrap().unwrap();
    assert_eq!((of_b.key.as_str(), of_b.run, of_b.members, of_b.waiting), ("S1", None, 3, 2));
    assert_eq!(of_b.messages, [first]);
    assert_eq!(store.open_groups().await.unwrap()[CHANNEL].members, 2);
    drop(store);
    let store = Sqlite::open(folder.path()).unwrap();
    let (second, had) = run(&store, "R2").await;
    assert_eq!(had, [b, c, again]);
    let of_run = store.membership(second).await.unwrap().unwrap();
    assert_eq!((of_run.run, of_run.messages), (Some(2), vec![b, c, again]));
    assert_eq!(store.membership(b).await.unwrap().unwrap().messages, [first, second]);
    assert!(store.open_groups().await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_of_a_group_that_waits_is_forgotten_and_a_run_says_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    let a = member(&store, "A", "S1").await;
    let (now, year) = (Duration::ZERO, Duration::from_hours(24 * 365));
    let forget = async || {
        let all = BTreeMap::from([(CHANNEL.to_owned(), ages(now, year))]);
        store.forget_groups(&all).await.unwrap();
        store.forget_spans(&all).await.unwrap();
        store.forget(CHANNEL, ages(now, year)).await.unwrap();
    };
    forget().await;
    assert!(store.show(a).await.unwrap().unwrap().body.is_some());
    let (first, had) = run(&store, "R1").await;
    assert_eq!(had, [a]);
    forget().await;
    assert!(store.show(a).await.unwrap().unwrap().body.is_none());
    assert_eq!(store.membership(first).await.unwrap().unwrap().key, "", "the key goes with the content");
    member(&store, "B", "S1").await;
    let found = ripe(&store).await;
    assert_eq!((found.ripe[0].gone, found.ripe[0].runs, found.ripe[0].key.as_str()), (1, 1, "S1"));
}
