//! Who goes before whom: by arrival, by key, and after another destination.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{sync::Arc, time::Duration};

use engine::{DeliveryState, Order, Outcome, OutletPlan, ReplyWhen, WhenUnsure};
use stage::{Answer, News, Peer, Stage, When, outlet, plan, replying};

async fn one(set: impl FnOnce(&mut OutletPlan)) -> (Stage, Arc<Peer>) {
    let news = News::default();
    let peer = Peer::new("record", &news);
    let mut outlet = outlet(&peer);
    set(&mut outlet);
    (Stage::start(&news, plan(vec![outlet])).await, peer)
}

/// `archive`, and `late` that waits for it.
async fn two(when: ReplyWhen) -> (Stage, Arc<Peer>, Arc<Peer>) {
    let news = News::default();
    let [archive, late] = ["archive", "late"].map(|name| Peer::new(name, &news));
    // The follower stands first in the file: order there does not matter.
    let mut outlets = vec![outlet(&late), outlet(&archive)];
    outlets[0].after = Some("archive".to_owned());
    (Stage::start(&news, replying(when, plan(outlets))).await, archive, late)
}

#[tokio::test(start_paused = true)]
async fn those_behind_one_that_waits_do_not_overtake_it() {
    let (stage, peer) = one(|_| {}).await;
    peer.answers([Answer::Away, Answer::Away, Answer::Away]);
    for message in ["A", "B", "C"] {
        stage.receive(message).await;
    }
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "A", "A", "A", "B", "C"]);
}

#[tokio::test(start_paused = true)]
async fn workers_do_not_break_the_order_of_arrival() {
    let (stage, peer) = one(|outlet| outlet.workers = 4).await;
    peer.shut();
    for message in ["A", "B", "C"] {
        stage.receive(message).await;
    }
    peer.open();
    stage.quiet().await;
    assert_eq!(peer.took(), ["A", "B", "C"]);
    assert_eq!(peer.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_an_older_message_is_still_in_its_steps() {
    for by_key in [Order::Arrival, Order::Key] {
        let (stage, peer) = one(|outlet| outlet.order = by_key).await;
        stage.store.catch("queue");
        let first = stage.send("A key:1");
        stage.news.until("A is at its queue", || stage.store.has_caught()).await;
        assert_eq!(stage.receive("B key:1").await.outcome, Outcome::Accepted);
        stage.receive("C key:2").await;
        assert!(peer.tried().is_empty());
        stage.store.let_go();
        first.await.unwrap();
        stage.quiet().await;
        let tried = peer.tried();
        assert!(
            tried.iter().position(|body| body.starts_with('A'))
                < tried.iter().position(|body| body.starts_with('B'))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stranded_by_the_store_still_goes_first() {
    let (stage, peer) = one(|_| {}).await;
    stage.store.fail_each("queue", When::Before);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Unavailable);
    let second = stage.send("B");
    stage.until("B is kept", |snapshot| snapshot.messages.len() == 2).await;
    stage.store.mend();
    assert_eq!(second.await.unwrap().outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(peer.tried(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_key_holds_no_other() {
    let (stage, peer) = one(|outlet| {
        outlet.order = Order::Key;
        outlet.workers = 2;
    })
    .await;
    peer.answers_to("A", [Answer::Away; 30]);
    for message in ["A key:1", "B key:2", "C key:1", "D key:2", "E key:3"] {
        stage.receive(message).await;
    }
    stage.news.until("the others went", || peer.took().len() == 3).await;
    assert_eq!(peer.took(), ["B key:2", "D key:2", "E key:3"]);
    stage.quiet().await;
    assert_eq!(peer.took()[3..], ["A key:1", "C key:1"]);
}

#[tokio::test(start_paused = true)]
async fn within_a_key_one_goes_at_a_time() {
    let (stage, peer) = one(|outlet| {
        outlet.order = Order::Key;
        outlet.workers = 4;
    })
    .await;
    peer.shut();
    for message in ["A key:1", "B key:1", "C key:1", "D key:2"] {
        stage.receive(message).await;
    }
    stage.news.until("two are under way", || peer.tried().len() == 2).await;
    peer.open();
    stage.quiet().await;
    assert_eq!(peer.most_at_once(), 2);
    let first_key: Vec<String> = peer.took().into_iter().filter(|body| body.ends_with("key:1")).collect();
    assert_eq!(first_key, ["A key:1", "B key:1", "C key:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_with_two_keys_waits_for_both_and_holds_both() {
    let (stage, peer) = one(|outlet| {
        outlet.order = Order::Key;
        outlet.workers = 4;
    })
    .await;
    peer.answers_to("A", [Answer::Away; 5]);
    for message in ["A key:1", "X key:1 key:2", "B key:2", "C key:3"] {
        stage.receive(message).await;
    }
    stage.quiet().await;
    assert_eq!(peer.took(), ["C key:3", "A key:1", "X key:1 key:2", "B key:2"]);
}

#[tokio::test(start_paused = true)]
async fn messages_without_a_key_share_a_lane() {
    let (stage, peer) = one(|outlet| {
        outlet.order = Order::Key;
        outlet.workers = 4;
    })
    .await;
    peer.answers_to("A", [Answer::Away; 3]);
    for message in ["A", "B", "C key:1"] {
        stage.receive(message).await;
    }
    stage.quiet().await;
    assert_eq!(peer.took(), ["C key:1", "A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn keys_hold_across_a_restart() {
    let (mut stage, peer) = one(|outlet| {
        outlet.order = Order::Key;
        outlet.workers = 4;
    })
    .await;
    peer.answers_to("A", [Answer::Away; 8]);
    for message in ["A key:1", "X key:1 key:2", "B key:2", "C key:1"] {
        stage.receive(message).await;
    }
    stage.crash().await;
    stage.quiet().await;
    let took = peer.took();
    assert_eq!(took[..2], ["A key:1", "X key:1 key:2"]);
    assert_eq!(took.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn without_order_a_stuck_message_holds_nobody() {
    let (stage, peer) = one(|outlet| {
        outlet.order = Order::None;
        outlet.workers = 3;
    })
    .await;
    peer.answers_to("A", [Answer::Away; 3]);
    for message in ["A", "B", "C"] {
        stage.receive(message).await;
    }
    stage.quiet().await;
    assert_eq!(peer.took(), ["B", "C", "A"]);
}

#[tokio::test(start_paused = true)]
async fn a_follower_is_made_from_what_the_leader_answered() {
    let (stage, archive, late) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::Away]);
    stage.receive("A").await;
    stage.quiet().await;
    assert_eq!(late.took(), ["A after [ok A]"]);
    assert!(late.sends()[0].at >= archive.sends()[1].at);
}

#[tokio::test(start_paused = true)]
async fn a_follower_whose_leader_was_not_chosen_goes_at_once() {
    let (stage, archive, late) = two(ReplyWhen::Processed).await;
    stage.receive("A to:late").await;
    stage.quiet().await;
    assert_eq!(late.took(), ["A to:late after []"]);
    assert!(archive.tried().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_follower_holds_its_lane_while_the_leader_waits() {
    let (stage, archive, late) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::Away; 3]);
    stage.receive("A").await;
    stage.receive("B to:late").await;
    stage.quiet().await;
    assert_eq!(late.took(), ["A after [ok A]", "B to:late after []"]);
}

#[tokio::test(start_paused = true)]
async fn a_follower_is_set_aside_with_its_leader_and_taken_up_when_that_one_is_sent() {
    let (mut stage, archive, late) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::Nack("AE")]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(late.took(), ["B after [ok B]"]);
    let aside = stage.delivery("A", "late");
    assert_eq!((aside.state, aside.why.as_deref()), (DeliveryState::SetAside, Some("archive given up")));
    stage.restart().await;
    stage.channel.resend(stage.delivery("A", "archive").id, None, None, "anna").await.unwrap();
    stage.until("A followed", |_| late.took().len() == 2).await;
    stage.quiet().await;
    assert_eq!(late.took()[1], "A after [ok A]");
}

#[tokio::test(start_paused = true)]
async fn a_follower_is_taken_up_though_the_write_seemed_to_fail_at_first() {
    let (stage, archive, late) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::Nack("AE")]);
    stage.receive("A").await;
    stage.quiet().await;
    let settled = || stage.store.writes().iter().filter(|write| **write == "settle").count();
    let before = settled();
    stage.store.fail_each("settle", When::After);
    stage.channel.resend(stage.delivery("A", "archive").id, None, None, "anna").await.unwrap();
    stage.news.until("it was tried", || settled() > before).await;
    stage.store.mend();
    stage.until("A followed", |_| late.took().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_is_taken_up_though_the_process_died_as_its_leader_was_sent() {
    let (mut stage, archive, late) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::Nack("AE")]);
    stage.receive("A").await;
    stage.quiet().await;
    stage.store.fail_each("settle", When::After);
    stage.channel.resend(stage.delivery("A", "archive").id, None, None, "anna").await.unwrap();
    stage.until("its leader is sent", |_| stage.delivery("A", "archive").state == DeliveryState::Sent).await;
    stage.crash().await;
    stage.quiet().await;
    assert_eq!(late.took(), ["A after [ok A]"]);
}

#[tokio::test(start_paused = true)]
async fn a_follower_set_aside_for_its_own_doubt_stays_with_its_person() {
    let news = News::default();
    let [archive, late] = ["archive", "late"].map(|name| Peer::new(name, &news));
    let follower = OutletPlan {
        after: Some("archive".to_owned()),
        when_unsure: Some(WhenUnsure::Hold),
        ..outlet(&late)
    };
    let stage = Stage::start(&news, plan(vec![outlet(&archive), follower])).await;
    late.answers([Answer::Doubt]);
    stage.receive("A").await;
    stage.quiet().await;
    let leader = stage.delivery("A", "archive").id;
    stage.channel.resend(leader, None, None, "anna").await.unwrap();
    stage.until("the leader is sent twice", |_| archive.took().len() == 2).await;
    stage.quiet().await;
    assert_eq!(stage.delivery("A", "late").state, DeliveryState::SetAside);
}

#[tokio::test(start_paused = true)]
async fn a_follower_of_a_dropped_leader_is_set_aside() {
    let (stage, archive, late) = two(ReplyWhen::Processed).await;
    archive.answers([Answer::AwayFor(3600)]);
    stage.receive("A").await;
    stage.receive("B to:late").await;
    stage.channel.drop_delivery(stage.delivery("A", "archive").id, "anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(stage.delivery("A", "late").state, DeliveryState::SetAside);
    assert_eq!(late.took(), ["B to:late after []"]);
}

#[tokio::test(start_paused = true)]
async fn a_followers_own_steps_are_its_own() {
    let (stage, archive, late) = two(ReplyWhen::Processed).await;
    for message in ["A left-later", "B break-later", "C"] {
        assert_eq!(stage.receive(message).await.outcome, Outcome::Accepted);
    }
    stage.quiet().await;
    assert_eq!(stage.delivery("A", "late").state, DeliveryState::Dropped);
    assert_eq!(stage.delivery("B", "late").state, DeliveryState::GivenUp);
    assert_eq!(archive.took().len(), 3);
    assert_eq!(late.took(), ["C after [ok C]"]);
}

#[tokio::test(start_paused = true)]
async fn delivered_waits_for_a_follower_too() {
    let (stage, archive, late) = two(ReplyWhen::Delivered).await;
    late.answers([Answer::Nack("AE")]);
    archive.shut();
    let answer = stage.send("A");
    stage.news.until("the leader is tried", || archive.tried().len() == 1).await;
    archive.open();
    assert_eq!(answer.await.unwrap().outcome, Outcome::Failed);
    let (stage, archive, late) = two(ReplyWhen::Delivered).await;
    archive.answers([Answer::Nack("AR")]);
    let reply = stage.receive("A").await;
    assert_eq!((reply.outcome, reply.code.as_deref()), (Outcome::Failed, Some("AR")));
    assert!(late.tried().is_empty());
    let (stage, archive, _late) = two(ReplyWhen::Delivered).await;
    archive.answers([Answer::AwayFor(3600)]);
    let before = tokio::time::Instant::now();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    assert_eq!(before.elapsed(), Duration::ZERO, "its leader waits in the queue: so does it");
}

#[tokio::test(start_paused = true)]
async fn the_follower_of_a_follower_goes_last() {
    let news = News::default();
    let [first, second, third] = ["first", "second", "third"].map(|name| Peer::new(name, &news));
    let mut outlets = vec![outlet(&first), outlet(&second), outlet(&third)];
    outlets[1].after = Some("first".to_owned());
    outlets[2].after = Some("second".to_owned());
    let mut stage = Stage::start(&news, plan(outlets)).await;
    first.answers([Answer::Nack("AE"), Answer::Take]);
    stage.receive("A").await;
    stage.receive("B").await;
    stage.quiet().await;
    assert_eq!(third.took(), ["B after [ok B after [ok B]]"]);
    assert_eq!(stage.delivery("A", "third").state, DeliveryState::SetAside);
    stage.crash().await;
    stage.channel.resend(stage.delivery("A", "first").id, None, None, "anna").await.unwrap();
    stage.until("A followed to the end", |_| third.took().len() == 2).await;
}
