//! How long a sender waits for destinations, and what it hears when that is over.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{sync::Arc, time::Duration};

use engine::{DeliveryState, Outcome, OutletPlan, QueueMode, ReplyWhen, Retry};
use stage::{Answer, News, Peer, Stage, When, outlet, plan, replying};
use tokio::time::Instant;

async fn replied(when: ReplyWhen, set: impl FnOnce(&mut OutletPlan)) -> (Stage, Arc<Peer>) {
    let news = News::default();
    let peer = Peer::new("record", &news);
    let mut outlet = outlet(&peer);
    set(&mut outlet);
    (Stage::start(&news, replying(when, plan(vec![outlet]))).await, peer)
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_one_failure_is_the_end() {
    for answer in [Answer::Away, Answer::Doubt, Answer::Nack("AE"), Answer::Nack("CE")] {
        let (stage, peer) = replied(ReplyWhen::Delivered, |outlet| outlet.queue = QueueMode::Never).await;
        peer.answers([answer]);
        assert_eq!(stage.receive("A").await.outcome, Outcome::Failed, "{answer:?}");
        assert_eq!(stage.delivery("A", "record").state, DeliveryState::GivenUp, "{answer:?}");
        assert_eq!(stage.receive("B").await.outcome, Outcome::Accepted);
        assert_eq!(peer.tried(), ["A", "B"]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_sender_hears_how_the_last_attempt_ended() {
    let (stage, peer) = replied(ReplyWhen::Delivered, |outlet| {
        outlet.queue = QueueMode::Never;
        outlet.retry.attempts = Some(3);
    })
    .await;
    peer.answers([Answer::Away; 3]);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::GivenUp);
    assert_eq!(peer.tried(), ["A"; 3]);
    peer.answers([Answer::Away; 2]);
    assert_eq!(stage.receive("B").await.outcome, Outcome::Accepted);
    assert_eq!(stage.delivery("B", "record").state, DeliveryState::Sent);
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_nothing_is_tried_after_the_senders_wait() {
    let (stage, peer) = replied(ReplyWhen::Delivered, |outlet| {
        outlet.queue = QueueMode::Never;
        outlet.retry = Retry { attempts: Some(5), first: Duration::from_secs(25), ..outlet.retry };
    })
    .await;
    peer.usually(Answer::Away);
    let before = Instant::now();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    assert!(before.elapsed() <= Duration::from_secs(31));
    stage.quiet().await;
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::GivenUp);
    assert_eq!(peer.tried().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_an_attempt_that_outlasts_the_senders_wait_is_the_last() {
    let (stage, peer) = replied(ReplyWhen::Delivered, |outlet| {
        outlet.queue = QueueMode::Never;
        outlet.retry.attempts = Some(5);
    })
    .await;
    peer.usually(Answer::Away);
    peer.shut();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    peer.open();
    stage.quiet().await;
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::GivenUp);
    assert_eq!(peer.tried(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_nothing_is_sent_whose_attempt_could_not_begin_in_the_senders_wait() {
    let (stage, peer) = replied(ReplyWhen::Delivered, |outlet| outlet.queue = QueueMode::Never).await;
    stage.store.fail_each("begin", When::Before);
    stage.store.catch("begin");
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    stage.store.mend();
    stage.store.let_go();
    stage.quiet().await;
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::GivenUp);
    assert!(peer.tried().is_empty(), "its sender had heard that it failed");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_breaks_does_not_keep_a_sender_waiting() {
    let (stage, peer) = replied(ReplyWhen::Delivered, |outlet| {
        outlet.queue = QueueMode::Never;
        outlet.retry = Retry { attempts: Some(5), first: Duration::from_secs(100), ..outlet.retry };
    })
    .await;
    peer.usually(Answer::Away);
    let answer = stage.send("A");
    stage
        .until("it rests", |snapshot| snapshot.deliveries.iter().any(|delivery| delivery.tally.attempts == 1))
        .await;
    stage.store.fail_each("settle", When::Before);
    let waited = tokio::time::timeout(Duration::from_secs(40), answer).await;
    assert!(waited.is_ok(), "the sender still waits");
}

#[tokio::test(start_paused = true)]
async fn from_the_queue_alone_the_sender_never_waits_for_the_destination() {
    let (stage, peer) = replied(ReplyWhen::Delivered, |outlet| outlet.queue = QueueMode::Always).await;
    peer.shut();
    let before = Instant::now();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    assert_eq!(before.elapsed(), Duration::ZERO);
    peer.open();
    stage.quiet().await;
    assert_eq!(peer.took(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn behind_one_that_waits_the_sender_hears_at_once_that_it_is_queued() {
    let (stage, peer) = replied(ReplyWhen::Delivered, |_| {}).await;
    peer.answers([Answer::AwayFor(3600)]);
    let before = Instant::now();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    assert_eq!(stage.receive("B").await.outcome, Outcome::Accepted);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_no_longer_than_within() {
    let (stage, peer) = replied(ReplyWhen::Delivered, |_| {}).await;
    peer.shut();
    let before = Instant::now();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    assert_eq!(before.elapsed().as_secs(), 30);
    peer.open();
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn a_sender_whose_message_is_not_processed_within_hears_unavailable_and_it_goes_on() {
    let (stage, peer) = replied(ReplyWhen::Processed, |_| {}).await;
    stage.store.catch("queue");
    assert_eq!(stage.receive("A").await.outcome, Outcome::Unavailable);
    stage.store.let_go();
    stage.quiet().await;
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A"], "the second copy is answered with the outcome of the first");
}
