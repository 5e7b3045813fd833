//! What the engine and people may ask of a store, and how it is asked of both.

use std::{sync::Arc, time::Duration};

use engine::{
    Act, Again, AnswerState, Arrival, AttemptEnd, Closed, Content, DeliveryId, DeliveryOutcome, Expected,
    Filling, Halt, Hash, Held, Intervention, LateAnswer, Memory, MessageId, MessageState, Missing,
    NewDelivery, OtherBytes, Outcome, Part, PastAttempt, Processed, RepeatPolicy, Repeats, Reply, ReplyBody,
    Response, Settlement, Store, Study, Tally, Texts, Told, Why, WhyKind,
};
use proptest::prelude::*;
use store::Sqlite;

use crate::stage;

pub(crate) const CHANNELS: [&str; 2] = ["lab", "adt"];
pub(crate) const DESTINATIONS: [&str; 3] = ["record", "archive", "copy"];

pub(crate) struct Pair {
    pub(crate) memory: Memory,
    pub(crate) disk: Sqlite,
}

/// Numbers choose among the little there is: the more often they meet, the better.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Keep(Vec<Coming>),
    Queue { message: u64, shape: u8 },
    Close { message: u64 },
    Hold { message: u64, code: u8 },
    Abandon { message: u64 },
    Begin { delivery: u64, noted: bool },
    Settle { delivery: u64, end: u8 },
    AnsweredLate { delivery: u64 },
    Fill { delivery: u64, filled: bool },
    Told { message: u64, answer: u8 },
    Interrupted { channel: usize },
    Mark { message: u64 },
    Resend { delivery: u64, to: Option<usize>, edited: bool },
    Drop { delivery: u64 },
    Park { delivery: u64 },
    Switch { name: usize, on: bool },
    Restart,
}

#[derive(Debug, Clone)]
pub(crate) struct Coming {
    channel: usize,
    control_id: u8,
    body: u8,
    again: bool,
    second: u64,
    supersedes: Option<u64>,
    run_again: Option<u64>,
    effect: Option<u8>,
    unreadable: bool,
    refuse: bool,
    /// The patient whose it is, of a study that all of a channel are of.
    patient: Option<u8>,
}

pub(crate) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..100)
}

fn operation() -> impl Strategy<Value = Operation> {
    let message = || 0..4_u64;
    let delivery = || 0..5_u64;
    prop_oneof![
        4 => prop::collection::vec(coming(), 1..3).prop_map(Operation::Keep),
        6 => (message(), 0..6_u8).prop_map(|(message, shape)| Operation::Queue { message, shape }),
        2 => message().prop_map(|message| Operation::Close { message }),
        2 => (message(), 0..3_u8).prop_map(|(message, code)| Operation::Hold { message, code }),
        1 => message().prop_map(|message| Operation::Abandon { message }),
        4 => (delivery(), any::<bool>()).prop_map(|(delivery, noted)| Operation::Begin { delivery, noted }),
        7 => (delivery(), 0..9_u8).prop_map(|(delivery, end)| Operation::Settle { delivery, end }),
        2 => delivery().prop_map(|delivery| Operation::AnsweredLate { delivery }),
        2 => (delivery(), any::<bool>()).prop_map(|(delivery, filled)| Operation::Fill { delivery, filled }),
        3 => (message(), 0..5_u8).prop_map(|(message, answer)| Operation::Told { message, answer }),
        1 => (0..2_usize).prop_map(|channel| Operation::Interrupted { channel }),
        1 => message().prop_map(|message| Operation::Mark { message }),
        3 => (delivery(), prop::option::of(0..3_usize), any::<bool>())
            .prop_map(|(delivery, to, edited)| Operation::Resend { delivery, to, edited }),
        1 => delivery().prop_map(|delivery| Operation::Drop { delivery }),
        2 => delivery().prop_map(|delivery| Operation::Park { delivery }),
        1 => (0..2_usize, any::<bool>()).prop_map(|(name, on)| Operation::Switch { name, on }),
        1 => Just(Operation::Restart),
    ]
}

fn coming() -> impl Strategy<Value = Coming> {
    let place = (0..2_usize, 0..3_u8, 0..2_u8, any::<bool>(), 0..100_u64);
    let rest = (
        prop::option::weighted(0.2, 0..4_u64),
        prop::option::weighted(0.2, 0..4_u64),
        prop::option::weighted(0.1, 0..2_u8),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.3),
        prop::option::weighted(0.4, 0..2_u8),
    );
    (place, rest).prop_map(
        |(
            (channel, control_id, body, again, second),
            (supersedes, run_again, effect, unreadable, refuse, patient),
        )| Coming {
            channel,
            control_id,
            body,
            again,
            second,
            supersedes,
            run_again,
            effect,
            unreadable,
            refuse,
            patient,
        },
    )
}

impl Coming {
    fn arrival(&self, id: MessageId) -> Arrival {
        let control_id = format!("C{}", self.control_id);
        let mut arrival = stage::arrival(id, &control_id, &format!("body {}", self.body));
        arrival.channel = Arc::from(CHANNELS[self.channel]);
        arrival.message.received = stage::at(self.second);
        arrival.repeats = Repeats {
            policy: if self.again { RepeatPolicy::AnswerAgain } else { RepeatPolicy::Accept },
            window: Duration::from_mins(1),
            others: if self.refuse { OtherBytes::Refuse } else { OtherBytes::Flag },
        };
        arrival.study =
            self.patient.map(|patient| Study { uid: "1.2.3".to_owned(), patient: format!("P{patient}") });
        arrival.supersedes = self.supersedes.map(MessageId);
        arrival.again = self.run_again.map(|id| Again { message: MessageId(id), by: "ada".to_owned() });
        arrival.reading.flags = if self.body == 0 { vec!["charset".to_owned()] } else { Vec::new() };
        arrival.batch = self.again.then(|| (Hash::of(&[b"batch"]), 1));
        if self.control_id == 0 {
            arrival.reading.control_id = None;
            arrival.message.control_id = None;
            arrival.message.identity = Hash::of(&[&id.0.to_be_bytes()]);
        }
        if let Some(effect) = self.effect {
            arrival.effect = Some(Hash::of(&[b"effect", &[effect]]));
            arrival.message.identity = Hash::of(&[b"effect", &[effect]]);
        }
        if self.unreadable {
            arrival.closed = Some(closed(Outcome::Unreadable));
        }
        arrival
    }
}

impl Pair {
    /// Asks both, and holds their answers together.
    pub(crate) async fn apply(&self, operation: &Operation) {
        let mut operation = operation.clone();
        self.choose(&mut operation);
        let (one, other) = match &operation {
            Operation::Keep(coming) => self.keep(coming).await,
            Operation::Queue { message, shape } => self.queue(*message, *shape).await,
            _ => (ask(&self.memory, &operation).await, ask(&self.disk, &operation).await),
        };
        assert_eq!(one, other, "{operation:?}");
    }

    async fn keep(&self, coming: &[Coming]) -> (Answer, Answer) {
        let mut arrivals = Vec::new();
        for one in coming {
            let id = self.memory.next_message();
            assert_eq!(id, self.disk.next_message());
            arrivals.push(one.arrival(id));
        }
        let kept = (self.memory.keep(arrivals.clone()).await, self.disk.keep(arrivals).await);
        (told(kept.0), told(kept.1))
    }

    async fn queue(&self, message: u64, shape: u8) -> (Answer, Answer) {
        let snapshot = self.memory.snapshot();
        let mut processed = processed(message, shape);
        // Effects are those of the message's identity: a second copy may have those of the first.
        if let Some(of) = snapshot.messages.iter().find(|of| of.message.id.0 == message) {
            processed.channel = Arc::clone(&of.channel);
            for (output, part) in (0..).zip(&mut processed.parts) {
                for delivery in &mut part.deliveries {
                    delivery.effect = of.message.effect(&of.channel, 0, &delivery.destination, output);
                }
            }
        }
        let queued = (self.memory.queue(processed.clone()).await, self.disk.queue(processed).await);
        (told(queued.0), told(queued.1))
    }

    /// Makes a number mean one of the messages or deliveries that there are, the youngest first.
    fn choose(&self, operation: &mut Operation) {
        let snapshot = self.memory.snapshot();
        let messages: Vec<u64> = snapshot.messages.iter().map(|message| message.message.id.0).collect();
        let deliveries: Vec<u64> = snapshot.deliveries.iter().map(|delivery| delivery.id.0).collect();
        match operation {
            Operation::Queue { message, .. }
            | Operation::Close { message }
            | Operation::Hold { message, .. }
            | Operation::Abandon { message }
            | Operation::Told { message, .. }
            | Operation::Mark { message } => pick(message, &messages),
            Operation::Begin { delivery, .. }
            | Operation::Settle { delivery, .. }
            | Operation::AnsweredLate { delivery }
            | Operation::Fill { delivery, .. }
            | Operation::Resend { delivery, .. }
            | Operation::Drop { delivery }
            | Operation::Park { delivery } => pick(delivery, &deliveries),
            Operation::Keep(coming) => {
                for one in coming {
                    one.supersedes.iter_mut().chain(&mut one.run_again).for_each(|id| pick(id, &messages));
                }
            }
            Operation::Interrupted { .. } | Operation::Switch { .. } | Operation::Restart => {}
        }
    }

    /// Brings both to the same next ids: a store that was opened anew may give one again that nothing was kept under.
    /// Those of new deliveries are above those that [`processed`] gives itself.
    pub(crate) fn number_alike(&self) {
        let reached = [self.memory.next_delivery(), self.disk.next_delivery()];
        let highest = reached[0].max(reached[1]).max(DeliveryId(1000));
        raise(reached[0], &highest, || self.memory.next_delivery());
        raise(reached[1], &highest, || self.disk.next_delivery());
        let reached = [self.memory.next_message(), self.disk.next_message()];
        let highest = reached[0].max(reached[1]);
        raise(reached[0], &highest, || self.memory.next_message());
        raise(reached[1], &highest, || self.disk.next_message());
    }
}

/// Past the last, it is one that nobody knows.
fn pick(number: &mut u64, ids: &[u64]) {
    *number = ids.iter().rev().nth(*number as usize).copied().unwrap_or(999_999);
}

fn raise<T: Ord>(mut reached: T, highest: &T, next: impl Fn() -> T) {
    while reached < *highest {
        reached = next();
    }
}

/// An answer in words that can be compared; of a refusal only that it is one.
type Answer = Result<String, ()>;

fn told<T: std::fmt::Debug>(answer: Result<T, engine::StoreError>) -> Answer {
    match answer {
        Ok(answer) => Ok(format!("{answer:?}")),
        Err(_) => Err(()),
    }
}

async fn ask(store: &dyn Store, operation: &Operation) -> Answer {
    match operation {
        Operation::Keep(_) | Operation::Queue { .. } | Operation::Restart => {
            unreachable!("these are asked elsewhere")
        }
        Operation::Close { message } => told(store.close(MessageId(*message), closed(Outcome::Failed)).await),
        Operation::Hold { message, code } => told(store.close(MessageId(*message), held(*code)).await),
        Operation::Abandon { message } => told(store.abandon(MessageId(*message), "ada").await),
        Operation::Begin { delivery, noted } => told(
            store
                .begin(
                    DeliveryId(*delivery),
                    noted.then(|| serde_json::json!({ "length": 3 })),
                    u32::from(*noted),
                )
                .await,
        ),
        Operation::Settle { delivery, end } => {
            told(store.settle(DeliveryId(*delivery), settlement(*end)).await)
        }
        Operation::AnsweredLate { delivery } => {
            let response = Response { body: Some("MSA|AE".into()), ..Response::default() };
            told(store.answered_late(LateAnswer { delivery: DeliveryId(*delivery), response }).await)
        }
        Operation::Fill { delivery, filled } => {
            told(store.fill(DeliveryId(*delivery), filling(*filled)).await)
        }
        Operation::Told { message, answer } => {
            store.told(MessageId(*message), what_was_told(*answer));
            Ok(String::new())
        }
        Operation::Interrupted { channel } => told(store.interrupted(CHANNELS[*channel]).await),
        Operation::Mark { message } => {
            store.enters(MessageId(*message));
            told(Ok(()))
        }
        Operation::Resend { delivery, to, edited } => {
            let to = to.map(|to| DESTINATIONS[to].to_owned());
            let body = edited.then(|| Content::from("edited"));
            intervene(store, *delivery, Act::Resend { to, body }).await
        }
        Operation::Drop { delivery } => intervene(store, *delivery, Act::Drop).await,
        Operation::Park { delivery } => intervene(store, *delivery, Act::Park).await,
        Operation::Switch { name, on } => {
            told(store.switch(&format!("hold {}", DESTINATIONS[*name]), on.then_some("held"), "ada").await)
        }
    }
}

async fn intervene(store: &dyn Store, delivery: u64, what: Act) -> Answer {
    told(store.intervene(Intervention { delivery: DeliveryId(delivery), what, by: "ada".to_owned() }).await)
}

/// Deliveries are numbered by their message, so that both stores number them alike.
fn processed(message: u64, shape: u8) -> Processed {
    let whole = |deliveries| Part {
        place: None,
        control_id: Some("C1".to_owned()),
        body: None,
        halt: None,
        deliveries,
    };
    let first = message * 4 - 3;
    let parts = match shape {
        0 => vec![],
        1 => vec![whole(vec![delivery(first, 0, None)])],
        2 => vec![whole(vec![delivery(first, 0, None), delivery(first + 1, 1, Some(0))])],
        3 => vec![Part {
            body: Some(Content::from("changed")),
            ..whole(vec![
                delivery(first, 2, Some(0)),
                delivery(first + 1, 1, Some(0)),
                delivery(first + 2, 0, None),
            ])
        }],
        _ => (1..4)
            .map(|place| Part {
                place: Some(place as u32),
                control_id: Some(format!("C1.{place}")),
                body: Some(Content::from(format!("part {place}"))),
                halt: (place == 3).then(|| Halt::Filtered { why: "not here".to_owned() }),
                deliveries: vec![delivery(first + place, shape as usize % 3, None)],
            })
            .collect(),
    };
    Processed {
        channel: Arc::from(CHANNELS[0]),
        message: MessageId(message),
        version: Hash::of(&[b"version", &[shape]]),
        state: if shape == 0 { MessageState::Filtered } else { MessageState::Queued },
        outcome: if shape == 0 { Outcome::Filtered } else { Outcome::Accepted },
        inputs: (shape == 3).then(|| serde_json::json!([{ "now": 7 }])),
        parts,
        joins: None,
        ran: None,
        expected: match shape {
            1 => vec![asked("P-1"), answered("P-2")],
            2 => vec![asked("P-2")],
            3 | 4 => vec![answered("P-1")],
            _ => Vec::new(),
        },
    }
}

fn delivery(id: u64, destination: usize, after: Option<usize>) -> NewDelivery {
    let own = id.is_multiple_of(3) && after.is_none();
    NewDelivery {
        after: after.map(|after| DESTINATIONS[after].to_owned()),
        body: own.then(|| Content::from(format!("payload {id}"))),
        texts: if own { Texts::from([("name".to_owned(), format!("{id}.hl7"))]) } else { Texts::new() },
        keys: keys(id),
        ..stage::delivery(DeliveryId(id), DESTINATIONS[destination])
    }
}

fn asked(key: &str) -> Expected {
    Expected::Asked { key: key.to_owned(), within: Duration::from_secs(40) }
}

fn answered(key: &str) -> Expected {
    Expected::Answered { of: Arc::from(CHANNELS[0]), key: key.to_owned() }
}

fn settlement(end: u8) -> Settlement {
    let tally = Tally {
        attempts: 2,
        counted: 1,
        doubts: u32::from(end == 2),
        spent_ms: 1500,
        not_before: (end == 1).then(|| stage::at(500)),
        why: (end != 0).then(|| Why::ours("connection refused")),
        stopped: end == 2,
    };
    let response = || Response { body: Some(b"MSA|AE"[..].to_vec().into()), ..Response::default() };
    let why = || Why::new(WhyKind::Refused(Some("AE".to_owned())), "the other side said no");
    let end = match end {
        0 | 7 | 8 => AttemptEnd::Sent(response()),
        1 | 2 => AttemptEnd::Waits { doubt: end == 2 },
        3 => AttemptEnd::GivenUp { why: why(), response: None },
        4 => AttemptEnd::GivenUp { why: why(), response: Some(response()) },
        5 => AttemptEnd::SetAside { why: why() },
        _ => AttemptEnd::Dropped { why: why() },
    };
    let followers = vec![DESTINATIONS[1].to_owned(), DESTINATIONS[2].to_owned()];
    let attempt = tally.why.clone().map(|why| PastAttempt {
        number: tally.attempts,
        began: stage::at(u64::from(tally.counted)),
        took: Duration::from_millis(7),
        outcome: DeliveryOutcome::Retried,
        why: Some(why),
        next: None,
    });
    Settlement { end, tally, followers, attempt }
}

fn filling(filled: bool) -> Filling {
    Filling {
        body: filled.then(|| Content::from("filled")),
        texts: Texts::from([("path".to_owned(), "/x".to_owned())]),
        inputs: Some(serde_json::json!([])),
    }
}

fn what_was_told(answer: u8) -> Told {
    match answer {
        0 => Told { state: AnswerState::Told, reply: Reply::of(Outcome::Accepted) },
        1 => Told { state: AnswerState::Untold, reply: Reply::because(Outcome::Refused, "PID-3 is missing") },
        2 => {
            let body = Some(ReplyBody::Script(b"MSA|AA"[..].to_vec().into()));
            Told { state: AnswerState::Told, reply: Reply { body, ..Reply::of(Outcome::Accepted) } }
        }
        3 => Told { state: AnswerState::NotOwed, reply: Reply::of(Outcome::Failed) },
        _ => Told { state: AnswerState::Unavailable, reply: Reply::of(Outcome::Unavailable) },
    }
}

fn closed(outcome: Outcome) -> Closed {
    Closed {
        state: if outcome == Outcome::Failed { MessageState::Failed } else { MessageState::Refused },
        outcome,
        why: Why::new(WhyKind::StepFailed, "a step broke"),
        halt: Some(Halt::Failed { step: "steps[0]".to_owned(), why: "broke".to_owned(), place: None }),
        inputs: None,
        ran: None,
    }
}

fn held(code: u8) -> Closed {
    let missing = Missing {
        table: "tests".to_owned(),
        asked: vec![("code".to_owned(), format!("K{code}"))],
        sender: (code == 1).then(|| "LAB".to_owned()),
        wanted: "loinc".to_owned(),
        server: (code == 2).then(|| "db".to_owned()),
    };
    let keys = [(DESTINATIONS[0].to_owned(), (code > 0).then(|| vec!["shared".to_owned()]))];
    let held = Held { missing: vec![missing], keys: keys.into() };
    Closed {
        state: MessageState::Held,
        outcome: Outcome::Accepted,
        why: Why::new(WhyKind::Held, held.to_string()),
        halt: Some(Halt::Held(held)),
        inputs: None,
        ran: None,
    }
}

/// Of one's own, of many, several, and one that looks like several.
fn keys(id: u64) -> Vec<String> {
    let keys: &[&str] = match id % 6 {
        0 => &[],
        1 | 2 => &["shared"],
        3 => &["shared", "other"],
        4 => &["a\",\"b"],
        _ => return vec![format!("IPP{id}")],
    };
    keys.iter().map(|key| (*key).to_owned()).collect()
}
