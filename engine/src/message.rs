//! What travels: a body, where it came from, and what it is called.

use std::{any::Any, fmt, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Content, Hash, NotWhole};

/// What a source knows beside the body: peer address, file name, headers.
pub type Facts = serde_json::Map<String, serde_json::Value>;

/// A message as a source read it, before anything is durable.
#[derive(Debug, Clone, Default)]
pub struct Inbound {
    pub body: Content,
    /// What the source knows. Shared: what one connection sends has most of it in common.
    pub facts: Arc<Facts>,
    /// Set where the source itself found that the bytes cannot be a message: kept as it came, answered *unreadable*.
    pub unreadable: Option<String>,
    /// What the source knows it by, for a format that does not say: its control id.
    pub name: Option<String>,
    /// Set by a sender that is one of our own channels: the same effect is never taken twice.
    pub effect: Option<Hash>,
    /// Set where a person runs a message again that has ended: it stands for that one from here on.
    pub again: Option<Again>,
}

/// Which message a person runs again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    pub message: MessageId,
    /// Who did it, for the audit log.
    pub by: String,
}

impl Inbound {
    pub fn new(body: impl Into<Content>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }
}

/// What a message says of itself, read before it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Who sent it (HL7: MSH-3 and MSH-4, as they stand). Without `control_id` nothing is a repeat.
    pub sender: String,
    /// What the sender calls it (HL7: MSH-10).
    pub control_id: Option<String>,
    /// Its type (HL7: MSH-9).
    pub kind: Option<String>,
    /// What people search by: name and value. They are patient data and go with the content.
    pub keys: Vec<(String, String)>,
    /// What was odd about it and did not stop it: an undeclared charset, a count that is wrong.
    pub flags: Vec<String>,
    /// The study that it is of, where it says whose.
    pub study: Option<Study>,
}

/// A study as a message of it names it. It is one patient's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    pub uid: String,
    pub patient: String,
}

/// Why bytes are not a message of this channel's format, and where. Goes to the sender: no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    pub why: String,
}

impl From<NotWhole> for Unreadable {
    fn from(not_whole: NotWhole) -> Self {
        Self { why: not_whole.to_string() }
    }
}

/// Orders the messages of one store by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub u64);

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A message that the store has kept.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: MessageId,
    pub body: Content,
    pub facts: Arc<Facts>,
    pub control_id: Option<String>,
    /// What makes it this message and no other, whenever it is run: see [`Message::effect`].
    pub identity: Hash,
    pub received: SystemTime,
}

impl Message {
    /// The identity of a copy that is processed although an earlier one stands: it has effects of its own.
    pub fn identity_of_repeat(identity: Hash, id: MessageId) -> Hash {
        Hash::of(&[&identity.0, &id.0.to_be_bytes()])
    }

    /// Names one effect on the outside, the same however often it is tried.
    pub fn effect(&self, channel: &str, repeat: u32, destination: &str, output: u32) -> Hash {
        Hash::of(&[
            channel.as_bytes(),
            &self.identity.0,
            &repeat.to_be_bytes(),
            destination.as_bytes(),
            &output.to_be_bytes(),
        ])
    }
}

/// What the failure of one part means for the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bond {
    /// It fails the whole message.
    #[default]
    Together,
    /// The others go on (`each: true`).
    Apart,
}

/// A message on its way through steps: the whole, or one part of a split.
#[derive(Clone)]
pub struct Piece {
    pub body: Content,
    /// Which part of a split, from 1; `None` for the whole message.
    pub place: Option<u32>,
    pub control_id: Option<String>,
    /// Set where this part alone left the way: a filter behind the split, or a failure with `each: true`.
    pub halt: Option<crate::Halt>,
    /// Whose failure it is when a later step fails on this piece.
    pub bond: Bond,
    /// The parsed form, so that the next step need not parse again. Only the script language looks into it.
    pub view: Option<Arc<dyn Any + Send + Sync>>,
}

impl Piece {
    /// The whole of a message, as it came.
    pub fn whole(message: &Message) -> Self {
        Self {
            body: message.body.clone(),
            place: None,
            control_id: message.control_id.clone(),
            halt: None,
            bond: Bond::Together,
            view: None,
        }
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Piece")
            .field("body", &self.body)
            .field("place", &self.place)
            .field("halt", &self.halt)
            .finish_non_exhaustive()
    }
}
