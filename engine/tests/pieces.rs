//! Splits, batches, and steps that break.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::sync::Arc;

use engine::{MessageState, Outcome, ReplyWhen};
use stage::{Answer, News, Peer, Stage, When, inbound, outlet, plan, replying};

async fn two(when: ReplyWhen) -> (Stage, Arc<Peer>, Arc<Peer>) {
    let news = News::default();
    let [archive, record] = ["archive", "record"].map(|name| Peer::new(name, &news));
    let plan = replying(when, plan(vec![outlet(&archive), outlet(&record)]));
    (Stage::start(&news, plan).await, archive, record)
}

/// Sends a batch and tells each sender.
async fn batch(stage: &Stage, messages: &[&str]) -> Vec<Outcome> {
    let inbounds = messages.iter().map(|message| inbound(message)).collect();
    let answers = stage.channel.inlet().receive_batch(inbounds).await;
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.reply.outcome);
        answer.told();
    }
    outcomes
}

fn count(stage: &Stage, write: &str) -> usize {
    stage.store.writes().iter().filter(|written| **written == write).count()
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_a_split_go_in_order_under_ids_of_their_own() {
    let (stage, archive, record) = two(ReplyWhen::Delivered).await;
    assert_eq!(stage.receive("A split:3").await.outcome, Outcome::Accepted);
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(archive.took(), ["A.1 split:3", "A.2 split:3", "A.3 split:3", "B"]);
    assert_eq!(record.took().len(), 4);
    let mut effects: Vec<_> = archive.sends().iter().map(|sent| sent.effect).collect();
    effects.dedup();
    assert_eq!(effects.len(), 4);
    let parts = stage.message("A").parts;
    assert_eq!(parts[1].control_id.as_deref(), Some("A.2"));
    assert_eq!(count(&stage, "queue"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_fails_the_message_and_nothing_goes() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    assert_eq!(stage.receive("A split:3 bad:2").await.outcome, Outcome::Failed);
    assert_eq!(stage.receive("B split:2 break-at:record").await.outcome, Outcome::Failed);
    stage.receive("C").await;
    stage.quiet().await;
    assert_eq!(archive.tried(), ["C"]);
    assert_eq!(stage.message("A").state, MessageState::Failed);
    assert_eq!(stage.message("B").state, MessageState::Failed);
}

#[tokio::test(start_paused = true)]
async fn with_each_the_other_parts_go_on() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    assert_eq!(stage.receive("A split:3 bad:2 each").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    let parts = stage.message("A").parts;
    assert!(parts[1].halt.is_some() && parts[0].halt.is_none());
    assert_eq!(archive.took(), ["A.1 split:3 bad:2 each", "A.3 split:3 bad:2 each"]);
}

#[tokio::test(start_paused = true)]
async fn with_each_the_message_fails_if_every_part_does() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    assert_eq!(stage.receive("A split:2 bad:1 bad:2 each").await.outcome, Outcome::Failed);
    assert_eq!(stage.receive("B split:2 break-at:record each").await.outcome, Outcome::Failed);
    assert_eq!(stage.receive("C split:2 skip:1 skip:2").await.outcome, Outcome::Filtered);
    stage.quiet().await;
    assert!(archive.tried().is_empty());
    assert_eq!(stage.message("A").state, MessageState::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_filtered_is_left_out() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    assert_eq!(stage.receive("A split:2 skip:1").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(archive.took(), ["A.2 split:2 skip:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_split_is_queued_whole_or_not_at_all() {
    for when in [When::Before, When::After] {
        let (mut stage, archive, record) = two(ReplyWhen::Processed).await;
        stage.store.fail_each("queue", when);
        stage.receive("A split:3").await;
        stage.crash().await;
        stage.quiet().await;
        for peer in [&archive, &record] {
            assert_eq!(peer.took(), ["A.1 split:3", "A.2 split:3", "A.3 split:3"], "{when:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_kept_in_one_write_and_each_message_has_its_answer() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    let outcomes = batch(&stage, &["A", "B refuse", "C filter", "D unreadable", "E"]).await;
    assert_eq!(
        outcomes,
        [Outcome::Accepted, Outcome::Refused, Outcome::Filtered, Outcome::Unreadable, Outcome::Accepted]
    );
    assert_eq!(count(&stage, "keep"), 1);
    stage.quiet().await;
    assert_eq!(archive.took(), ["A", "E"]);
    let places: Vec<u32> =
        stage.memory.snapshot().messages.iter().map(|stored| stored.batch.unwrap().1).collect();
    assert_eq!(places, [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_cannot_be_kept_is_unavailable_as_a_whole() {
    let (mut stage, archive, _record) = two(ReplyWhen::Stored).await;
    stage.store.fail_each("keep", When::Before);
    assert_eq!(batch(&stage, &["A", "B", "C"]).await, [Outcome::Unavailable; 3]);
    stage.store.mend();
    assert!(stage.memory.snapshot().messages.is_empty());
    assert_eq!(batch(&stage, &["A", "B", "C"]).await, [Outcome::Accepted; 3]);
    stage.quiet().await;
    stage.crash().await;
    stage.quiet().await;
    assert_eq!(archive.took(), ["A", "B", "C"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_kept_by_a_write_that_failed_goes_on_and_its_repeat_has_no_second_effect() {
    let (stage, archive, _record) = two(ReplyWhen::Stored).await;
    stage.store.fail_each("keep", When::After);
    assert_eq!(batch(&stage, &["A", "B", "C"]).await, [Outcome::Unavailable; 3]);
    stage.store.mend();
    stage.quiet().await;
    assert_eq!(batch(&stage, &["A", "B", "C"]).await, [Outcome::Accepted; 3]);
    stage.quiet().await;
    assert_eq!(archive.took(), ["A", "B", "C"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_is_answered_by_nothing() {
    let (stage, _archive, _record) = two(ReplyWhen::Processed).await;
    assert!(batch(&stage, &[]).await.is_empty());
    assert_eq!(count(&stage, "keep"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_panics_fails_its_message_and_no_other() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    assert_eq!(stage.receive("A panic").await.outcome, Outcome::Failed);
    assert_eq!(stage.receive("B").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(archive.took(), ["B"]);
    assert_eq!(stage.message("A").state, MessageState::Failed);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_message_is_kept_as_it_came_in_one_write() {
    let (stage, _archive, _record) = two(ReplyWhen::Stored).await;
    let reply = stage.receive("A unreadable").await;
    assert_eq!((reply.outcome, reply.why.as_deref()), (Outcome::Unreadable, Some("no MSH at byte 0")));
    let snapshot = stage.memory.snapshot();
    assert_eq!(snapshot.messages[0].outcome, Some(Outcome::Unreadable));
    assert_eq!(snapshot.messages[0].state, MessageState::Refused);
    assert_eq!(stage.store.writes(), ["remember", "interrupted", "keep"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_durable_can_be_answered_in_two_steps() {
    let (stage, _archive, record) = two(ReplyWhen::Delivered).await;
    record.shut();
    record.answers([Answer::Nack("AE")]);
    let pending = stage.channel.inlet().accept(inbound("A")).await.ok().unwrap();
    assert_eq!(stage.message("A").message.control_id.as_deref(), Some("A"));
    record.open();
    let answer = pending.answer().await;
    assert_eq!(answer.reply.outcome, Outcome::Failed);
    answer.told();
    stage.store.fail_each("keep", When::Before);
    let refused = stage.channel.inlet().accept(inbound("B")).await.err().unwrap();
    assert_eq!(refused.reply.outcome, Outcome::Unavailable);
    refused.told();
}
