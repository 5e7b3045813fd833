//! Reading what is kept, for people.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use crate::{AnswerState, DeliveryId, DeliveryState, Facts, MessageId, MessageState, StoreError, Tally};

/// Reads messages and deliveries; never on the way of a message.
#[async_trait]
pub trait History: Send + Sync {
    /// The messages that fit, newest first.
    async fn find(&self, query: &Query) -> Result<Vec<MessageRow>, StoreError>;

    /// One message with everything that is kept of it.
    async fn show(&self, id: MessageId) -> Result<Option<Shown>, StoreError>;

    /// The deliveries that fit, oldest first: what `resend --state` and `drop --state` mean.
    async fn deliveries(&self, query: &Query) -> Result<Vec<DeliveryRow>, StoreError>;

    /// Destinations that have deliveries waiting, with how many: also those no file names any more.
    async fn depths(&self) -> Result<Vec<(String, String, u64)>, StoreError>;

    /// What a person must look at, counted: deliveries given up, set aside or in doubt, and messages that failed since then.
    async fn unsettled(&self, since: SystemTime) -> Result<Vec<Unsettled>, StoreError>;

    /// The text of a channel's version.
    async fn version(&self, hash: &str) -> Result<Option<String>, StoreError>;

    /// Forgets what `keep:` says is old enough; never what waits, is held or is open. Returns how many messages it touched.
    async fn forget(&self, channel: &str, ages: Ages) -> Result<u64, StoreError>;

    /// Bytes on disk.
    fn size(&self) -> u64;
}

/// `keep: { content, errors, metadata }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    pub content: Duration,
    pub errors: Duration,
    pub metadata: Duration,
}

/// What is looked for; everything given must fit.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub channel: Option<String>,
    pub destination: Option<String>,
    /// A message's or a delivery's state.
    pub state: Option<String>,
    /// A control id, or the value of any search key; `*` at its end finds beginnings.
    pub text: Option<String>,
    pub since: Option<SystemTime>,
    /// Older than this id: the next page.
    pub before: Option<MessageId>,
    pub limit: usize,
}

/// So many deliveries of a destination, or messages of a channel, stand in this state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    pub channel: String,
    /// `None`: messages.
    pub destination: Option<String>,
    /// `given_up`, `set_aside`, `unsure` or `failed`.
    pub state: &'static str,
    pub number: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct MessageRow {
    pub id: MessageId,
    pub channel: String,
    /// RFC 3339, UTC.
    pub received: String,
    pub state: MessageState,
    pub outcome: Option<String>,
    pub answer: AnswerState,
    pub control_id: Option<String>,
    pub kind: Option<String>,
    pub flags: Vec<String>,
    pub why: Option<String>,
    pub size: u64,
    pub version: String,
    pub deliveries: Vec<DeliveryRow>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub message: MessageId,
    pub channel: String,
    pub destination: String,
    pub part: Option<u32>,
    pub state: DeliveryState,
    pub effect: String,
    #[serde(flatten)]
    pub tally: Tally,
}

/// Everything kept of one message. Bodies are there as long as `keep.content` lasts.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub row: MessageRow,
    pub source: Facts,
    /// What stands for this one, since a person ran it again or its sender sent it again.
    pub superseded_by: Option<MessageId>,
    /// What this one stands for.
    pub supersedes: Vec<MessageId>,
    pub keys: Vec<(String, String)>,
    pub inputs: Option<Value>,
    pub halt: Option<Value>,
    pub reply: Option<Value>,
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
    pub parts: Vec<ShownPart>,
    pub payloads: Vec<ShownPayload>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ShownPart {
    pub place: Option<u32>,
    pub control_id: Option<String>,
    pub halt: Option<Value>,
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ShownPayload {
    pub delivery: DeliveryId,
    pub texts: Value,
    pub inputs: Option<Value>,
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
    #[serde(skip)]
    pub response: Option<Vec<u8>>,
    pub response_facts: Option<Facts>,
    /// Answers that came after its attempts had ended.
    pub late: Vec<ShownLate>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ShownLate {
    /// RFC 3339, UTC.
    pub at: String,
    pub facts: Facts,
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
}
