//! Messages that are being forgotten: nothing is put of them meanwhile, and nothing of them stays in memory.

use std::collections::HashSet;

use super::Ledger;
use crate::failure::Failure;

/// Messages that must not change for a while.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    These(HashSet<u64>),
    /// From the first to the last.
    All(u64, u64),
}

impl Ledger {
    /// Holds messages, and forgets them here. Returns those that it was done to: not what is to be filed still.
    pub(crate) fn hold(&mut self, wanted: &Held) -> Held {
        self.release();
        self.held = match wanted {
            Held::These(ids) => Held::These(ids.iter().filter(|id| !self.moves(**id)).copied().collect()),
            Held::All(..) if self.known(wanted).iter().any(|id| self.moves(*id)) => Held::none(),
            Held::All(..) => wanted.clone(),
        };
        self.forget_held();
        self.held.clone()
    }

    /// They may change again, as far as they are still there.
    pub(crate) fn release(&mut self) {
        self.forget_held();
        self.held = Held::none();
    }

    pub(super) fn refuse_held(&self, message: u64) -> Result<(), Failure> {
        if self.held.has(message) {
            return Err(Failure::Refused(format!("message {message} is being forgotten")));
        }
        Ok(())
    }

    /// Whether something of it is not in the files, or on its way there.
    fn moves(&self, message: u64) -> bool {
        let deliveries = self.of_message.get(&message);
        let is_known = self.messages.contains_key(&message) || deliveries.is_some();
        self.unfiled.0.contains(&message)
            || deliveries.is_some_and(|ids| ids.iter().any(|id| self.unfiled.1.contains(id)))
            || (self.is_filing && is_known)
    }

    fn known(&self, held: &Held) -> Vec<u64> {
        match held {
            Held::These(ids) => ids.iter().copied().collect(),
            Held::All(..) => {
                let known = self.messages.keys().chain(self.of_message.keys());
                known.filter(|id| held.has(**id)).copied().collect()
            }
        }
    }

    fn forget_held(&mut self) {
        for id in self.known(&self.held) {
            self.forget_message(id);
            for delivery in self.of_message.get(&id).cloned().unwrap_or_default() {
                self.forget_delivery(delivery);
            }
        }
    }
}

impl Held {
    pub(crate) fn none() -> Self {
        Self::These(HashSet::new())
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::These(ids) if ids.is_empty())
    }

    pub(crate) fn has(&self, id: u64) -> bool {
        match self {
            Self::These(ids) => ids.contains(&id),
            Self::All(first, last) => (*first..=*last).contains(&id),
        }
    }
}
