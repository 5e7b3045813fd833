//! What the engine tells whoever counts.

use std::time::Duration;

use crate::{Facts, MessageId, Outcome};

/// Hears of everything that is counted. Must return at once: it is called on the way of each message.
pub trait Observer: Send + Sync {
    fn received(&self, _channel: &str) {}

    /// A message is durable; `facts` are those of its source.
    fn kept(&self, _channel: &str, _message: MessageId, _facts: &Facts) {}

    /// So many bytes of a sender belonged to no message.
    fn skipped(&self, _channel: &str, _bytes: u64) {}

    /// A message left its way, or its steps ended.
    fn ended(&self, _channel: &str, _message: Option<MessageId>, _outcome: Outcome) {}

    /// A message waits for a code: it has not ended.
    fn held(&self, _channel: &str, _message: MessageId) {}

    /// The sender's wait ended.
    fn replied(&self, _channel: &str, _waited: Duration) {}

    fn attempted(&self, _channel: &str, _destination: &str, _message: MessageId, _came: DeliveryOutcome) {}

    /// A delivery was sent; `since` its message was received.
    fn arrived(&self, _channel: &str, _since: Duration) {}

    /// Something became of a file that a source takes; `message` where it is one by now.
    fn story(&self, _channel: &str, _file: &str, _words: &str, _message: Option<MessageId>) {}

    /// A channel or a destination changed its state.
    fn changed(&self, _channel: &str) {}
}

/// How one attempt ended, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    Sent,
    Retried,
    Unsure,
    GivenUp,
}

impl DeliveryOutcome {
    pub const ALL: [Self; 4] = [Self::Sent, Self::Retried, Self::Unsure, Self::GivenUp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::Unsure => "unsure",
            Self::GivenUp => "given_up",
        }
    }
}

/// Nobody counts.
pub struct Unobserved;

impl Observer for Unobserved {}
