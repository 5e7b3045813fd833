//! The sending end of a connector.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Checks, Claim, Content, DeliveryId, Facts, Hash, Hindered, Hindrance, MessageId, NotWhole, OpenError,
    Opening, Texts, Why, WhyKind,
};

/// Sends one delivery at a time and tells how it went.
///
/// `send` has its own total deadline: it never waits for ever.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Notes what a second try must know of the first (a file's length); kept durably before `send`.
    async fn prepare(&self, _outbound: &Outbound) -> Option<Note> {
        None
    }

    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError>;

    /// What came since it was asked last for deliveries whose attempts had ended. Asked after each `send`; kept with
    /// those deliveries, and changes nothing of how they stand.
    fn overheard(&self) -> Vec<LateAnswer> {
        Vec::new()
    }
}

/// An answer that came after its attempt had ended: a second one, or one that nobody waited for. Without a body, what
/// a run of a program whose message was not sent had to say.
#[derive(Debug, Clone, PartialEq)]
pub struct LateAnswer {
    pub delivery: DeliveryId,
    pub response: Response,
}

/// The settings of a destination, as a channel writes them.
#[async_trait]
pub trait DestinationSettings: Send + Sync {
    /// Says what is wrong, without touching network or disk.
    fn check(&self, _checks: &mut Checks<'_>) {}

    /// What two channels cannot both have.
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }

    /// Whether sending again after doubt makes no second effect.
    fn doubt(&self) -> Doubt;

    /// Takes what it needs; starts nothing that sends.
    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError>;

    /// Tries whether the other side is there, without sending a message and leaving nothing behind.
    ///
    /// It ends by itself after a few seconds. A side that only waits to be asked is always there.
    async fn reach(&self, _opening: &Opening) -> Result<(), OpenError> {
        Ok(())
    }

    /// What is spoken with the other side, where that is chosen when they meet: for whoever asked whether it is there.
    async fn spoken(&self, _opening: &Opening) -> Option<String> {
        None
    }
}

/// What to do by default with a delivery that may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The effect is idempotent, or the peer can tell a repeat.
    Resend,
    /// Two of it would be two effects: a person decides.
    Hold,
}

/// What a destination remembers between `prepare` and a second try.
pub type Note = serde_json::Value;

/// One attempt at one delivery.
#[derive(Debug, Clone)]
pub struct Outbound {
    pub id: DeliveryId,
    pub message: MessageId,
    /// The same at each attempt, and at no other delivery.
    pub effect: Hash,
    pub body: Content,
    /// What the source knew of the message beside its body.
    pub source: Arc<Facts>,
    /// Settings made of the message, by their path in `to:`.
    pub texts: Texts,
    /// Counts from 1.
    pub attempt: u32,
    /// So many attempts in a row ended in doubt before this one.
    pub doubts: u32,
    pub note: Option<Note>,
    /// What the attempt before noted, if it ended in doubt.
    pub previous: Option<Note>,
    /// Where it belongs, as other programs have it (`traceparent` of W3C), where that is known.
    pub trace: Option<String>,
}

impl Outbound {
    /// The setting at `path`, as this message made it or as the file has it.
    pub fn text<'a>(&'a self, path: &str, written: &'a str) -> &'a str {
        self.texts.get(path).map_or(written, String::as_str)
    }
}

/// What came back from a send that worked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    pub body: Option<Bytes>,
    /// A status, headers, the path a file got: no content.
    pub facts: Facts,
}

/// Says what a failed send means for the next one. No content in the words.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// The endpoint cannot take anything now: sending again cannot make two of it.
    #[error("not delivered: {why}")]
    NotDelivered { why: String, by: Option<Hindrance>, not_before: Option<Duration> },
    /// Nobody can tell: sending again may make two of it.
    #[error("no telling whether it was delivered: {why}")]
    Unknown { why: String, by: Option<Hindrance> },
    /// It got there and this message was refused. `code` is the receiver's own (`AE`), for `nack:`.
    #[error("refused: {why}")]
    Refused { why: String, code: Option<String>, response: Option<Bytes> },
}

impl SendError {
    pub fn not_delivered(why: impl Into<Hindered>) -> Self {
        let Hindered { words, by } = why.into();
        Self::NotDelivered { why: words, by, not_before: None }
    }

    pub fn unknown(why: impl Into<Hindered>) -> Self {
        let Hindered { words, by } = why.into();
        Self::Unknown { why: words, by }
    }

    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), code: None, response: None }
    }

    pub fn kind(&self) -> WhyKind {
        match self {
            Self::NotDelivered { by, .. } => WhyKind::NotDelivered(*by),
            Self::Unknown { by, .. } => WhyKind::Doubted(*by),
            Self::Refused { code, .. } => WhyKind::Refused(code.clone()),
        }
    }

    /// The same as it is kept.
    pub fn kept(&self) -> Why {
        Why::new(self.kind(), self.to_string())
    }
}

/// What is too long for a destination that needs all of it is refused; what cannot be read now may be later.
impl From<NotWhole> for SendError {
    fn from(not_whole: NotWhole) -> Self {
        match not_whole {
            NotWhole::TooLong(_) => Self::refused(not_whole.to_string()),
            NotWhole::Unread(_) => Self::not_delivered(not_whole.to_string()),
        }
    }
}
