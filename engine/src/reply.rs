//! What the sender is told, before a source puts it in its protocol's words.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The seven ways a message can fare, by whose doing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Durable here: the sender may forget it.
    Accepted,
    /// Not wanted here, which is nobody's fault.
    Filtered,
    /// No destination wanted it.
    Unrouted,
    /// Not the format: sending it again will not help.
    Unreadable,
    /// Wrong in itself, a step said.
    Refused,
    /// A step broke.
    Failed,
    /// We cannot take it now: the sender should send it again.
    Unavailable,
}

impl Outcome {
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Filtered,
        Self::Unrouted,
        Self::Unreadable,
        Self::Refused,
        Self::Failed,
        Self::Unavailable,
    ];

    /// Whether the sender may forget the message.
    pub fn is_positive(self) -> bool {
        matches!(self, Self::Accepted | Self::Filtered | Self::Unrouted)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Filtered => "filtered",
            Self::Unrouted => "unrouted",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The answer to a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub outcome: Outcome,
    /// A short text for the sender, without content of the message.
    pub why: Option<String>,
    /// Which field was wrong (`PID-3`), where a step named it.
    pub at: Option<String>,
    /// The code the receiver itself gave (`AR`), where it decides the answer's.
    pub code: Option<String>,
    /// The words to send, where a destination or a script chose them.
    pub body: Option<ReplyBody>,
}

/// Whose words an answer carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyBody {
    /// A destination's own answer (`reply: { from: NAME }`): goes back with this message's control id.
    From(Bytes),
    /// A script's value (`reply: { script: … }`): goes back as it is.
    Script(Bytes),
}

impl Reply {
    /// Why a second copy hears no words of the destination that it asks for: there are none yet.
    pub const AWAITED: &str = "the destination has not answered yet";

    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, why: None, at: None, code: None, body: None }
    }

    pub fn because(outcome: Outcome, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::of(outcome) }
    }
}

/// When a channel answers its sender, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyPolicy {
    pub when: ReplyWhen,
    /// Bounds every wait of a sender.
    pub within: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyWhen {
    /// As soon as the message is durable.
    Stored,
    /// When the steps have run and the deliveries are durable.
    Processed,
    /// When the deliveries have been tried.
    Delivered,
    /// With what this destination answered.
    From(String),
    /// As `Delivered`, with the script's value.
    Script,
    /// Not at all.
    Never,
}

/// How a source words its answers (`reply: { mode, codes, filtered }`).
#[derive(Debug, Clone, Default)]
pub struct ReplyWords {
    pub mode: ReplyMode,
    /// Codes that differ from the protocol's usual ones, by outcome.
    pub codes: Vec<(Outcome, String)>,
    pub filtered: WhenFiltered,
    pub promise: Promise,
    /// `reply: never`.
    pub silent: Silence,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReplyMode {
    #[default]
    Auto,
    Enhanced,
    Original,
}

/// How far a message is when its sender hears that it is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Promise {
    /// Its steps have run.
    #[default]
    Processed,
    /// It is kept, and that is all (`reply: stored`, `reply: never`).
    Stored,
}

/// What a sender hears of a message that was filtered or wanted by nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenFiltered {
    #[default]
    Accept,
    /// As Mirth does: filtered is AR, no destination is AE.
    Refuse,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Silence {
    #[default]
    Answers,
    Never,
}
