//! Messages that another one stands for.

use super::{rows::Audited, state::State};
use crate::{Again, MessageId, MessageState};

impl State {
    /// The last of those that were run, each in the place of the one before; `None` where none was.
    pub(super) fn latest(&self, id: MessageId) -> Option<MessageId> {
        let successor = |id: &MessageId| self.messages.get(id)?.successor;
        std::iter::successors(successor(&id), successor).last()
    }

    /// What stands for a message that cannot be run again: itself while it is open, else what it was run as before.
    pub(super) fn stands_instead(&self, id: MessageId) -> Option<MessageId> {
        match self.messages.get(&id)?.state {
            MessageState::Kept => Some(id),
            MessageState::Superseded => Some(self.latest(id).unwrap_or(id)),
            _ => None,
        }
    }

    /// Closes a message that was run again; why it ended as it did stays with it.
    pub(super) fn run_again(&mut self, again: &Again, successor: MessageId) {
        if let Some(stored) = self.messages.get_mut(&again.message) {
            stored.state = MessageState::Superseded;
            stored.successor = Some(successor);
        }
        self.audit.push(Audited { by: again.by.clone(), what: format!("resend message {}", again.message) });
    }
}
