//! Questions and answers: what is accepted is written down, whichever comes first and whatever breaks.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{sync::Arc, time::Duration};

use engine::{Awaited, Expect, MessageState, Outcome, Plan};
use stage::{Fault, News, Peer, Stage, When, knowing, outlet, plan};

async fn stage_with(prepare: impl FnOnce(&stage::Flaky)) -> Stage {
    let news = News::default();
    let archive = Peer::new("archive", &news);
    let expect = Expect { within: Duration::from_hours(4), answered_by: vec![Arc::from("lab")] };
    let plan = Plan { expect: Some(expect), ..plan(vec![outlet(&archive)]) };
    let stage = Stage::start_with(&news, plan, prepare).await;
    stage.quiet().await;
    stage
}

fn question(stage: &Stage, key: &str) -> Option<Awaited> {
    stage.memory.snapshot().questions.get(&("lab".to_owned(), key.to_owned())).cloned()
}

fn is_open(stage: &Stage, key: &str) -> bool {
    question(stage, key).is_some_and(|question| question.asked.is_some() && question.answered.is_none())
}

fn is_answered(stage: &Stage, key: &str) -> bool {
    question(stage, key).is_some_and(|question| question.asked.is_some() && question.answered.is_some())
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_before_its_question_and_behind_it() {
    let stage = stage_with(|_| {}).await;
    stage.receive("A asks:K1 asks:K3").await;
    assert!(is_open(&stage, "K1"));
    stage.receive("B answers:K1").await;
    stage.receive("C answers:K2").await;
    stage.receive("D asks:K2").await;
    assert!(is_answered(&stage, "K1") && is_answered(&stage, "K2") && is_open(&stage, "K3"));
    // Asked again soon after, it is answered; while it is open, the first question stands.
    stage.receive("E asks:K1 asks:K3").await;
    assert!(is_answered(&stage, "K1"));
    assert_eq!(question(&stage, "K3").unwrap().asked.unwrap().0, stage.message("A").message.id);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_accepted_asks_and_each_part_for_itself() {
    let mut stage = stage_with(|_| {}).await;
    for message in ["A asks:K filter", "B asks:K refuse", "C asks:K to:nobody", "D asks:K hold:L"] {
        stage.receive(message).await;
    }
    assert_eq!(question(&stage, "K"), None);
    stage.receive("E split:2 skip:2 asks:M").await;
    assert!(is_open(&stage, "M"));
    stage.plan = knowing(&["L"], stage.plan.clone());
    stage.channel.reload(stage.plan.clone()).await;
    stage.until("D went on", |_| is_open(&stage, "K")).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_breaks_fails_the_message_that_asks_and_not_the_one_that_answers() {
    let stage = stage_with(|_| {}).await;
    assert_eq!(stage.receive("A break-asks").await.outcome, Outcome::Failed);
    assert_eq!(stage.message("A").state, MessageState::Failed);
    assert_eq!(stage.receive("B break-answers").await.outcome, Outcome::Accepted);
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_asked_and_answered_whatever_write_fails() {
    for together in [false, true] {
        for when in [When::Before, When::After] {
            for write in 1..25 {
                let mut stage = stage_with(|store| {
                    store.set(Fault::Once(write, when));
                    if together {
                        store.keep_in_one_write();
                    }
                })
                .await;
                let asks = stage.receive("A asks:K").await.outcome;
                let answers = stage.receive("B answers:K").await.outcome;
                stage.crash().await;
                stage.quiet().await;
                match (asks, answers) {
                    (Outcome::Accepted, Outcome::Accepted) => assert!(is_answered(&stage, "K"), "{write}"),
                    (Outcome::Accepted, _) => {
                        assert!(question(&stage, "K").unwrap().asked.is_some(), "{write}");
                    }
                    (_, Outcome::Accepted) => assert!(question(&stage, "K").unwrap().answered.is_some()),
                    _ => panic!("one write failed, and neither was accepted"),
                }
                stage.channel.stop(Duration::ZERO).await;
            }
        }
    }
}
