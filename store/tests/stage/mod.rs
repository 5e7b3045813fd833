//! What the tests of the store play with: arrivals, deliveries, and short names for both.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its part, and may unwrap")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use engine::{
    Arrival, AttemptEnd, Content, DeliveryId, Facts, Hash, Kept, Message, MessageId, MessageState,
    NewDelivery, OtherBytes, Outcome, Owed, Part, Processed, Reading, RepeatPolicy, Repeats, Response,
    Settlement, Store, Tally, Texts, Why, WhyKind,
};

pub(crate) const CHANNEL: &str = "lab";

/// Seconds after an instant that all tests share.
pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

/// A message of `sender` under `control_id`, received now.
pub(crate) fn arrival(id: MessageId, control_id: &str, body: &str) -> Arrival {
    let reading = Reading {
        sender: "LAB|HOP".to_owned(),
        control_id: Some(control_id.to_owned()),
        kind: Some("ORU^R01".to_owned()),
        keys: vec![("patient".to_owned(), format!("IPP{control_id}"))],
        flags: Vec::new(),
        study: None,
    };
    let body = Content::from(body.as_bytes().to_vec());
    let identity = Hash::of(&[b"LAB|HOP", control_id.as_bytes(), &body.hash().0]);
    let mut facts = Facts::new();
    facts.insert("peer".to_owned(), "127.0.0.1:40000".into());
    Arrival {
        channel: Arc::from(CHANNEL),
        message: Message {
            id,
            body,
            facts: Arc::new(facts),
            control_id: Some(control_id.to_owned()),
            identity,
            received: SystemTime::now(),
        },
        reading,
        study: None,
        version: Hash::of(&[b"version"]),
        repeats: Repeats {
            policy: RepeatPolicy::Accept,
            window: Duration::from_hours(1),
            others: OtherBytes::Flag,
        },
        supersedes: None,
        again: None,
        closed: None,
        answer: Owed::Owed,
        effect: None,
        batch: None,
        gathers: None,
    }
}

/// Keeps one message.
pub(crate) async fn keep(store: &dyn Store, control_id: &str) -> MessageId {
    let id = store.next_message();
    let kept = store.keep(vec![arrival(id, control_id, "MSH|the body")]).await.unwrap();
    assert_eq!(kept, [Kept::New(Vec::new())]);
    id
}

pub(crate) fn delivery(id: DeliveryId, destination: &str) -> NewDelivery {
    NewDelivery {
        id,
        destination: destination.to_owned(),
        effect: Hash::of(&[&id.0.to_be_bytes()]),
        keys: vec!["IPP1".to_owned()],
        after: None,
        body: None,
        texts: Texts::new(),
    }
}

/// One whole piece with these deliveries.
pub(crate) fn processed(message: MessageId, control_id: &str, deliveries: Vec<NewDelivery>) -> Processed {
    Processed {
        channel: Arc::from(CHANNEL),
        message,
        version: Hash::of(&[b"version"]),
        state: MessageState::Queued,
        outcome: Outcome::Accepted,
        inputs: None,
        parts: vec![Part {
            place: None,
            control_id: Some(control_id.to_owned()),
            body: None,
            halt: None,
            deliveries,
        }],
        expected: Vec::new(),
        joins: None,
        ran: None,
    }
}

/// Keeps one message and queues it for one destination.
pub(crate) async fn queue(store: &dyn Store, control_id: &str, destination: &str) -> (MessageId, DeliveryId) {
    let message = keep(store, control_id).await;
    let id = store.next_delivery();
    store.queue(processed(message, control_id, vec![delivery(id, destination)])).await.unwrap();
    (message, id)
}

pub(crate) fn sent(answer: &str) -> Settlement {
    let response = Response { body: Some(answer.as_bytes().to_vec().into()), facts: Facts::new() };
    let tally = Tally { attempts: 1, ..Tally::default() };
    Settlement { end: AttemptEnd::Sent(response), tally, followers: Vec::new(), attempt: None }
}

pub(crate) fn given_up(why: &str) -> Settlement {
    let why = Why::new(WhyKind::Refused(Some("AE".to_owned())), why);
    let tally = Tally { attempts: 1, counted: 1, why: Some(why.clone()), ..Tally::default() };
    let end = AttemptEnd::GivenUp { why, response: None };
    Settlement { end, tally, followers: Vec::new(), attempt: None }
}
