//! A delivery as far as it is known in memory.

use std::sync::Arc;

use super::Ledger;
use crate::rows::{Body, ContentRow, DeliveryRow, MessageRow, PartRow, PayloadRow};

/// What is known of one.
pub(crate) struct Peek {
    pub(crate) delivery: Option<Arc<DeliveryRow>>,
    pub(crate) payload: Option<Arc<PayloadRow>>,
    pub(crate) message: Option<Arc<MessageRow>>,
    pub(crate) content: Option<Arc<ContentRow>>,
    pub(crate) parts: Option<Arc<Vec<PartRow>>>,
    /// No file has anything of its message.
    pub(crate) is_new: bool,
}

impl Peek {
    /// Whether no bytes of it lie in a file apart.
    pub(crate) fn is_at_hand(&self) -> bool {
        let parts = self.parts.iter().flat_map(|parts| parts.iter());
        let bodies = self
            .content
            .iter()
            .map(|content| &content.body)
            .chain(parts.filter_map(|part| part.body.as_ref()));
        bodies
            .chain(self.payload.iter().filter_map(|payload| payload.body.as_ref()))
            .all(|body| matches!(body, Body::Here(_)))
    }
}

impl Ledger {
    /// What is known here of a delivery: what is not has to be read from its span.
    pub(crate) fn peek(&self, id: u64) -> Peek {
        let delivery = self.deliveries.get(&id);
        let message = delivery.and_then(|known| self.messages.get(&known.row.message));
        Peek {
            delivery: delivery.map(|known| Arc::clone(&known.row)),
            payload: delivery.and_then(|known| known.payload.clone()),
            message: message.map(|known| Arc::clone(&known.row)),
            content: message.and_then(|known| known.content.clone()),
            parts: message.and_then(|known| known.parts.clone()),
            is_new: message.is_some_and(|known| known.is_new),
        }
    }
}
