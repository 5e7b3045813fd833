//! The attempts at deliveries: known here from when they are put until they are in the files.

use std::sync::Arc;

use engine::PastAttempts;

use super::{Ledger, Was};
use crate::{
    failure::Failure,
    load,
    rows::{DeliveryRow, Image},
};

impl Ledger {
    pub(crate) fn attempts(&mut self, of: &DeliveryRow) -> Result<Arc<PastAttempts>, Failure> {
        if let Some(attempts) = self.deliveries.get(&of.id).and_then(|known| known.attempts.as_ref()) {
            return Ok(Arc::clone(attempts));
        }
        if self.messages.get(&of.message).is_some_and(|known| known.is_new) {
            return Ok(Arc::default());
        }
        let Some(span) = self.spans.of(of.message) else { return Ok(Arc::default()) };
        let found =
            self.read(&span, |reader| Ok(load::attempts(&reader.connection, &mut reader.unpacker, of.id)?))?;
        Ok(Arc::new(found))
    }

    /// Of a delivery that is put in the same write.
    pub(crate) fn put_attempts(&mut self, id: u64, attempts: PastAttempts) -> Result<(), Failure> {
        self.weight += attempts.weight();
        let attempts = Arc::new(attempts);
        self.journal.push(&Image::Attempts(id, Arc::clone(&attempts)))?;
        let Some(known) = self.deliveries.get_mut(&id) else { return Ok(()) };
        self.undo.push(Was::Delivery(id, Some(known.clone())));
        known.attempts = Some(attempts);
        self.unfiled.1.insert(id);
        Ok(())
    }
}
