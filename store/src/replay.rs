//! What the journal holds and the files do not, put together from its records.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    journal::Found,
    ledger::{FiledMessage, Filing},
    rows::{ContentRow, DeliveryRow, Image, MessageRow, PartRow, PayloadRow},
};

/// A message as far as the records say it.
#[derive(Default)]
struct Message {
    row: Option<Arc<MessageRow>>,
    content: Option<Arc<ContentRow>>,
    parts: Option<Arc<Vec<PartRow>>>,
}

#[derive(Default)]
struct Delivery {
    row: Option<Arc<DeliveryRow>>,
    payload: Option<Arc<PayloadRow>>,
}

/// Everything as it stands after the last record: of each row, the newest image counts.
pub(crate) fn replayed(found: &[Found]) -> Result<Filing, postcard::Error> {
    let mut messages: BTreeMap<u64, Message> = BTreeMap::new();
    let mut deliveries: BTreeMap<u64, Delivery> = BTreeMap::new();
    let mut filing = Filing::default();
    for record in found {
        let mut rest = &record.rows[..];
        while !rest.is_empty() {
            let (image, behind) = postcard::take_from_bytes(rest)?;
            rest = behind;
            match image {
                Image::Message(row) => {
                    let message = messages.entry(row.id).or_default();
                    message.row = Some(row);
                }
                Image::Content(id, content) => messages.entry(id).or_default().content = Some(content),
                Image::Parts(id, parts) => messages.entry(id).or_default().parts = Some(parts),
                Image::Delivery(row) => {
                    let delivery = deliveries.entry(row.id).or_default();
                    delivery.row = Some(row);
                }
                Image::Payload(id, payload) => deliveries.entry(id).or_default().payload = Some(payload),
                Image::Entry(entry) => filing.entries.push(entry),
            }
        }
        filing.through = record.number;
    }
    let message = |Message { row, content, parts }| Some(FiledMessage { row: row?, content, parts });
    filing.messages = messages.into_values().filter_map(message).collect();
    let delivery = |Delivery { row, payload }| Some((row?, payload));
    filing.deliveries = deliveries.into_values().filter_map(delivery).collect();
    Ok(filing)
}
