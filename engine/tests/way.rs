//! The way of a message with each write failing in turn: what was accepted arrives, whatever breaks.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{collections::HashMap, sync::Arc};

use engine::{DeliveryId, DeliveryState, MessageState, Order, Outcome, Plan, Reply, ReplyBody, ReplyWhen};
use futures_util::future::join_all;
use stage::{Answer, Fault, News, Peer, Stage, When, outlet, plan, receive, replying};

/// What is sent in each run, and the bodies that must reach `archive` and `record` of what is accepted.
const MESSAGES: [(&str, &[&str], &[&str]); 7] = [
    ("A key:1", &["A key:1"], &["A key:1"]),
    ("B key:2 to:record", &[], &["B key:2 to:record"]),
    ("F filter", &[], &[]),
    ("R refuse", &[], &[]),
    (
        "S split:2 key:1",
        &["S.1 split:2 key:1", "S.2 split:2 key:1"],
        &["S.1 split:2 key:1", "S.2 split:2 key:1"],
    ),
    ("U unreadable", &[], &[]),
    ("E to:nobody", &[], &[]),
];

struct Run {
    stage: Stage,
    archive: Arc<Peer>,
    record: Arc<Peer>,
    late: Arc<Peer>,
    /// The begun deliveries at each crash.
    cut: Vec<DeliveryId>,
}

impl Run {
    async fn start(when: &ReplyWhen, fault: Fault) -> Self {
        Self::start_in(Writes::Each, when, fault).await
    }

    async fn start_in(writes: Writes, when: &ReplyWhen, fault: Fault) -> Self {
        let news = News::default();
        let [archive, record, late] = ["archive", "record", "late"].map(|name| Peer::new(name, &news));
        let mut outlets = vec![outlet(&archive), outlet(&record), outlet(&late)];
        outlets[1].order = Order::Key;
        outlets[1].workers = 2;
        outlets[2].after = Some("archive".to_owned());
        let plan: Plan = replying(when.clone(), plan(outlets));
        let stage = Stage::start_with(&news, plan, |store| {
            store.set(fault);
            if writes == Writes::Together {
                store.keep_in_one_write();
            }
        });
        let stage = stage.await;
        // Nothing was left open: so it need not wait for that.
        stage.quiet().await;
        Self { stage, archive, record, late, cut: Vec::new() }
    }

    /// All messages at once; each answer is held against the store at the moment it is heard.
    async fn play(&self, when: &ReplyWhen) -> Vec<Reply> {
        let senders = MESSAGES.iter().map(async |(message, ..)| {
            let reply = receive(self.stage.channel.inlet(), message).await;
            if reply.outcome.is_positive() {
                self.claims(message, &reply, when);
            }
            reply
        });
        join_all(senders).await
    }

    /// A positive answer claims a state: it must be in the store already.
    fn claims(&self, message: &str, reply: &Reply, when: &ReplyWhen) {
        let stored = self.stage.message(message.split(' ').next().unwrap());
        if *when == ReplyWhen::Stored {
            return;
        }
        let ended = [MessageState::Queued, MessageState::Filtered, MessageState::Unrouted];
        assert!(
            ended.contains(&stored.state),
            "{message}: {when:?} answered {reply:?} while {:?}",
            stored.state
        );
        if let Some(ReplyBody::From(words)) = &reply.body {
            let delivery = self.stage.memory.snapshot().deliveries.into_iter().find(|delivery| {
                delivery.message == stored.message.id
                    && delivery.response.as_ref().and_then(|response| response.body.as_ref()) == Some(words)
            });
            assert_eq!(delivery.map(|delivery| delivery.state), Some(DeliveryState::Sent));
        }
    }

    async fn crash(&mut self) {
        let begun = self.stage.crash().await;
        self.cut.extend(begun);
    }

    fn check(&self, replies: &[Reply]) {
        for ((message, archived, recorded), reply) in MESSAGES.iter().zip(replies) {
            if reply.outcome.is_positive() {
                arrived(&self.archive, archived, message);
                arrived(&self.record, recorded, message);
            }
            let is_refused =
                matches!(reply.outcome, Outcome::Refused | Outcome::Failed | Outcome::Unreadable);
            if is_refused {
                let id = message.split(' ').next().unwrap();
                for peer in [&self.archive, &self.record, &self.late] {
                    assert!(!peer.tried().iter().any(|body| body.starts_with(id)), "{message} was refused");
                }
            }
        }
        self.followed();
        self.nothing_twice();
        self.in_order();
    }

    /// Whatever the archive took, the destination that waits for it took too.
    fn followed(&self) {
        for body in self.archive.took() {
            let follows = self.late.took().iter().any(|late| late.starts_with(&body));
            assert!(follows, "{body} did not follow");
        }
    }

    /// Only what was begun and not settled when the process died may come a second time.
    fn nothing_twice(&self) {
        let snapshot = self.stage.memory.snapshot();
        for peer in [&self.archive, &self.record, &self.late] {
            let mut sends = HashMap::new();
            for sent in peer.sends() {
                *sends.entry(sent.effect).or_insert(0) += 1;
            }
            for (effect, times) in sends {
                let delivery = snapshot.deliveries.iter().find(|delivery| delivery.effect == effect).unwrap();
                let cut = self.cut.iter().filter(|cut| **cut == delivery.id).count();
                assert!(times <= 1 + cut, "{} went {times} times to {}", delivery.id.0, peer.name);
            }
        }
    }

    /// The archive has one lane: first tries come in the order of arrival.
    fn in_order(&self) {
        let snapshot = self.stage.memory.snapshot();
        let mut last = None;
        for sent in self.archive.sends() {
            let delivery =
                snapshot.deliveries.iter().find(|delivery| delivery.effect == sent.effect).unwrap();
            let position = (delivery.message, delivery.part);
            assert!(last.is_none_or(|last| last <= position), "the archive was sent {} too late", sent.body);
            last = Some(position);
        }
    }
}

fn arrived(peer: &Peer, bodies: &[&str], message: &str) {
    for body in bodies {
        assert!(
            peer.took().iter().any(|took| took == body),
            "{message} was accepted; {body} is not at {}",
            peer.name
        );
    }
}

fn modes() -> [ReplyWhen; 6] {
    [
        ReplyWhen::Stored,
        ReplyWhen::Processed,
        ReplyWhen::Delivered,
        ReplyWhen::From("record".to_owned()),
        ReplyWhen::Script,
        ReplyWhen::Never,
    ]
}

/// Lets each write of the run fail, one run after the other.
async fn each_write_fails(fault: fn(u32, When) -> Fault, ends: Ends) {
    for writes in [Writes::Each, Writes::Together] {
        each_write_fails_in(writes, fault, &ends).await;
    }
}

/// Whether each message is kept before its steps run, or with what they make of it.
#[derive(Clone, Copy, PartialEq)]
enum Writes {
    Each,
    Together,
}

async fn each_write_fails_in(writes: Writes, fault: fn(u32, When) -> Fault, ends: &Ends) {
    for mode in modes() {
        for when in [When::Before, When::After] {
            for write in 1.. {
                let mut run = Run::start_in(writes, &mode, fault(write, when)).await;
                let replies = run.play(&mode).await;
                if *ends == Ends::Goes {
                    run.stage.quiet().await;
                }
                let done = run.stage.store.writes();
                let fired = done.len() >= write as usize;
                let is_together = writes == Writes::Together && mode != ReplyWhen::Stored;
                assert!(done.contains(&"take") == is_together || fired, "{mode:?}: {done:?}");
                run.crash().await;
                run.stage.quiet().await;
                run.check(&replies);
                run.stage.channel.stop(std::time::Duration::ZERO).await;
                if !fired {
                    assert!(write > 20, "the run writes: {write}");
                    break;
                }
            }
        }
    }
}

#[derive(PartialEq)]
enum Ends {
    /// The channel goes on by itself, and is restarted when all is quiet.
    Goes,
    /// The process dies as soon as every sender has its answer.
    Dies,
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_arrives_when_any_one_write_fails() {
    each_write_fails(Fault::Once, Ends::Goes).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_arrives_when_any_one_write_fails_and_the_process_dies() {
    each_write_fails(Fault::Once, Ends::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_arrives_when_the_store_breaks_for_good_at_any_write() {
    each_write_fails(Fault::From, Ends::Dies).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_kept_when_the_store_breaks_goes_on_when_it_is_mended() {
    let run = Run::start(&ReplyWhen::Processed, Fault::Named("queue", When::Before)).await;
    assert_eq!(run.stage.receive("A").await.outcome, Outcome::Unavailable);
    assert_eq!(run.stage.message("A").state, MessageState::Kept);
    run.stage.store.mend();
    run.stage.quiet().await;
    assert_eq!(run.archive.took(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_broken_senders_hear_unavailable_and_nothing_arrives() {
    let run = Run::start(&ReplyWhen::Stored, Fault::Nothing).await;
    run.stage.store.fail(When::Before);
    assert_eq!(run.stage.receive("A").await.outcome, Outcome::Unavailable);
    run.stage.store.mend();
    assert_eq!(run.stage.receive("B").await.outcome, Outcome::Accepted);
    run.stage.quiet().await;
    assert_eq!(run.archive.took(), ["B"]);
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_what_its_mode_promises() {
    for (mode, expected) in [
        (ReplyWhen::Stored, Outcome::Accepted),
        (ReplyWhen::Processed, Outcome::Accepted),
        (ReplyWhen::Delivered, Outcome::Failed),
        (ReplyWhen::From("record".to_owned()), Outcome::Refused),
        (ReplyWhen::Script, Outcome::Failed),
    ] {
        let run = Run::start(&mode, Fault::Nothing).await;
        run.record.answers([Answer::Nack("AE")]);
        assert_eq!(run.stage.receive("A").await.outcome, expected, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_destinations_own_answer_goes_back() {
    let run = Run::start(&ReplyWhen::From("record".to_owned()), Fault::Nothing).await;
    let reply = run.stage.receive("A").await;
    assert_eq!(reply.body, Some(ReplyBody::From("ok A".into())));
    run.record.answers([Answer::Nack("AR")]);
    let reply = run.stage.receive("B").await;
    assert_eq!((reply.body, reply.code.as_deref()), (Some(ReplyBody::From("AR".into())), Some("AR")));
    // Not chosen: the answer is that of `processed`.
    let reply = run.stage.receive("C to:archive").await;
    assert_eq!((reply.outcome, reply.body), (Outcome::Accepted, None));
}

#[tokio::test(start_paused = true)]
async fn a_script_words_the_answer_from_what_the_destinations_did() {
    let run = Run::start(&ReplyWhen::Script, Fault::Nothing).await;
    run.record.answers([Answer::Nack("AE")]);
    let reply = run.stage.receive("A to:archive to:record").await;
    let words = ReplyBody::Script("archive sent, record given_up".into());
    assert_eq!(reply.body, Some(words));
}

#[tokio::test(start_paused = true)]
async fn delivered_counts_what_waits_in_a_queue_as_accepted() {
    let run = Run::start(&ReplyWhen::Delivered, Fault::Nothing).await;
    run.archive.answers([Answer::Away]);
    assert_eq!(run.stage.receive("A to:archive").await.outcome, Outcome::Accepted);
    assert_eq!(run.stage.delivery("A", "archive").state, DeliveryState::Waiting);
}

#[tokio::test(start_paused = true)]
async fn what_a_step_says_no_to_is_answered_and_kept_so() {
    let run = Run::start(&ReplyWhen::Processed, Fault::Nothing).await;
    for (message, outcome, state) in [
        ("F filter", Outcome::Filtered, MessageState::Filtered),
        ("G filter-at:archive to:archive", Outcome::Filtered, MessageState::Filtered),
        ("R refuse", Outcome::Refused, MessageState::Refused),
        ("B break", Outcome::Failed, MessageState::Failed),
        ("C break-at:record", Outcome::Failed, MessageState::Failed),
        ("P panic", Outcome::Failed, MessageState::Failed),
        ("E to:nobody", Outcome::Unrouted, MessageState::Unrouted),
    ] {
        assert_eq!(run.stage.receive(message).await.outcome, outcome, "{message}");
        assert_eq!(run.stage.message(&message[..1]).state, state, "{message}");
    }
    assert_eq!(run.stage.receive("U unreadable").await.outcome, Outcome::Unreadable);
    let refused = run.stage.receive("S refuse").await;
    assert_eq!((refused.why.as_deref(), refused.at.as_deref()), (Some("no patient"), Some("PID-3")));
    let failed = run.stage.receive("T break").await;
    assert_eq!(failed.why.as_deref(), Some("step 1 failed"));
    assert!(run.archive.tried().is_empty() && run.record.tried().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stored_answer_does_not_wait_for_the_steps() {
    let run = Run::start(&ReplyWhen::Stored, Fault::Nothing).await;
    run.stage.store.catch("queue");
    assert_eq!(run.stage.receive("A").await.outcome, Outcome::Accepted);
    assert_eq!(run.stage.message("A").state, MessageState::Kept);
    assert_eq!(run.stage.receive("B break").await.outcome, Outcome::Accepted);
    run.stage.store.let_go();
    run.stage.quiet().await;
    assert_eq!(run.stage.message("B").state, MessageState::Failed);
}
