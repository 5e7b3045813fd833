//! Everything that both stores show, side by side.

use std::{cmp::Reverse, collections::BTreeSet, time::SystemTime};

use engine::{
    DeliveryState, History, MessageId, Query, Store, Waiting,
    memory::{Snapshot, StoredDelivery, StoredMessage},
};

use crate::stage;

use super::operation::{CHANNELS, DESTINATIONS, Operation, Pair};

pub(crate) async fn compare(pair: &Pair, after: &Operation) {
    let snapshot = pair.memory.snapshot();
    for message in &snapshot.messages {
        compare_message(pair, message, after).await;
    }
    for delivery in &snapshot.deliveries {
        compare_delivery(pair, delivery, after).await;
    }
    compare_searches(pair, &snapshot, after).await;
    for channel in CHANNELS {
        compare_held(pair, channel, after).await;
        for destination in DESTINATIONS {
            let memory = pair.memory.waiting(channel, destination, None, 100).await.unwrap();
            let disk = pair.disk.waiting(channel, destination, None, 100).await.unwrap();
            assert_eq!(memory, disk, "after {after:?}");
            compare_queue(pair, (channel, destination), &memory, after).await;
            if let Some(first) = memory.first() {
                let rest = pair.disk.waiting(channel, destination, Some(first.position), 1).await.unwrap();
                assert_eq!(memory[1..].iter().take(1).collect::<Vec<_>>(), rest.iter().collect::<Vec<_>>());
            }
        }
    }
    compare_questions(pair, &snapshot, after).await;
    assert_eq!(pair.memory.switches().await.unwrap(), pair.disk.switches().await.unwrap());
    assert_eq!(snapshot.audit.len(), pair.disk.audit(1000).await.unwrap().len(), "after {after:?}");
}

/// What waits for a code, in pages, and that each can be read again.
async fn compare_held(pair: &Pair, channel: &str, after: &Operation) {
    let memory = pair.memory.held(channel, None, 100).await.unwrap();
    assert_eq!(memory, pair.disk.held(channel, None, 100).await.unwrap(), "after {after:?}");
    let Some(first) = memory.first().map(|first| first.message) else { return };
    assert_eq!(
        memory.get(1..2).unwrap_or_default(),
        pair.disk.held(channel, Some(first), 1).await.unwrap(),
        "after {after:?}"
    );
    let of_both = (pair.memory.message(first).await.unwrap(), pair.disk.message(first).await.unwrap());
    let (memory, disk) = (of_both.0.unwrap(), of_both.1.unwrap());
    assert_eq!(
        (memory.body, memory.facts, memory.identity, memory.received),
        (disk.body, disk.facts, disk.identity, disk.received),
        "after {after:?}"
    );
    let listed: u64 = pair.disk.unmapped().await.unwrap().iter().map(|one| one.messages).sum();
    let mut held = 0;
    for channel in CHANNELS {
        held += pair.memory.held(channel, None, 100).await.unwrap().len() as u64;
    }
    assert_eq!(listed, held, "after {after:?}");
}

/// What was asked and has no answer.
async fn compare_questions(pair: &Pair, snapshot: &Snapshot, after: &Operation) {
    let open = snapshot.questions.iter().filter(|(_, question)| question.answered.is_none());
    let mut memory: Vec<_> = open
        .filter_map(|((channel, key), question)| {
            let (message, _, due) = question.asked?;
            Some((channel.clone(), key.clone(), message, due <= stage::at(80)))
        })
        .collect();
    memory.sort();
    let ever = (SystemTime::UNIX_EPOCH, stage::at(1_000_000));
    let all = pair.disk.overdue(None, ever, 100).await.unwrap();
    let due = pair.disk.overdue(None, (SystemTime::UNIX_EPOCH, stage::at(80)), 100).await.unwrap();
    let mut disk: Vec<_> = all
        .iter()
        .map(|one| (one.channel.clone(), one.key.clone(), one.message, due.contains(one)))
        .collect();
    disk.sort();
    assert_eq!(memory, disk, "after {after:?}");
    let counted: u64 = pair.disk.count_overdue().await.unwrap().values().sum();
    assert_eq!(counted, disk.len() as u64, "all of it was long ago");
}

/// How much waits, and what waits by key.
async fn compare_queue(
    pair: &Pair,
    (channel, destination): (&str, &str),
    waiting: &[Waiting],
    after: &Operation,
) {
    let extents = (
        pair.memory.extent(channel, destination).await.unwrap(),
        pair.disk.extent(channel, destination).await.unwrap(),
    );
    assert_eq!(extents.0, extents.1, "after {after:?}");
    let keys = waiting.iter().flat_map(|waiting| waiting.keys.iter().map(String::as_str)).chain([""]);
    for key in keys.collect::<BTreeSet<_>>() {
        for from in [None, waiting.first().map(|first| first.position)] {
            let of_key = (
                pair.memory.waiting_of_key((channel, destination), key, from, 2).await.unwrap(),
                pair.disk.waiting_of_key((channel, destination), key, from, 2).await.unwrap(),
            );
            assert_eq!(of_key.0, of_key.1, "{key} after {after:?}");
        }
    }
}

/// What people find: all, by what they know of it, page by page, and what waits or stands in a state.
async fn compare_searches(pair: &Pair, snapshot: &Snapshot, after: &Operation) {
    let all = Query { limit: 1000, ..Query::default() };
    let mut newest_first: Vec<&StoredMessage> = snapshot.messages.iter().collect();
    newest_first.sort_by_key(|message| Reverse(message.message.id));
    let fitting = |fits: &dyn Fn(&StoredMessage) -> bool| -> Vec<MessageId> {
        newest_first.iter().filter(|message| fits(message)).map(|message| message.message.id).collect()
    };
    let find = async |query: Query| -> Vec<MessageId> {
        pair.disk.find(&query).await.unwrap().into_iter().map(|row| row.id).collect()
    };
    assert_eq!(find(all.clone()).await, fitting(&|_| true), "after {after:?}");
    if let Some(middle) = newest_first.get(newest_first.len() / 2).map(|message| message.message.id) {
        let page = Query { before: Some(middle), limit: 2, ..all.clone() };
        let expected: Vec<MessageId> =
            fitting(&|message| message.message.id < middle).into_iter().take(2).collect();
        assert_eq!(find(page).await, expected, "after {after:?}");
    }
    let control_ids: BTreeSet<_> =
        newest_first.iter().filter_map(|one| one.message.control_id.clone()).collect();
    for control_id in control_ids {
        let of_it = Query { text: Some(control_id.clone()), ..all.clone() };
        let expected = fitting(&|message| message.message.control_id.as_ref() == Some(&control_id));
        assert_eq!(find(of_it).await, expected, "{control_id} after {after:?}");
    }
    let mut in_order: Vec<&StoredDelivery> = snapshot.deliveries.iter().collect();
    in_order.sort_by_key(|delivery| (delivery.message, delivery.part, delivery.id));
    for (name, state) in [
        ("given_up", DeliveryState::GivenUp),
        ("sent", DeliveryState::Sent),
        ("waiting", DeliveryState::Waiting),
    ] {
        let of_state = Query { state: Some(name.to_owned()), ..all.clone() };
        let found: Vec<_> =
            pair.disk.deliveries(&of_state).await.unwrap().into_iter().map(|row| row.id).collect();
        let expected: Vec<_> =
            in_order.iter().filter(|delivery| delivery.state == state).map(|delivery| delivery.id).collect();
        assert_eq!(found, expected, "{name} after {after:?}");
    }
}

async fn compare_message(pair: &Pair, message: &StoredMessage, after: &Operation) {
    let id = message.message.id;
    let standings = (pair.memory.standing(id).await.unwrap(), pair.disk.standing(id).await.unwrap());
    assert_eq!(standings.0, standings.1, "after {after:?}");
    let shown = pair.disk.show(id).await.unwrap().expect("what memory keeps is kept on disk");
    let row = &shown.row;
    assert_eq!((message.state, message.answer), (row.state, row.answer), "after {after:?}");
    assert_eq!(message.flags, row.flags, "after {after:?}");
    assert_eq!((&message.why, &message.message.control_id), (&row.why, &row.control_id));
    assert_eq!((&*message.channel, &message.version.to_string()), (&*row.channel, &row.version));
    assert_eq!((&message.inputs, &message.reading.keys), (&shown.inputs, &shown.keys));
    assert_eq!(message.halt.as_ref().map(|halt| serde_json::to_value(halt).unwrap()), shown.halt);
    assert_eq!(message.successor, shown.superseded_by, "after {after:?}");
    if let Some(successor) = message.successor {
        let successor = pair.disk.show(successor).await.unwrap().expect("what stands for a message is kept");
        assert!(successor.supersedes.contains(&id), "after {after:?}");
    }
    assert_eq!(shown.body.as_ref(), Some(&message.message.body));
}

async fn compare_delivery(pair: &Pair, stored: &StoredDelivery, after: &Operation) {
    let id = stored.id;
    let memory = pair.memory.delivery(id).await.unwrap().unwrap();
    let disk = pair.disk.delivery(id).await.unwrap().expect("what memory keeps is kept on disk");
    // Bodies print their length alone.
    let bodies = |delivery: &engine::Delivery| {
        (delivery.message.body.clone(), delivery.piece.body.clone(), delivery.body.clone())
    };
    assert_eq!(bodies(&memory), bodies(&disk), "after {after:?}");
    assert_eq!(format!("{memory:?}"), format!("{disk:?}"), "after {after:?}");
    for destination in DESTINATIONS {
        let siblings = (pair.memory.sibling(id, destination).await, pair.disk.sibling(id, destination).await);
        assert_eq!(format!("{:?}", siblings.0), format!("{:?}", siblings.1), "after {after:?}");
    }
    let shown = pair.disk.show(MessageId(stored.message.0)).await.unwrap().unwrap();
    let row =
        shown.row.deliveries.iter().find(|row| row.id == id).expect("a delivery is shown with its message");
    assert_eq!((stored.state, stored.part), (row.state, row.part), "after {after:?}");
    let why = stored.why.as_ref().or(stored.tally.why.as_ref());
    assert_eq!(why, row.tally.why.as_ref(), "after {after:?}");
    let payload = shown.payloads.iter().find(|payload| payload.delivery == id).unwrap();
    assert_eq!(stored.inputs, payload.inputs, "after {after:?}");
    let late: Vec<_> = stored.late.iter().map(|late| late.body.as_deref()).collect();
    assert_eq!(late, payload.late.iter().map(|late| late.body.as_deref()).collect::<Vec<_>>());
}
