//! Messages that wait for a code: who hears what, what they hold back, and how they go on.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::sync::Arc;

use engine::{
    Again, DeliveryState, Inbound, Looked, MessageState, Order, Outcome, Plan, ReadAhead, Refusal, ReplyWhen,
};
use stage::{
    Answer, Fault, News, Peer, Stage, When, answering_again, inbound, knowing, outlet, plan, replying,
};

struct Lab {
    stage: Stage,
    archive: Arc<Peer>,
    record: Arc<Peer>,
    plan: Plan,
}

/// An archive in the order of arrival, and a record in the order of its keys.
async fn lab(change: impl FnOnce(Plan) -> Plan) -> Lab {
    lab_with(change, |_| {}).await
}

async fn lab_with(change: impl FnOnce(Plan) -> Plan, prepare: impl FnOnce(&stage::Flaky)) -> Lab {
    let news = News::default();
    let [archive, record] = ["archive", "record"].map(|name| Peer::new(name, &news));
    let mut outlets = vec![outlet(&archive), outlet(&record)];
    outlets[1].order = Order::Key;
    outlets[1].workers = 2;
    let plan = change(plan(outlets));
    let stage = Stage::start_with(&news, plan.clone(), prepare).await;
    stage.quiet().await;
    Lab { stage, archive, record, plan }
}

impl Lab {
    async fn learns(&mut self, codes: &[&'static str]) {
        self.stage.plan = knowing(codes, self.plan.clone());
        self.stage.channel.reload(self.stage.plan.clone()).await;
    }

    fn state(&self, id: &str) -> MessageState {
        self.stage.message(id).state
    }

    fn held(&self) -> u64 {
        self.stage.channel.view().held
    }

    /// Nothing waits for a code any more, and all is quiet.
    async fn goes_on(&self) {
        self.stage
            .until("nothing is held", |snapshot| {
                snapshot.messages.iter().all(|stored| stored.state != MessageState::Held)
            })
            .await;
        self.stage.quiet().await;
    }

    /// This message waits for a code.
    async fn quiet_but(&self, id: &str) {
        self.stage
            .until("it is looked at", |snapshot| {
                snapshot.messages.iter().any(|stored| {
                    stored.message.control_id.as_deref() == Some(id) && stored.state == MessageState::Held
                })
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_a_code_is_accepted_and_goes_on_at_its_place_when_the_row_comes() {
    for when in [ReplyWhen::Processed, ReplyWhen::Stored, ReplyWhen::Delivered] {
        for together in [false, true] {
            let mut lab = lab_with(
                |plan| replying(when.clone(), plan),
                |store| {
                    if together {
                        store.keep_in_one_write();
                    }
                },
            )
            .await;
            assert_eq!(lab.stage.receive("A key:1 hold:K").await.outcome, Outcome::Accepted);
            lab.quiet_but("A").await;
            assert_eq!(lab.stage.receive("B key:1").await.outcome, Outcome::Accepted);
            assert_eq!(lab.stage.receive("C key:2").await.outcome, Outcome::Accepted);
            lab.stage.until("the others went", |_| lab.archive.took().len() == 2).await;
            lab.stage.news.until("C went", || lab.record.took() == ["C key:2"]).await;
            assert_eq!((lab.state("A"), lab.held()), (MessageState::Held, 1));
            lab.learns(&["K"]).await;
            lab.goes_on().await;
            assert_eq!(lab.archive.took(), ["B key:1", "C key:2", "A key:1 hold:K"]);
            assert_eq!(lab.record.took(), ["C key:2", "A key:1 hold:K", "B key:1"]);
            let stored = lab.stage.message("A");
            assert_eq!((stored.state, stored.why, lab.held()), (MessageState::Queued, None, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_holds_back_is_known_after_a_crash() {
    let mut lab = lab(|plan| plan).await;
    lab.stage.receive("A key:1 key:3 hold:K").await;
    lab.stage.receive("B key:3").await;
    for crash in [false, true] {
        if crash {
            lab.stage.crash().await;
        } else {
            lab.stage.restart().await;
        }
        let id = format!("C{crash} key:1");
        lab.stage.receive(&id).await;
        lab.stage.receive(&format!("D{crash} key:4")).await;
        lab.stage.news.until("D went", || lab.record.took().last() == Some(&format!("D{crash} key:4"))).await;
        assert_eq!(lab.held(), 1);
    }
    assert_eq!(lab.record.took(), ["Dfalse key:4", "Dtrue key:4"]);
    let head = lab.stage.channel.view().destinations[1].head.clone().unwrap();
    assert!(head.why.is_some_and(|why| why.contains("waits for a code")));
    lab.stage.plan = knowing(&["K"], lab.plan.clone());
    lab.stage.crash().await;
    lab.goes_on().await;
    assert_eq!(lab.record.took()[2..], ["A key:1 key:3 hold:K", "B key:3", "Cfalse key:1", "Ctrue key:1"]);
}

#[tokio::test(start_paused = true)]
async fn one_whose_key_cannot_be_worked_out_holds_back_all_that_is_ordered_by_key() {
    let mut lab = lab(|plan| plan).await;
    lab.stage.receive("A key:1 keyless hold:K").await;
    lab.stage.receive("B key:2").await;
    lab.stage.news.until("the archive has it", || lab.archive.took() == ["B key:2"]).await;
    assert!(lab.record.took().is_empty());
    lab.learns(&["K"]).await;
    lab.goes_on().await;
    assert_eq!(lab.record.took(), ["A key:1 keyless hold:K", "B key:2"]);
}

#[tokio::test(start_paused = true)]
async fn a_code_that_a_destination_lacks_holds_the_whole_message_and_all_its_parts() {
    let mut lab = lab(|plan| plan).await;
    lab.stage.receive("A split:2 each key:1 hold-at:record=K").await;
    lab.stage.receive("B key:1").await;
    lab.stage.news.until("B went", || lab.archive.took() == ["B key:1"]).await;
    assert_eq!(lab.state("A"), MessageState::Held);
    assert!(lab.record.took().is_empty(), "its key is that of the held one");
    lab.learns(&["K"]).await;
    lab.goes_on().await;
    assert_eq!(lab.archive.took().len(), 3);
    assert_eq!(lab.record.took().last().unwrap(), "B key:1");
}

#[tokio::test(start_paused = true)]
async fn several_that_wait_go_on_in_their_order_and_only_those_whose_codes_came() {
    let mut lab = lab(|plan| plan).await;
    for message in ["A key:1 hold:K", "B key:1 hold:L", "C key:1 hold:K", "D key:1", "E hold:K hold:M"] {
        lab.stage.receive(message).await;
    }
    let version = lab.stage.message("E").version;
    lab.learns(&["K"]).await;
    lab.stage.news.until("those of K went", || lab.archive.took().len() == 3).await;
    lab.stage.news.until("A went", || lab.record.took() == ["A key:1 hold:K"]).await;
    lab.stage
        .until("E waits for M", |snapshot| {
            snapshot.messages.iter().any(|stored| {
                stored.message.control_id.as_deref() == Some("E")
                    && stored.why.as_deref() == Some("held: the table `tests` has no row for `M`")
            })
        })
        .await;
    assert_eq!(lab.stage.message("E").version, version);
    lab.learns(&["K", "L", "M"]).await;
    lab.goes_on().await;
    let of_key: Vec<String> = lab.record.took().into_iter().filter(|took| took.contains("key:1")).collect();
    assert_eq!(of_key, ["A key:1 hold:K", "B key:1 hold:L", "C key:1 hold:K", "D key:1"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_or_filtered_when_its_code_came_lets_the_others_pass() {
    for (word, state) in [
        ("then:refuse", MessageState::Refused),
        ("then:filter", MessageState::Filtered),
        ("then:break", MessageState::Failed),
        ("to:nobody", MessageState::Unrouted),
    ] {
        let mut lab = lab(|plan| plan).await;
        lab.stage.receive(&format!("A key:1 hold:K {word}")).await;
        lab.stage.receive("B key:1").await;
        assert_eq!(lab.state("A"), MessageState::Held);
        lab.learns(&["K"]).await;
        lab.goes_on().await;
        assert_eq!(lab.record.took(), ["B key:1"]);
        assert_eq!((lab.state("A"), lab.held()), (state, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_one_is_never_carried_and_holds_back_nothing() {
    let mut lab = lab(|plan| plan).await;
    lab.stage.receive("A key:1 hold:K").await;
    lab.stage.receive("B key:1").await;
    let id = lab.stage.message("A").message.id;
    lab.stage.channel.abandon(id, "anna").await.unwrap();
    lab.stage.quiet().await;
    assert_eq!(lab.record.took(), ["B key:1"]);
    assert!(matches!(lab.stage.channel.abandon(id, "anna").await, Err(Refusal::NotHeld(_))));
    lab.learns(&["K"]).await;
    lab.stage.crash().await;
    lab.stage.quiet().await;
    assert_eq!((lab.state("A"), lab.record.took().len()), (MessageState::Filtered, 1));
    assert_eq!(lab.stage.memory.snapshot().audit[0].what, format!("drop message {id}"));
}

#[tokio::test(start_paused = true)]
async fn a_person_may_have_one_looked_at_and_may_send_it_edited() {
    let lab = lab(|plan| plan).await;
    lab.stage.receive("A key:1 hold:K").await;
    lab.stage.receive("B key:1").await;
    let id = lab.stage.message("A").message.id;
    assert!(matches!(lab.stage.channel.look_again(id).await.unwrap(), Looked::Held(_)));
    let again = Again { message: id, by: "anna".to_owned() };
    let edited = Inbound { again: Some(again), ..inbound("A key:1") };
    lab.stage.channel.inlet().receive(edited).await.told();
    lab.stage.channel.let_pass(id);
    lab.stage.quiet().await;
    assert_eq!(lab.stage.messages("A")[0].state, MessageState::Superseded);
    assert_eq!((lab.record.took().len(), lab.held()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_of_a_held_message_is_answered_and_not_carried() {
    let mut lab = lab(answering_again).await;
    for _ in 0..2 {
        assert_eq!(lab.stage.receive("A hold:K").await.outcome, Outcome::Accepted);
    }
    lab.stage.plan = answering_again(knowing(&["K"], lab.plan.clone()));
    lab.stage.channel.reload(lab.stage.plan.clone()).await;
    lab.goes_on().await;
    assert_eq!(lab.stage.receive("A hold:K").await.outcome, Outcome::Accepted);
    lab.stage.quiet().await;
    assert_eq!(lab.archive.took(), ["A hold:K"]);
    lab.stage.crash().await;
}

/// Everything from the first message to the last delivery, with each write failing in turn and a crash behind it.
#[tokio::test(start_paused = true)]
async fn what_is_held_goes_on_once_and_in_its_order_whatever_write_fails() {
    for together in [false, true] {
        for when in [When::Before, When::After] {
            for fault in [Fault::Once as fn(u32, When) -> Fault, Fault::From] {
                for write in 1..60 {
                    play(together, fault(write, when), Crash::AtOnce).await;
                }
            }
            for write in 1..60 {
                play(together, Fault::Once(write, when), Crash::WhenAllIsQuiet).await;
            }
        }
    }
}

#[derive(PartialEq)]
enum Crash {
    AtOnce,
    WhenAllIsQuiet,
}

async fn play(together: bool, fault: Fault, crash: Crash) {
    let prepare = |store: &stage::Flaky| {
        store.set(fault);
        if together {
            store.keep_in_one_write();
        }
    };
    let mut lab = lab_with(|plan| plan, prepare).await;
    let messages = ["A key:1 hold:K", "B key:1", "C key:2 hold-at:record=K", "D key:2"];
    let mut accepted = Vec::new();
    for message in messages {
        if lab.stage.receive(message).await.outcome == Outcome::Accepted {
            accepted.push(message);
        }
    }
    lab.learns(&["K"]).await;
    tokio::task::yield_now().await;
    if crash == Crash::WhenAllIsQuiet {
        lab.goes_on().await;
    }
    let begun = lab.stage.crash().await;
    lab.goes_on().await;
    for message in accepted {
        for peer in [&lab.archive, &lab.record] {
            let times = peer.took().iter().filter(|took| *took == message).count();
            assert!(times >= 1, "{fault:?}: {message} is not at {}", peer.name);
            assert!(times <= 1 + begun.len(), "{fault:?}: {message} came {times} times to {}", peer.name);
        }
    }
    for (first, second) in [("A key:1 hold:K", "B key:1"), ("C key:2 hold-at:record=K", "D key:2")] {
        let took = lab.record.took();
        let place = |wanted: &str| took.iter().position(|took| took == wanted);
        if let (Some(first), Some(second)) = (place(first), place(second)) {
            assert!(first < second, "{fault:?}: {took:?}");
        }
    }
    assert_eq!(lab.held(), 0, "{fault:?}");
    lab.stage.channel.stop(std::time::Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_goes_on_though_memory_holds_the_front_of_the_queue_alone() {
    let prepare = |store: &stage::Flaky| {
        store.reads_ahead(ReadAhead { deliveries: 3, of_a_key: 2, page: 2 });
    };
    let mut lab = lab_with(|plan| plan, prepare).await;
    lab.record.answers([Answer::AwayFor(60)]);
    lab.stage.receive("0 key:0").await;
    lab.stage.receive("A key:1 hold:K").await;
    for number in 0..12 {
        lab.stage.receive(&format!("M{number} key:{}", number % 3)).await;
    }
    lab.learns(&["K"]).await;
    lab.goes_on().await;
    let of_key: Vec<String> = lab.record.took().into_iter().filter(|took| took.contains("key:1")).collect();
    assert_eq!(of_key, ["A key:1 hold:K", "M1 key:1", "M4 key:1", "M7 key:1", "M10 key:1"]);
    assert!(lab.stage.deliveries(DeliveryState::Waiting).is_empty());
}
