//! Crash, restart, pause, stop and reload.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{sync::Arc, time::Duration};

use engine::{ChannelState, DeliveryState, MessageState, Outcome, OutletPlan, Plan, WhenUnsure};
use stage::{Answer, News, Peer, Stage, Steps, When, marked, outlet, plan};
use tokio::time::Instant;

async fn one(set: impl FnOnce(&mut OutletPlan)) -> (Stage, Arc<Peer>) {
    let news = News::default();
    let peer = Peer::new("record", &news);
    let mut outlet = outlet(&peer);
    set(&mut outlet);
    (Stage::start(&news, plan(vec![outlet])).await, peer)
}

/// A channel in which the word `die` ends the process.
async fn deadly() -> (Stage, Arc<Peer>) {
    let news = News::default();
    let peer = Peer::new("record", &news);
    let plan = plan(vec![outlet(&peer)]);
    let steps = Steps::new(&plan.outlets).dying(&news);
    let plan = Plan { script: Arc::new(steps), ..plan };
    (Stage::start(&news, plan).await, peer)
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_a_crash_cut_is_made_again_with_the_same_effect() {
    let (mut stage, peer) = one(|_| {}).await;
    peer.shut();
    stage.receive("A").await;
    stage.news.until("A is sent", || peer.tried().len() == 1).await;
    assert_eq!(stage.crash().await.len(), 1);
    peer.open();
    stage.quiet().await;
    let sends = peer.sends();
    assert_eq!(sends.len(), 2);
    assert_eq!(sends[0].effect, sends[1].effect);
    assert_eq!(sends[1].previous, Some(1.into()), "it gets the note of the attempt that was cut");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_a_crash_cut_waits_for_a_person_where_it_must_not_be_repeated() {
    for (when_unsure, state) in
        [(WhenUnsure::Hold, DeliveryState::SetAside), (WhenUnsure::Stop, DeliveryState::Waiting)]
    {
        let (mut stage, peer) = one(|outlet| outlet.when_unsure = Some(when_unsure)).await;
        peer.shut();
        stage.receive("A").await;
        stage.news.until("A is sent", || peer.tried().len() == 1).await;
        stage.crash().await;
        peer.open();
        stage.until("it is settled", |snapshot| snapshot.deliveries[0].state != DeliveryState::Begun).await;
        let delivery = stage.delivery("A", "record");
        assert_eq!(delivery.state, state, "{when_unsure:?}");
        assert_eq!(delivery.tally.stopped, when_unsure == WhenUnsure::Stop);
        assert_eq!(peer.tried(), ["A"]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_the_process_at_each_send_is_stopped_at_last() {
    let (mut stage, peer) = one(|_| {}).await;
    peer.shut();
    stage.receive("A").await;
    for sends in 1..=5 {
        stage.news.until("it is sent", || peer.tried().len() == sends).await;
        stage.crash().await;
    }
    stage.until("its lane is stopped", |snapshot| snapshot.deliveries[0].tally.stopped).await;
    assert_eq!(peer.tried().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_left_open_goes_before_anything_newer() {
    let (mut stage, peer) = one(|_| {}).await;
    stage.store.fail_each("queue", When::Before);
    stage.receive("A").await;
    stage.crash().await;
    assert_eq!(stage.receive("B").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_while_the_start_still_looks_is_carried_once() {
    let (mut stage, peer) = one(|_| {}).await;
    stage.crash_with(|store| store.catch("interrupted")).await;
    stage.news.until("the start looks", || stage.store.has_caught()).await;
    let answer = stage.send("A");
    stage.until("A is kept", |snapshot| snapshot.messages.len() == 1).await;
    stage.store.let_go();
    assert_eq!(answer.await.unwrap().outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A"]);
    assert_eq!(stage.store.writes().iter().filter(|write| **write == "queue").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_what_was_left_open_while_the_start_cannot_look_for_it() {
    let (mut stage, peer) = one(|_| {}).await;
    stage.store.fail_each("queue", When::Before);
    stage.receive("A").await;
    stage.crash_with(|store| store.fail(When::Before)).await;
    assert_eq!(stage.receive("B").await.outcome, Outcome::Unavailable);
    stage.store.fail_each("interrupted", When::Before);
    stage.channel.reload(marked("!", stage.plan.clone())).await;
    assert_eq!(stage.receive("B").await.outcome, Outcome::Unavailable);
    assert!(peer.tried().is_empty());
    stage.store.mend();
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A!", "B!"]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_stopped_before_it_could_look_back_looks_when_it_is_started() {
    let (mut stage, peer) = one(|_| {}).await;
    stage.store.fail_each("queue", When::Before);
    stage.receive("A").await;
    stage.crash_with(|store| store.fail_each("interrupted", When::Before)).await;
    stage.channel.halt("anna").await.unwrap();
    stage.store.mend();
    stage.channel.resume("anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_ends_the_process_each_time_is_closed_at_last() {
    let (mut stage, peer) = deadly().await;
    stage.receive("A").await;
    stage.quiet().await;
    let _ = stage.receive("X die").await;
    for _ in 0..8 {
        stage
            .news
            .until("it died or was closed", || {
                stage.store.is_dead() || stage.message("X").state == MessageState::Failed
            })
            .await;
        stage.crash().await;
    }
    stage.quiet().await;
    let closed = stage.message("X");
    assert_eq!((closed.state, closed.outcome), (MessageState::Failed, Some(Outcome::Failed)));
    assert!(closed.why.unwrap().contains("twice"));
    assert!(closed.starts <= 5, "it took {} starts", closed.starts);
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(peer.took(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_suspected_because_the_store_could_not_write_it() {
    let (mut stage, peer) = one(|_| {}).await;
    stage.store.fail_each("queue", When::Before);
    stage.receive("A").await;
    for _ in 0..2 {
        stage.crash_with(|store| store.fail_each("queue", When::Before)).await;
        stage
            .news
            .until("it was tried a few times", || {
                stage.store.writes().iter().filter(|write| **write == "queue").count() > 3
            })
            .await;
    }
    stage.crash().await;
    stage.quiet().await;
    assert_eq!(peer.took(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn those_behind_a_message_that_ends_the_process_go_on_when_it_is_closed() {
    let (mut stage, peer) = deadly().await;
    let _ = stage.receive("X die").await;
    for _ in 0..8 {
        stage.crash().await;
        let _ = stage.receive("B").await;
        stage
            .news
            .until("it died or was closed", || {
                stage.store.is_dead() || stage.message("X").state == MessageState::Failed
            })
            .await;
    }
    stage.quiet().await;
    assert_eq!(stage.message("X").state, MessageState::Failed);
    assert!(!peer.took().is_empty());
    assert!(stage.messages("B").iter().all(|stored| stored.state != MessageState::Failed));
}

#[tokio::test(start_paused = true)]
async fn stopping_never_hangs_and_leaves_the_rest_to_the_next_start() {
    let (mut stage, peer) = one(|_| {}).await;
    peer.shut();
    stage.receive("A").await;
    stage.receive("B").await;
    stage.news.until("A is sent", || peer.tried().len() == 1).await;
    let before = Instant::now();
    stage.restart().await;
    assert!(before.elapsed() <= Duration::from_secs(11), "{:?}", before.elapsed());
    peer.open();
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_hang_on_a_broken_store() {
    let (stage, peer) = one(|_| {}).await;
    stage.store.fail_each("settle", When::Before);
    stage.receive("A").await;
    stage.news.until("A is sent", || peer.tried().len() == 1).await;
    let stopped = tokio::time::timeout(Duration::from_secs(25), stage.channel.stop(Duration::from_secs(10)));
    assert!(stopped.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_the_sends_under_way_first() {
    let (stage, peer) = one(|_| {}).await;
    peer.shut();
    stage.receive("A").await;
    stage.news.until("A is sent", || peer.tried().len() == 1).await;
    let channel = Arc::clone(&stage.channel);
    let stopping = tokio::spawn(async move { channel.stop(Duration::from_secs(10)).await });
    tokio::task::yield_now().await;
    peer.open();
    stopping.await.unwrap();
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::Sent);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_channel_sends_nothing_until_it_is_started_also_after_a_restart() {
    let (mut stage, peer) = one(|_| {}).await;
    peer.answers([Answer::AwayFor(60)]);
    stage.receive("A").await;
    stage.until("A rests", |snapshot| snapshot.deliveries[0].tally.not_before.is_some()).await;
    stage.channel.halt("anna").await.unwrap();
    stage.crash().await;
    assert_eq!(stage.channel.view().state, ChannelState::Stopped);
    tokio::time::advance(Duration::from_hours(1)).await;
    assert_eq!(peer.tried(), ["A"]);
    stage.channel.resume("anna").await.unwrap();
    assert_eq!(stage.channel.view().state, ChannelState::Running);
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "A"]);
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(peer.took(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_channel_still_sends_and_stays_paused() {
    let (mut stage, peer) = one(|_| {}).await;
    peer.answers([Answer::Away; 3]);
    stage.receive("A").await;
    stage.channel.pause("anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(peer.took(), ["A"]);
    stage.restart().await;
    assert_eq!(stage.channel.view().state, ChannelState::Paused);
    stage.channel.resume("anna").await.unwrap();
    stage.restart().await;
    assert_eq!(stage.channel.view().state, ChannelState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_a_stop_cut_is_made_again_when_the_channel_is_started() {
    let (stage, peer) = one(|_| {}).await;
    peer.shut();
    stage.receive("A").await;
    stage.news.until("A is sent", || peer.tried().len() == 1).await;
    stage.channel.halt("anna").await.unwrap();
    peer.open();
    stage.channel.resume("anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "A"]);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_went_away_is_untold_and_its_message_goes_on() {
    let (stage, peer) = one(|_| {}).await;
    let answer = stage.channel.inlet().receive(stage::inbound("A")).await;
    drop(answer);
    assert_eq!(stage.message("A").answer, engine::AnswerState::Untold);
    stage.quiet().await;
    assert_eq!(peer.took(), ["A"]);
}
