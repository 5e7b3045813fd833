//! What a person does: hold, release, park, resend, drop, and what stays of it.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::sync::Arc;

use engine::{
    Again, Content, DeliveryId, DeliveryState, Hash, Inbound, MessageState, Outcome, Refusal, ReplyWhen,
    memory::StoredMessage,
};
use stage::{Answer, News, Peer, Stage, When, answering_again, inbound, marked, outlet, plan, replying};

async fn two(when: ReplyWhen) -> (Stage, Arc<Peer>, Arc<Peer>) {
    let news = News::default();
    let [archive, record] = ["archive", "record"].map(|name| Peer::new(name, &news));
    let plan = replying(when, plan(vec![outlet(&archive), outlet(&record)]));
    (Stage::start(&news, plan).await, archive, record)
}

fn state(stage: &Stage, destination: &str) -> &'static str {
    let view = stage.channel.view();
    view.destinations.iter().find(|outlet| outlet.name == destination).unwrap().state
}

#[tokio::test(start_paused = true)]
async fn a_held_destination_gets_nothing_until_it_is_released() {
    let (mut stage, archive, record) = two(ReplyWhen::Delivered).await;
    stage.channel.hold("record", "anna").await.unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    assert!(before.elapsed().is_zero(), "nobody waits for one that is held");
    stage.restart().await;
    assert_eq!(state(&stage, "record"), "held");
    stage.receive("B").await;
    stage.crash().await;
    stage.receive("C").await;
    stage.until("the archive has all", |_| archive.took().len() == 3).await;
    assert!(record.tried().is_empty());
    stage.channel.release("record", "anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(record.took(), ["A", "B", "C"]);
    stage.restart().await;
    assert_eq!(state(&stage, "record"), "idle");
    let audit: Vec<String> = stage.memory.snapshot().audit.into_iter().map(|line| line.by).collect();
    assert_eq!(audit, ["anna", "anna"]);
}

#[tokio::test(start_paused = true)]
async fn a_parked_head_lets_those_behind_it_go() {
    let (mut stage, archive, _record) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::AwayFor(7200)]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage.until("A waits", |_| archive.tried().len() == 1).await;
    stage
        .until("A rests", |snapshot| {
            snapshot.deliveries.iter().any(|delivery| delivery.tally.not_before.is_some())
        })
        .await;
    let parked = stage.channel.park("archive", "anna").await.unwrap();
    assert_eq!(parked, Some(stage.delivery("A", "archive").id));
    stage.quiet().await;
    stage.restart().await;
    stage.quiet().await;
    assert_eq!(archive.took(), ["B"]);
    assert_eq!(stage.delivery("A", "archive").state, DeliveryState::SetAside);
    stage.channel.resend(parked.unwrap(), None, None, "anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(archive.took(), ["B", "A"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_has_no_head_to_park() {
    let (stage, _archive, _record) = two(ReplyWhen::Processed).await;
    assert_eq!(stage.channel.park("archive", "anna").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_sent_again_with_an_effect_of_its_own() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    stage.receive("A").await;
    stage.quiet().await;
    let first = stage.delivery("A", "archive").id;
    let second = stage.channel.resend(first, None, None, "anna").await.unwrap();
    assert_ne!(first, second);
    stage.quiet().await;
    stage.channel.resend(first, None, None, "anna").await.unwrap();
    stage.quiet().await;
    let mut effects: Vec<_> = archive.sends().iter().map(|sent| sent.effect).collect();
    effects.sort_unstable();
    effects.dedup();
    assert_eq!(effects.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_is_sent_again_as_it_is() {
    let (mut stage, archive, _record) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::Nack("AE")]);
    stage.receive("A").await;
    stage.quiet().await;
    stage.restart().await;
    let id = stage.delivery("A", "archive").id;
    assert_eq!(stage.channel.resend(id, None, None, "anna").await.unwrap(), id);
    stage.quiet().await;
    let sends = archive.sends();
    assert_eq!(sends[0].effect, sends[1].effect);
    assert_eq!(stage.delivery("A", "archive").state, DeliveryState::Sent);
}

#[tokio::test(start_paused = true)]
async fn an_edited_delivery_goes_in_place_of_the_one_that_waits() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::AwayFor(60)]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage
        .until("A rests", |snapshot| {
            snapshot.deliveries.iter().any(|delivery| delivery.tally.not_before.is_some())
        })
        .await;
    let edited = Some(Content::from(b"A edited".to_vec()));
    stage.channel.resend(stage.delivery("A", "archive").id, None, edited, "anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(archive.took(), ["A edited", "B"]);
}

#[tokio::test(start_paused = true)]
async fn an_edited_delivery_takes_the_given_up_one_off_the_list() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::Nack("AE")]);
    stage.receive("A").await;
    stage.quiet().await;
    let edited = Some(Content::from(b"A edited".to_vec()));
    stage.channel.resend(stage.delivery("A", "archive").id, None, edited, "anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(archive.took(), ["A edited"]);
    assert!(stage.deliveries(DeliveryState::GivenUp).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_waiting_delivery_can_be_moved_to_another_destination() {
    let (mut stage, archive, record) = two(ReplyWhen::Processed).await;
    archive.usually(Answer::AwayFor(3600));
    stage.receive("A to:archive").await;
    stage.until("A rests", |snapshot| snapshot.deliveries[0].tally.not_before.is_some()).await;
    let to = Some("record".to_owned());
    stage.channel.resend(stage.delivery("A", "archive").id, to, None, "anna").await.unwrap();
    stage.quiet().await;
    stage.restart().await;
    stage.quiet().await;
    assert_eq!(record.took(), ["A to:archive"]);
    assert_eq!(archive.tried().len(), 1);
    assert_eq!(stage.delivery("A", "archive").state, DeliveryState::Dropped);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_delivery_is_never_sent_and_lets_those_behind_it_go() {
    let (mut stage, archive, _record) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::AwayFor(3600)]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage
        .until("A rests", |snapshot| {
            snapshot.deliveries.iter().any(|delivery| delivery.tally.not_before.is_some())
        })
        .await;
    stage.channel.drop_delivery(stage.delivery("A", "archive").id, "anna").await.unwrap();
    stage.quiet().await;
    stage.crash().await;
    stage.quiet().await;
    assert_eq!(archive.tried(), ["A", "B"]);
    assert_eq!(stage.delivery("A", "archive").state, DeliveryState::Dropped);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_sent_is_left_alone() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    archive.shut();
    stage.receive("A").await;
    stage.news.until("it is being sent", || archive.tried().len() == 1).await;
    let id = stage.delivery("A", "archive").id;
    assert!(matches!(stage.channel.drop_delivery(id, "anna").await, Err(Refusal::UnderWay)));
    assert!(matches!(stage.channel.resend(id, None, None, "anna").await, Err(Refusal::UnderWay)));
    assert!(stage.channel.park("archive", "anna").await.is_err());
    archive.open();
    stage.quiet().await;
    assert_eq!(archive.took(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_said_so() {
    let (stage, _archive, _record) = two(ReplyWhen::Processed).await;
    assert!(matches!(stage.channel.hold("nowhere", "anna").await, Err(Refusal::NoDestination(_))));
    let nothing = DeliveryId(4711);
    assert!(matches!(
        stage.channel.resend(nothing, None, None, "anna").await,
        Err(Refusal::NoDelivery(4711))
    ));
    assert!(matches!(stage.channel.drop_delivery(nothing, "anna").await, Err(Refusal::NoDelivery(4711))));
}

#[tokio::test(start_paused = true)]
async fn a_view_says_why_the_head_waits_and_until_when() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::AwayFor(3600)]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage
        .until("A rests", |snapshot| {
            snapshot.deliveries.iter().any(|delivery| delivery.tally.not_before.is_some())
        })
        .await;
    let view = stage.channel.view();
    let outlet = view.destinations.iter().find(|outlet| outlet.name == "archive").unwrap();
    assert_eq!((outlet.state, outlet.depth), ("waiting", 2));
    let head = outlet.head.as_ref().unwrap();
    assert_eq!(head.why.as_deref(), Some("not delivered: too many requests"));
    assert!(head.next_try_seconds.is_some_and(|seconds| seconds > 3000.0));
}

#[tokio::test(start_paused = true)]
async fn waiting_payloads_are_made_again_when_asked() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::AwayFor(3600)]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage
        .until("A rests", |snapshot| {
            snapshot.deliveries.iter().any(|delivery| delivery.tally.not_before.is_some())
        })
        .await;
    stage.channel.reload(marked("!", stage.plan.clone())).await;
    let (made, left) = stage.channel.rerun_waiting().await.unwrap();
    assert_eq!((made, left.len()), (2, 0));
    stage.quiet().await;
    assert_eq!(archive.took(), ["A!", "B!"]);
}

/// What a person does to an ended message; the words of the reply are those of its steps.
async fn run_again(stage: &Stage, of: &StoredMessage, text: &str) -> Outcome {
    let again = Again { message: of.message.id, by: "anna".to_owned() };
    let answer = stage.channel.inlet().receive(Inbound { again: Some(again), ..inbound(text) }).await;
    let outcome = answer.reply.outcome;
    answer.told();
    outcome
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_that_is_run_again_is_closed_and_linked_with_what_stands_for_it() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    stage.receive("A break").await;
    let failed = stage.message("A");
    assert_eq!(run_again(&stage, &failed, "A").await, Outcome::Accepted);
    stage.quiet().await;
    let [first, second] = stage.messages("A").try_into().unwrap();
    assert_eq!((first.state, first.successor), (MessageState::Superseded, Some(second.message.id)));
    assert_eq!((first.outcome, &first.why), (Some(Outcome::Failed), &failed.why), "why it failed stays");
    assert_eq!(archive.took(), ["A"]);
    let audit = stage.memory.snapshot().audit;
    assert_eq!(audit[0].what, format!("resend message {}", failed.message.id));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_run_again_twice_has_one_effect() {
    for again in [false, true] {
        let news = News::default();
        let peer = Peer::new("archive", &news);
        let plan = plan(vec![outlet(&peer)]);
        let stage = Stage::start(&news, if again { answering_again(plan) } else { plan }).await;
        stage.receive("A break").await;
        let failed = stage.message("A");
        for _ in 0..2 {
            assert_eq!(run_again(&stage, &failed, "A").await, Outcome::Accepted);
            stage.quiet().await;
        }
        assert_eq!(peer.took(), ["A"]);
        assert_eq!(stage.messages("A").len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_again_is_what_is_run_the_next_time() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    stage.receive("A break").await;
    let first = stage.message("A");
    assert_eq!(run_again(&stage, &first, "A break").await, Outcome::Failed);
    let second = stage.messages("A").remove(1);
    assert_eq!(second.state, MessageState::Failed);
    assert!(second.flags.is_empty(), "it is no repeat of what it stands for");
    assert_eq!(run_again(&stage, &second, "A").await, Outcome::Accepted);
    assert_eq!(run_again(&stage, &first, "A").await, Outcome::Accepted, "it hears what the last one did");
    stage.quiet().await;
    assert_eq!(archive.took(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_stays_failed_where_running_it_again_could_not_be_written() {
    let (stage, _archive, _record) = two(ReplyWhen::Processed).await;
    stage.receive("A break").await;
    let failed = stage.message("A");
    stage.store.fail(When::Before);
    assert_eq!(run_again(&stage, &failed, "A").await, Outcome::Unavailable);
    assert_eq!(stage.message("A").state, MessageState::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_feeds_a_message_anew_hears_what_stands_for_it() {
    let (stage, archive, _record) = two(ReplyWhen::Processed).await;
    let effect = Hash::of(&[b"the feeder's"]);
    let fed = || Inbound { effect: Some(effect), ..inbound("A break") };
    stage.channel.inlet().receive(fed()).await.told();
    run_again(&stage, &stage.message("A"), "A").await;
    let answer = stage.channel.inlet().receive(fed()).await;
    assert_eq!(answer.reply.outcome, Outcome::Accepted);
    answer.told();
    stage.quiet().await;
    assert_eq!(archive.took(), ["A"]);
}
