//! Steps that ask a server which is away: who hears what, what waits, and how it goes on.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use engine::{MessageState, Outcome, Plan, ReplyWhen, memory::StoredMessage};
use stage::{News, Peer, Stage, Steps, is_quiet, knowing, outlet, plan, replying};

struct Asking {
    stage: Stage,
    peers: Vec<Arc<Peer>>,
    away: Arc<AtomicBool>,
    plan: Plan,
}

/// A destination, and one that waits for it; nobody answers what their steps ask.
async fn asking(change: impl FnOnce(Plan) -> Plan, prepare: impl FnOnce(&stage::Flaky)) -> Asking {
    let news = News::default();
    let peers: Vec<Arc<Peer>> = ["first", "second"].map(|name| Peer::new(name, &news)).into();
    let mut outlets: Vec<_> = peers.iter().map(outlet).collect();
    outlets[1].after = Some("first".to_owned());
    let away = Arc::new(AtomicBool::new(true));
    let plan = change(plan(outlets));
    let script = Arc::new(Steps::new(&plan.outlets).asking(&away));
    let plan = Plan { script, ..plan };
    let stage = Stage::start_with(&news, plan.clone(), prepare).await;
    stage.quiet().await;
    Asking { stage, peers, away, plan }
}

impl Asking {
    fn answers(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    /// Nothing waits for a code any more, and all is quiet.
    async fn went_on(&self) {
        let is_held = |stored: &StoredMessage| stored.state == MessageState::Held;
        self.stage.until("it went on", |snapshot| !snapshot.messages.iter().any(is_held)).await;
        self.stage.quiet().await;
    }

    /// What the first destination took.
    fn took(&self) -> Vec<String> {
        self.peers[0].took()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_step_asks_in_vain_makes_its_message_wait_and_nothing_overtakes_it() {
    for (when, heard) in [
        (ReplyWhen::Processed, Outcome::Unavailable),
        (ReplyWhen::Delivered, Outcome::Unavailable),
        (ReplyWhen::Stored, Outcome::Accepted),
    ] {
        for together in [false, true] {
            let prepare = |store: &stage::Flaky| {
                if together {
                    store.keep_in_one_write();
                }
            };
            let mut asking = asking(|plan| replying(when.clone(), plan), prepare).await;
            assert_eq!(asking.stage.receive("A ask").await.outcome, heard);
            let second = asking.stage.send("B");
            asking.stage.until("both are kept", |snapshot| snapshot.messages.len() == 2).await;
            assert!(asking.took().is_empty());
            asking.stage.crash().await;
            second.abort();
            assert_eq!(asking.stage.message("A").state, MessageState::Kept);
            asking.answers();
            asking.stage.quiet().await;
            assert_eq!(asking.took(), ["A ask", "B"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_by_itself_and_who_sends_it_again_hears_that_it_went() {
    let asking = asking(stage::answering_again, |_| {}).await;
    assert_eq!(asking.stage.receive("A ask").await.outcome, Outcome::Unavailable);
    asking.answers();
    asking.stage.quiet().await;
    assert_eq!(asking.stage.receive("A ask").await.outcome, Outcome::Accepted);
    asking.stage.quiet().await;
    assert_eq!(asking.took(), ["A ask"]);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_runs_after_another_waits_for_what_its_steps_ask() {
    let asking = asking(|plan| plan, |_| {}).await;
    assert_eq!(asking.stage.receive("A ask-later").await.outcome, Outcome::Accepted);
    asking.stage.news.until("the first has it", || asking.took() == ["A ask-later"]).await;
    assert!(!is_quiet(&asking.stage.memory.snapshot()));
    asking.answers();
    asking.stage.quiet().await;
    assert_eq!(asking.peers[1].took().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_code_that_a_server_lacks_is_looked_for_again_until_it_is_there() {
    let asking = asking(|plan| plan, |_| {}).await;
    assert_eq!(asking.stage.receive("A key:1 hold:served").await.outcome, Outcome::Accepted);
    assert_eq!(asking.stage.receive("B key:1").await.outcome, Outcome::Accepted);
    asking.stage.news.until("the other went", || asking.took() == ["B key:1"]).await;
    let id = asking.stage.message("A").message.id;
    assert!(matches!(asking.stage.channel.look_again(id).await, Ok(engine::Looked::Held(_))));
    asking.answers();
    asking.went_on().await;
    assert_eq!(asking.took(), ["B key:1", "A key:1 hold:served"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_waited_for_a_code_waits_on_while_nobody_answers_what_else_it_asks() {
    let asking = asking(|plan| plan, |_| {}).await;
    assert_eq!(asking.stage.receive("A hold:K ask").await.outcome, Outcome::Accepted);
    let script = Arc::new(Steps::new(&asking.plan.outlets).knowing(&["K"]).asking(&asking.away));
    let knowing = Plan { script, ..knowing(&["K"], asking.plan.clone()) };
    asking.stage.channel.reload(knowing).await;
    let id = asking.stage.message("A").message.id;
    assert!(matches!(asking.stage.channel.look_again(id).await, Ok(engine::Looked::Held(_))));
    assert_eq!(asking.stage.message("A").state, MessageState::Held);
    asking.answers();
    asking.went_on().await;
    assert_eq!(asking.took(), ["A hold:K ask"]);
}
