//! Names that belong to the bytes that had them first, and studies that belong to their patient.

use crate::{Arrival, Closed, MessageId, MessageState, Outcome, Why};

/// What to do with other bytes under a name that is known (same sender, same control id, within the window), and with
/// another patient in a study that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtherBytes {
    /// They are a message like any other, and flagged.
    #[default]
    Flag,
    /// Kept and refused, where what came before was not refused and did not fail. A person may run them again.
    Refuse,
}

/// How an arrival contradicts what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clash {
    /// This message has its name, and other bytes.
    Bytes(MessageId),
    /// What is kept of its study is another patient's.
    Patient,
}

impl Arrival {
    /// Whether it is turned away, where it contradicts what stands, or does not. A person who runs it again has seen that.
    pub fn turns_away(&self, has_clash: bool) -> bool {
        let may = self.repeats.others == OtherBytes::Refuse && self.closed.is_none() && self.again.is_none();
        may && has_clash
    }
}

impl Clash {
    /// How the message is flagged.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Bytes(_) => "same-id-other-bytes",
            Self::Patient => "same-study-other-patient",
        }
    }

    /// What its sender hears.
    pub fn told(self) -> &'static str {
        match self {
            Self::Bytes(_) => "an object of this name was taken before, with other bytes",
            Self::Patient => "others of this study were taken before, of another patient",
        }
    }

    /// How a message is closed that is turned away for this.
    pub fn closed(self) -> Closed {
        let why = match self {
            Self::Bytes(first) => format!("message {first} has the same name, and other bytes"),
            Self::Patient => "what is known of its study is another patient's".to_owned(),
        };
        Closed::new(MessageState::Refused, Outcome::Refused, Why::ours(why))
    }
}
