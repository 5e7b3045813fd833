//! What the engine tells whoever counts.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{Content, DeliveryId, Facts, Halt, Hash, Message, MessageId, Outcome, PastAttempt, SendError};

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

    /// Whether steps and ways are measured: where nobody listens, no clock is looked at.
    fn measures(&self) -> bool {
        false
    }

    /// A step ended. Only where somebody measures.
    fn stepped(&self, _channel: &str, _message: &Message, _step: &Stepped<'_>) {}

    /// A message is queued, or has left its way. Only where somebody measures.
    fn went(&self, _channel: &str, _message: &Message, _outcome: Outcome) {}

    /// A delivery did not arrive, and somebody who keeps the endpoint may have to know: of those that find it taking nothing
    /// the first of each delivery.
    fn failed(&self, _failed: &Failed<'_>) {}

    /// One attempt at a delivery ended.
    fn tried(&self, _attempt: &Attempt<'_>) {}

    /// What the receiver of an attempt is told of its place in a trace (`traceparent`); by default what the sender said.
    fn parent(&self, message: &Message, _attempt: (&Hash, u32)) -> Option<String> {
        let said = message.facts.get("headers")?.get("traceparent")?;
        said.as_str().map(str::to_owned)
    }
}

/// A step that ended. Its contents are for whoever runs a message again to look at it, and for nobody else.
pub struct Stepped<'s> {
    pub name: &'s str,
    /// Whose own step it is; none: the channel's.
    pub destination: Option<&'s str>,
    pub began: SystemTime,
    pub took: Duration,
    /// Why it stopped the message, where it did.
    pub halt: Option<&'s Halt>,
    /// What the message was behind it, each part.
    pub contents: &'s [Content],
}

/// Hears of the steps of one run, as they end.
pub trait Watch: Send + Sync {
    fn step(&self, step: &Stepped<'_>);
}

/// An attempt that did not arrive.
pub struct Failed<'a> {
    pub channel: &'a str,
    pub destination: &'a str,
    pub message: MessageId,
    pub delivery: DeliveryId,
    /// Counts from 1.
    pub number: u32,
    /// Its words may be a receiver's or a script's, and hold a patient: they are for no log.
    pub error: &'a SendError,
}

/// One attempt at a delivery that ended.
pub struct Attempt<'a> {
    pub channel: &'a str,
    pub destination: &'a str,
    pub message: &'a Message,
    pub delivery: DeliveryId,
    pub effect: Hash,
    pub made: &'a PastAttempt,
}

/// How one attempt ended, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Tells the steps of one message to whoever measures.
pub(crate) struct Measured {
    channel: Arc<str>,
    observer: Arc<dyn Observer>,
    message: Message,
}

impl Measured {
    pub(crate) fn of(channel: &Arc<str>, observer: &Arc<dyn Observer>, message: &Message) -> Arc<Self> {
        let (channel, observer) = (Arc::clone(channel), Arc::clone(observer));
        Arc::new(Self { channel, observer, message: message.clone() })
    }
}

impl Watch for Measured {
    fn step(&self, step: &Stepped<'_>) {
        self.observer.stepped(&self.channel, &self.message, step);
    }
}
