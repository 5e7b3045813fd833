//! What one attempt's end means: again, not again, or a person decides.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use engine::{
    DeliveryId, DeliveryState, Hours, LATE_ANSWERS, OnNack, OnResponse, Outcome, OutletPlan, Rate, ReplyWhen,
    Retry, WhenUnsure,
};
use stage::{Answer, News, Peer, Stage, outlet, plan, replying};
use tokio::time::Instant;

/// A channel with one destination that is set up as the test needs it.
async fn one(set: impl FnOnce(&mut OutletPlan)) -> (Stage, Arc<Peer>) {
    replied(ReplyWhen::Processed, set).await
}

async fn replied(when: ReplyWhen, set: impl FnOnce(&mut OutletPlan)) -> (Stage, Arc<Peer>) {
    let news = News::default();
    let peer = Peer::new("record", &news);
    let mut outlet = outlet(&peer);
    set(&mut outlet);
    (Stage::start(&news, replying(when, plan(vec![outlet]))).await, peer)
}

async fn is_stopped(stage: &Stage, control_id: &str) {
    stage
        .until("its lane is stopped", |snapshot| {
            snapshot.deliveries.iter().any(|delivery| delivery.tally.stopped)
        })
        .await;
    assert!(stage.delivery(control_id, "record").tally.stopped);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_given_up_and_those_behind_go_on() {
    for code in ["AE", "AR", "CR", "XX"] {
        let (stage, peer) = one(|_| {}).await;
        peer.answers([Answer::Nack(code)]);
        stage.receive("A").await;
        stage.receive("B").await;
        stage.quiet().await;
        assert_eq!(peer.tried(), ["A", "B"], "{code}");
        let given_up = stage.delivery("A", "record");
        assert_eq!(given_up.state, DeliveryState::GivenUp);
        assert_eq!(given_up.response.unwrap().body.unwrap(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_error_is_tried_again_by_default() {
    let (stage, peer) = one(|_| {}).await;
    peer.answers([Answer::Nack("CE"), Answer::Nack("CE")]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "A", "A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn the_nack_map_says_what_a_code_means() {
    let nack = BTreeMap::from([
        ("AE".to_owned(), OnNack::Retry),
        ("CE".to_owned(), OnNack::GiveUp),
        ("AR".to_owned(), OnNack::Stop),
    ]);
    let (stage, peer) = one(|outlet| outlet.nack = nack).await;
    peer.answers([Answer::Nack("AE"), Answer::Take, Answer::Nack("CE"), Answer::Nack("AR")]);
    for message in ["A", "B", "C", "D"] {
        stage.receive(message).await;
    }
    is_stopped(&stage, "C").await;
    assert_eq!(peer.tried(), ["A", "A", "B", "C"]);
    assert_eq!(stage.delivery("B", "record").state, DeliveryState::GivenUp);
    assert_eq!(stage.delivery("D", "record").tally.attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_in_doubt_is_sent_again_at_once_with_the_same_effect() {
    let (stage, peer) = one(|_| {}).await;
    peer.answers([Answer::Doubt]);
    stage.receive("A").await;
    stage.quiet().await;
    let sends = peer.sends();
    assert_eq!(sends.len(), 2);
    assert_eq!(sends[0].effect, sends[1].effect);
    assert_eq!(sends[0].at, sends[1].at);
    assert_eq!((sends[0].attempt, sends[1].attempt), (1, 2));
    assert_eq!((sends[0].previous.clone(), sends[1].previous.clone()), (None, Some(1.into())));
}

#[tokio::test(start_paused = true)]
async fn after_five_doubts_in_a_row_a_person_decides() {
    let (mut stage, peer) = one(|_| {}).await;
    peer.usually(Answer::Doubt);
    stage.receive("A").await;
    stage.receive("B").await;
    is_stopped(&stage, "A").await;
    assert_eq!(peer.tried(), ["A"; 5]);
    stage.restart().await;
    peer.usually(Answer::Take);
    stage.receive("C").await;
    assert_eq!(peer.tried(), ["A"; 5], "a restart is no person");
    stage.channel.resend(stage.delivery("A", "record").id, None, None, "anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(peer.took(), ["A", "B", "C"]);
}

#[tokio::test(start_paused = true)]
async fn doubts_count_only_in_a_row() {
    let (stage, peer) = one(|_| {}).await;
    let four = [Answer::Doubt; 4];
    peer.answers(four.into_iter().chain([Answer::Away]).chain(four));
    stage.receive("A").await;
    stage.quiet().await;
    assert_eq!(peer.tried().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn held_doubt_is_set_aside_and_those_behind_go_on() {
    let (stage, peer) = one(|outlet| outlet.when_unsure = Some(WhenUnsure::Hold)).await;
    peer.answers([Answer::Doubt]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "B"]);
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::SetAside);
}

#[tokio::test(start_paused = true)]
async fn stopped_doubt_holds_its_lane_until_a_person_drops_it() {
    let (stage, peer) = one(|outlet| outlet.when_unsure = Some(WhenUnsure::Stop)).await;
    peer.answers([Answer::Doubt]);
    stage.receive("A").await;
    stage.receive("B").await;
    is_stopped(&stage, "A").await;
    assert_eq!(peer.tried(), ["A"]);
    stage.channel.drop_delivery(stage.delivery("A", "record").id, "anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn attempts_count_only_what_reached_the_endpoint() {
    let attempts = Some(3);
    let (stage, peer) = one(|outlet| outlet.retry.attempts = attempts).await;
    peer.answers([Answer::Away; 10].into_iter().chain([Answer::Nack("CE"); 3]));
    stage.receive("A").await;
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(peer.tried().len(), 14);
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::GivenUp);
    assert_eq!(stage.delivery("B", "record").state, DeliveryState::Sent);
}

#[tokio::test(start_paused = true)]
async fn the_time_to_try_runs_only_while_the_endpoint_takes_something() {
    let lasting = Some(Duration::from_secs(20));
    let (stage, peer) = one(|outlet| outlet.retry.lasting = lasting).await;
    peer.answers([Answer::Away; 20]);
    peer.usually(Answer::Nack("CE"));
    stage.receive("A").await;
    stage.quiet().await;
    let sends = peer.sends();
    let refused: Vec<_> = sends.iter().filter(|sent| sent.answer == Answer::Nack("CE")).collect();
    assert!(refused.len() > 3, "it was tried {} times", refused.len());
    let trying = refused.last().unwrap().at - refused[0].at;
    assert!(trying >= Duration::from_secs(15) && trying <= Duration::from_secs(40), "{trying:?}");
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::GivenUp);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_away_is_asked_less_and_less_often_and_no_message_is_given_up() {
    let (stage, peer) = one(|outlet| {
        outlet.retry = Retry { attempts: Some(1), longest: Duration::from_secs(10), ..outlet.retry };
    })
    .await;
    peer.answers([Answer::Away; 8]);
    stage.receive("A").await;
    stage.quiet().await;
    let sends = peer.sends();
    let pauses: Vec<u64> =
        sends.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64().round() as u64).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 10, 10, 10, 10]);
    assert_eq!(peer.took(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_says_when_is_asked_then() {
    let (stage, peer) = one(|_| {}).await;
    peer.answers([Answer::AwayFor(120)]);
    stage.receive("A").await;
    stage.quiet().await;
    let sends = peer.sends();
    assert!(sends[1].at - sends[0].at >= Duration::from_mins(2));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_tried_again_after_a_restart_not_sooner() {
    let (mut stage, peer) = one(|_| {}).await;
    peer.answers([Answer::AwayFor(3600)]);
    stage.receive("A").await;
    stage.until("it waits", |snapshot| snapshot.deliveries[0].tally.not_before.is_some()).await;
    stage.restart().await;
    let restarted = Instant::now();
    stage.quiet().await;
    assert!(peer.sends()[1].at - restarted > Duration::from_mins(50));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_sent_than_the_rate_allows() {
    let (stage, peer) =
        one(|outlet| outlet.rate = Some(Rate { sends: 4, per: Duration::from_secs(1) })).await;
    for message in ["A", "B", "C", "D", "E", "F", "G", "H", "I"] {
        stage.receive(message).await;
    }
    stage.quiet().await;
    let sends = peer.sends();
    let took = sends[8].at - sends[0].at;
    assert!(took >= Duration::from_secs(2) && took < Duration::from_millis(2200), "{took:?}");
    assert!(sends.windows(5).all(|five| five[4].at - five[0].at >= Duration::from_millis(990)));
}

#[tokio::test(start_paused = true)]
async fn outside_its_hours_a_destination_waits() {
    let opens = Instant::now() + Duration::from_hours(8);
    let hours = Hours(Arc::new(move |_| opens.saturating_duration_since(Instant::now())));
    let (stage, peer) = replied(ReplyWhen::Delivered, |outlet| outlet.hours = Some(hours)).await;
    let before = Instant::now();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(stage.channel.view().destinations[0].state, "closed");
    stage.quiet().await;
    let sent = peer.sends()[0].at;
    assert!(sent >= opens && sent - opens < Duration::from_secs(2), "{:?}", sent - before);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_panics_leaves_a_doubt() {
    let (stage, peer) = one(|_| {}).await;
    peer.answers([Answer::Panic]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "A", "B"]);
    let (stage, peer) = one(|outlet| outlet.when_unsure = Some(WhenUnsure::Hold)).await;
    peer.answers([Answer::Panic]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(stage.delivery("A", "record").state, DeliveryState::SetAside);
    assert_eq!(peer.took(), ["B"]);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_panics_before_it_sends_does_not_stop_the_queue() {
    let (stage, peer) = one(|_| {}).await;
    peer.answers([Answer::PanicEarly]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(peer.took(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn what_came_back_may_be_judged_otherwise() {
    let (stage, peer) = one(|outlet| {
        outlet.on_response = OnResponse::Judges;
        outlet.retry.attempts = Some(2);
    })
    .await;
    peer.answers([Answer::Nack("AE")]);
    for message in ["A judge:sent", "B judge:refused", "C judge:retry", "D judge:broken"] {
        stage.receive(message).await;
    }
    stage.quiet().await;
    let now = |id| stage.delivery(id, "record").state;
    assert_eq!(now("A"), DeliveryState::Sent);
    assert_eq!(now("B"), DeliveryState::GivenUp);
    assert_eq!(now("C"), DeliveryState::GivenUp);
    assert_eq!(now("D"), DeliveryState::Sent);
    assert_eq!(peer.tried().iter().filter(|body| body.starts_with('C')).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_kept_with_its_delivery_and_changes_nothing_else() {
    let (stage, peer) = one(|_| {}).await;
    peer.answers([Answer::Nack("AE")]);
    stage.receive("A").await;
    stage.quiet().await;
    let refused = stage.delivery("A", "record");
    for _ in 0..=LATE_ANSWERS {
        peer.answers_late(refused.id, "AA after all");
    }
    peer.answers_late(DeliveryId(99), "of nobody");
    stage.receive("B").await;
    stage.quiet().await;
    stage.until("it is kept", |_| !stage.delivery("A", "record").late.is_empty()).await;
    let after = stage.delivery("A", "record");
    assert_eq!((after.state, &after.response), (DeliveryState::GivenUp, &refused.response));
    assert_eq!(after.late[0].body.as_deref(), Some(b"AA after all".as_slice()));
    assert_eq!(stage.delivery("B", "record").state, DeliveryState::Sent);
    stage.receive("C").await;
    stage.quiet().await;
    assert_eq!(stage.delivery("A", "record").late.len(), LATE_ANSWERS, "one that babbles fills no disk");
}
