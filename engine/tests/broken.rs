//! Bugs, and a store that cannot be read: everything ends in a state that a person sees, and nothing hangs.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use engine::{DeliveryState, Hours, MessageState, Outcome, OutletPlan, OutletView, Plan, ReplyWhen};
use stage::{Answer, News, Peer, Sight, Stage, When, inbound, outlet, plan, replying};

async fn one(change: impl FnOnce(OutletPlan) -> OutletPlan) -> (Stage, Arc<Peer>) {
    let news = News::default();
    let record = Peer::new("record", &news);
    let plan = plan(vec![change(outlet(&record))]);
    (Stage::start(&news, plan).await, record)
}

fn view(stage: &Stage) -> OutletView {
    stage.channel.view().destinations.into_iter().find(|outlet| outlet.name == "record").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_task_panics_ends_as_the_store_has_it_and_holds_up_none_behind_it() {
    for one_write in [false, true] {
        let writes: &[_] = if one_write { &["take"] } else { &["keep", "queue"] };
        for (write, when) in writes.iter().flat_map(|write| [(*write, When::Before), (*write, When::After)]) {
            let (stage, record) = one(|outlet| outlet).await;
            if one_write {
                stage.store.keep_in_one_write();
            }
            stage.store.panic_at(write, when);
            let heard = stage.receive("A").await.outcome;
            let (wanted, ends) = match (write, when) {
                ("keep" | "take", When::Before) => (Outcome::Unavailable, None),
                ("keep", When::After) | (_, When::Before) => (Outcome::Failed, Some(MessageState::Failed)),
                _ => (Outcome::Accepted, Some(MessageState::Queued)),
            };
            assert_eq!(heard, wanted, "{write} {when:?}");
            assert_eq!(stage.messages("A").first().map(|message| message.state), ends, "{write} {when:?}");
            assert_eq!(stage.receive("B").await.outcome, Outcome::Accepted);
            stage.quiet().await;
            let is_queued = ends == Some(MessageState::Queued);
            let arrived: &[_] = if is_queued { &["A", "B"] } else { &["B"] };
            assert_eq!(record.took(), arrived, "{write} {when:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_which_one_message_panics_leaves_no_other_waiting() {
    let (stage, record) = one(|outlet| outlet).await;
    stage.store.panic_at("keep", When::Before);
    let answers = stage.channel.inlet().receive_batch(["A", "B"].map(inbound).to_vec()).await;
    for answer in answers {
        assert_eq!(answer.reply.outcome, Outcome::Unavailable);
        answer.told();
    }
    assert_eq!(stage.receive("C").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(record.took(), ["C"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_panics_when_it_is_taken_up_again_ends_as_failed() {
    let (mut stage, record) = one(|outlet| outlet).await;
    stage.store.catch("queue");
    let cut = stage.send("A");
    let store = Arc::clone(&stage.store);
    stage.news.until("A is kept", || store.has_caught()).await;
    stage.crash_with(|store| store.panic_at("queue", When::Before)).await;
    store.let_go();
    drop(cut);
    stage.until("A has ended", |stored| stored.messages[0].state == MessageState::Failed).await;
    assert_eq!(stage.receive("B").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(record.took(), ["B"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_late_answers_costs_those_alone() {
    let (stage, record) = one(|outlet| outlet).await;
    record.panic_overhearing();
    stage.receive("A").await;
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(record.took(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_any_write_of_a_delivery_leaves_none_stuck() {
    for (write, when) in ["begin", "settle"]
        .into_iter()
        .flat_map(|write| [When::Before, When::After].map(|when| (write, when)))
    {
        let (stage, record) = one(|outlet| outlet).await;
        record.shut();
        stage.receive("A").await;
        stage.store.panic_at(write, when);
        record.open();
        stage.receive("B").await;
        stage.quiet().await;
        assert!(stage.deliveries(DeliveryState::Sent).len() == 2, "{write} {when:?}");
        let mut took = record.took();
        took.dedup();
        assert_eq!(took, ["A", "B"], "{write} {when:?}: in order, and what is in doubt is sent again");
    }
}

#[tokio::test(start_paused = true)]
async fn hours_that_panic_send_nothing_for_a_minute() {
    let is_bad = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_bad);
    let hours = Hours(Arc::new(move |_| {
        assert!(!asked.load(Ordering::SeqCst), "told to panic");
        Duration::ZERO
    }));
    let (stage, record) = one(|outlet| OutletPlan { hours: Some(hours), ..outlet }).await;
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    assert_eq!(view(&stage).state, "closed");
    is_bad.store(false, Ordering::SeqCst);
    stage.quiet().await;
    assert_eq!(record.took(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_cannot_be_read_stops_its_lane_in_words_until_it_can_be_read() {
    let (stage, record) = one(|outlet| outlet).await;
    record.answers([Answer::Away]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage.until("A was tried", |_| record.tried().len() == 1).await;
    stage.store.sees(Sight::Blind);
    let stands = async {
        while view(&stage).state != "stopped" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), stands).await.unwrap();
    let head = view(&stage).head.unwrap();
    assert!(head.why.is_some_and(|why| why.contains("cannot be read") && why.contains("no space left")));
    stage.store.sees(Sight::Clear);
    stage.quiet().await;
    assert_eq!(record.took(), ["A", "B"]);
    assert_eq!(view(&stage).state, "idle");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_read_at_a_start_is_told_until_it_can_be_read() {
    let (mut stage, record) = one(|outlet| outlet).await;
    record.answers([Answer::Away]);
    stage.receive("A").await;
    stage.until("A was tried", |_| record.tried().len() == 1).await;
    stage.crash_with(|store| store.sees(Sight::Blind)).await;
    let told = async {
        while view(&stage).trouble.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), told).await.unwrap();
    assert_eq!(view(&stage).state, "stopped");
    stage.store.sees(Sight::Clear);
    stage.quiet().await;
    assert_eq!(view(&stage).trouble, None);
    assert_eq!(record.took(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_bytes_are_gone_is_given_up_and_its_followers_are_set_aside() {
    let news = News::default();
    let [record, portal] = ["record", "portal"].map(|name| Peer::new(name, &news));
    let follows = OutletPlan { after: Some("record".to_owned()), ..outlet(&portal) };
    let stage = Stage::start(&news, plan(vec![outlet(&record), follows])).await;
    record.answers([Answer::Away]);
    stage.store.sees(Sight::Hollow);
    stage.receive("A").await;
    stage.quiet().await;
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::GivenUp);
    assert!(stage.delivery("A", "record").tally.why.is_some_and(|why| why.contains("no longer kept")));
    assert_eq!(stage.delivery("A", "portal").state, DeliveryState::SetAside);
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_for_a_destination_that_left_the_file_meanwhile_is_there_when_it_returns() {
    let news = News::default();
    let [record, archive] = ["record", "archive"].map(|name| Peer::new(name, &news));
    let both = replying(ReplyWhen::Processed, plan(vec![outlet(&record), outlet(&archive)]));
    let stage = Stage::start(&news, both.clone()).await;
    stage.store.fail_each("queue", When::After);
    stage.store.catch("queue");
    let cut = stage.send("A");
    stage.news.until("A is about to be queued", || stage.store.has_caught()).await;
    let without = Plan { version: engine::Hash::of(&[b"without"]), ..plan(vec![outlet(&record)]) };
    stage.channel.reload(without).await;
    stage.store.let_go();
    assert_eq!(cut.await.unwrap().outcome, Outcome::Unavailable);
    stage.store.mend();
    stage.news.until("the record has it", || record.took() == ["A"]).await;
    stage.channel.reload(both).await;
    stage.quiet().await;
    assert_eq!(archive.took(), ["A"]);
}
