//! A new version of a channel while messages flow, and destinations that leave the file.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{sync::Arc, time::Duration};

use engine::{Order, Outcome, OutletPlan, ReplyWhen};
use stage::{Answer, News, Peer, Stage, marked, outlet, plan, replying};

async fn one(set: impl FnOnce(&mut OutletPlan)) -> (Stage, Arc<Peer>) {
    let news = News::default();
    let peer = Peer::new("record", &news);
    let mut outlet = outlet(&peer);
    set(&mut outlet);
    (Stage::start(&news, plan(vec![outlet])).await, peer)
}

#[tokio::test(start_paused = true)]
async fn a_reload_while_messages_flow_loses_none_repeats_none_and_keeps_the_order() {
    let (stage, peer) = one(|_| {}).await;
    peer.answers_to("7", [Answer::Away; 2]);
    let mut answers = Vec::new();
    for number in 0..40 {
        answers.push(stage.send(&number.to_string()));
        if number % 10 == 9 {
            let mark = ["a", "b", "c", "d"][number / 10];
            stage.channel.reload(marked(mark, stage.plan.clone())).await;
        }
    }
    for answer in answers {
        assert_eq!(answer.await.unwrap().outcome, Outcome::Accepted);
    }
    stage.quiet().await;
    let took: Vec<u32> =
        peer.took().iter().map(|body| body.trim_end_matches(char::is_alphabetic).parse().unwrap()).collect();
    assert_eq!(took, (0..40).collect::<Vec<u32>>());
}

#[tokio::test(start_paused = true)]
async fn a_reload_leaves_waiting_payloads_as_they_are() {
    let (stage, peer) = one(|_| {}).await;
    peer.shut();
    stage.receive("A").await;
    stage.receive("B").await;
    stage.channel.reload(marked("!", stage.plan.clone())).await;
    stage.receive("C").await;
    peer.open();
    stage.quiet().await;
    assert_eq!(peer.took(), ["A", "B", "C!"]);
}

#[tokio::test(start_paused = true)]
async fn a_reload_may_change_the_order_of_what_waits() {
    let (stage, peer) = one(|_| {}).await;
    peer.answers_to("A", [Answer::AwayFor(3600)]);
    stage.receive("A key:1").await;
    stage.receive("B key:2").await;
    stage.until("A rests", |snapshot| snapshot.deliveries[0].tally.not_before.is_some()).await;
    let mut by_key = stage.plan.clone();
    by_key.outlets[0].order = Order::Key;
    by_key.outlets[0].workers = 2;
    stage.channel.reload(by_key).await;
    stage.quiet().await;
    assert_eq!(peer.took(), ["B key:2", "A key:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_left_the_file_keeps_what_waits_until_its_name_returns() {
    let news = News::default();
    let [archive, record] = ["archive", "record"].map(|name| Peer::new(name, &news));
    let both = plan(vec![outlet(&archive), outlet(&record)]);
    let without = plan(vec![outlet(&archive)]);
    let mut stage = Stage::start(&news, both.clone()).await;
    record.answers([Answer::AwayFor(60)]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage
        .until("A rests", |snapshot| {
            snapshot.deliveries.iter().any(|delivery| delivery.tally.not_before.is_some())
        })
        .await;
    stage.channel.reload(without.clone()).await;
    tokio::time::advance(Duration::from_hours(1)).await;
    stage.plan = without;
    stage.restart().await;
    stage.receive("C").await;
    stage.until("the archive has all", |_| archive.took().len() == 3).await;
    let view = stage.channel.view();
    let detached = view.destinations.iter().find(|outlet| outlet.name == "record").unwrap();
    assert_eq!((detached.state, detached.depth), ("detached", 2));
    assert_eq!(record.tried(), ["A"]);
    stage.channel.reload(both).await;
    stage.quiet().await;
    assert_eq!(record.took(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_destination_that_left_can_be_moved() {
    let news = News::default();
    let [archive, record] = ["archive", "record"].map(|name| Peer::new(name, &news));
    let mut stage = Stage::start(&news, plan(vec![outlet(&archive), outlet(&record)])).await;
    record.usually(Answer::AwayFor(60));
    stage.receive("A to:record").await;
    stage.until("A rests", |snapshot| snapshot.deliveries[0].tally.not_before.is_some()).await;
    stage.plan = plan(vec![outlet(&archive)]);
    stage.crash().await;
    let id = stage.delivery("A", "record").id;
    stage.channel.resend(id, Some("archive".to_owned()), None, "anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(archive.took(), ["A to:record"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_under_way_ends_on_the_version_that_took_it() {
    let (stage, peer) = one(|_| {}).await;
    stage.store.catch("queue");
    let answer = stage.send("A");
    stage.news.until("A is at its queue", || stage.store.has_caught()).await;
    stage.channel.reload(marked("!", replying(ReplyWhen::Stored, stage.plan.clone()))).await;
    stage.receive("B").await;
    stage.store.let_go();
    assert_eq!(answer.await.unwrap().outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(peer.took(), ["A", "B!"]);
    let versions = stage.memory.snapshot().versions.len();
    assert_eq!(versions, 2);
}
