//! Everything that both stores show, side by side.

use engine::{
    History, MessageId, Store,
    memory::{StoredDelivery, StoredMessage},
};

use super::operation::{CHANNELS, DESTINATIONS, Operation, Pair};

pub(crate) async fn compare(pair: &Pair, after: &Operation) {
    let snapshot = pair.memory.snapshot();
    for message in &snapshot.messages {
        compare_message(pair, message, after).await;
    }
    for delivery in &snapshot.deliveries {
        compare_delivery(pair, delivery, after).await;
    }
    for channel in CHANNELS {
        for destination in DESTINATIONS {
            let memory = pair.memory.waiting(channel, destination, None, 100).await.unwrap();
            let disk = pair.disk.waiting(channel, destination, None, 100).await.unwrap();
            assert_eq!(memory, disk, "after {after:?}");
            if let Some(first) = memory.first() {
                let rest = pair.disk.waiting(channel, destination, Some(first.position), 1).await.unwrap();
                assert_eq!(memory[1..].iter().take(1).collect::<Vec<_>>(), rest.iter().collect::<Vec<_>>());
            }
        }
    }
    assert_eq!(pair.memory.switches().await.unwrap(), pair.disk.switches().await.unwrap());
    assert_eq!(snapshot.audit.len(), pair.disk.audit(1000).await.unwrap().len(), "after {after:?}");
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
    assert_eq!(shown.body.as_deref(), Some(&message.message.body.bytes()[..]));
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
