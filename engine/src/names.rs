//! Names that belong to the bytes that had them first.

use crate::{Arrival, Closed, MessageId, MessageState, Outcome};

/// What to do with other bytes under a name that is known: same sender, same control id, within the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtherBytes {
    /// They are a message like any other, and flagged.
    #[default]
    Flag,
    /// Kept and refused, where what came last under that name was not refused and did not fail. A person may run them again.
    Refuse,
}

impl Arrival {
    /// Whether it is turned away, where what came last under its name and stands has other bytes, or has not.
    /// A person who runs it again has seen that.
    pub fn turns_away(&self, has_other_bytes: bool) -> bool {
        let may = self.repeats.others == OtherBytes::Refuse && self.closed.is_none() && self.again.is_none();
        may && has_other_bytes
    }
}

/// How a message is closed whose name another one has, with other bytes.
pub fn known_otherwise(first: MessageId) -> Closed {
    Closed {
        state: MessageState::Refused,
        outcome: Outcome::Refused,
        why: format!("message {first} has the same name, and other bytes"),
        halt: None,
        inputs: None,
    }
}
