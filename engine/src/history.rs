//! Reading what is kept, for people.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use crate::{
    AnswerState, Content, DeliveryId, DeliveryState, Facts, MessageId, MessageState, PastAttempts,
    StoreError, Tally, Why,
};

/// Reads messages and deliveries; never on the way of a message.
#[async_trait]
pub trait History: Send + Sync {
    /// The messages that fit, newest first.
    async fn find(&self, query: &Query) -> Result<Vec<MessageRow>, StoreError>;

    /// One message with everything that is kept of it.
    async fn show(&self, id: MessageId) -> Result<Option<Shown>, StoreError>;

    /// The attempts at the deliveries of a message, as far as each is kept, with their destinations; in the order in which
    /// the deliveries were made.
    async fn attempts(&self, of: MessageId) -> Result<Vec<(DeliveryId, String, PastAttempts)>, StoreError>;

    /// The deliveries that fit, oldest first: what `resend --state` and `drop --state` mean.
    async fn deliveries(&self, query: &Query) -> Result<Vec<DeliveryRow>, StoreError>;

    /// Destinations that have deliveries waiting, with how many: also those no file names any more.
    async fn depths(&self) -> Result<Vec<(String, String, u64)>, StoreError>;

    /// What a person must look at, counted: deliveries given up, set aside or in doubt, messages that are held, and those
    /// that failed since then.
    async fn unsettled(&self, since: SystemTime) -> Result<Vec<Unsettled>, StoreError>;

    /// The rows that tables lack, each with the messages that wait for it; those that most wait for first.
    async fn unmapped(&self) -> Result<Vec<Unmapped>, StoreError>;

    /// The questions of a channel, or of all, that became due within these times and have no answer, oldest first.
    async fn overdue(
        &self,
        channel: Option<&str>,
        between: (SystemTime, SystemTime),
        limit: usize,
    ) -> Result<Vec<Overdue>, StoreError>;

    /// The question of a channel that has no answer under one of these keys, overdue or not.
    async fn unanswered(&self, channel: &str, keys: [&str; 2]) -> Result<Option<Overdue>, StoreError>;

    /// How many questions of each channel are overdue.
    async fn count_overdue(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// What became of a channel's messages, or of the files they came in, counted by the days between these bounds.
    async fn tallied(&self, channel: &str, unit: Unit, bounds: &[SystemTime]) -> Result<Tallied, StoreError>;

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
    /// `given_up`, `set_aside`, `unsure`, `held` or `failed`.
    pub state: &'static str,
    pub number: u64,
}

/// A question that has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overdue {
    /// That asked.
    pub channel: String,
    pub key: String,
    /// That asked first.
    pub message: MessageId,
    /// When it was received, and by when the answer was expected: RFC 3339, UTC.
    pub asked: String,
    pub due: String,
}

/// A row that a table lacks, and who waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmapped {
    pub table: String,
    /// Columns, and what they are to hold.
    pub asked: Vec<(String, String)>,
    /// Whose row was looked for, where the table has rows per sender.
    pub sender: Option<String>,
    /// Which server holds the table, where one does.
    pub server: Option<String>,
    /// The columns that were wanted.
    pub wanted: Vec<String>,
    pub channels: Vec<String>,
    /// How many messages wait for it.
    pub messages: u64,
    /// The oldest of them, and more up to ten.
    pub examples: Vec<MessageId>,
    /// When the oldest was received: RFC 3339, UTC.
    pub oldest: String,
}

/// What is counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Message,
    /// The messages of one file together: it stands as the worst of them.
    File,
}

/// What became of a channel's messages, or files.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tallied {
    /// One for each day, in order.
    pub days: Vec<TalliedDay>,
    /// Why messages were refused, failed or were given up, with how many; the most frequent first. No content.
    pub reasons: Vec<(Reason, u64)>,
}

/// What became of the messages, or files, that came on one day. Each is counted once, as it stands now.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TalliedDay {
    /// All that came, but for those that another message stands for.
    pub received: u64,
    /// As many messages were in them.
    pub messages: u64,
    pub bytes: u64,
    /// Every delivery was sent, or none was wanted.
    pub processed: u64,
    /// Filtered, or no destination wanted it.
    pub unwanted: u64,
    /// Unreadable, or refused by a step.
    pub refused: u64,
    /// A step broke.
    pub failed: u64,
    /// A destination refused it, or its limits were reached.
    pub given_up: u64,
    /// It may have arrived: a person decides.
    pub in_doubt: u64,
    /// On its way, or in a queue.
    pub waiting: u64,
    /// A person decided that it is never sent.
    pub dropped: u64,
    /// Of those that were sent: from when they came to when the last of their deliveries was sent.
    pub times: Times,
}

/// Lengths of time, kept to one part in sixty-four, however many they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Times(BTreeMap<u64, u64>);

/// Why a message did not get through, without a word of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// What was wrong with its bytes, with `…` for every number.
    Unreadable { why: String },
    /// The place that a step named when it refused the message.
    RefusedAt { place: String },
    /// A step refused it and named no place.
    Refused,
    /// The step that broke.
    Failed { step: String },
    /// The destination that it was given up for.
    GivenUp { destination: String },
}

impl Times {
    /// Counts one.
    pub fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // The highest seven bits stay.
        let low = micros.checked_ilog2().unwrap_or(0).saturating_sub(6);
        *self.0.entry(micros >> low << low).or_default() += 1;
    }

    /// Counts those of another one too.
    pub fn merge(&mut self, other: &Self) {
        for (time, number) in &other.0 {
            *self.0.entry(*time).or_default() += number;
        }
    }

    /// The time that this share of them did not exceed (0.5: the median); none of nothing.
    pub fn at(&self, share: f64) -> Option<Duration> {
        let number: u64 = self.0.values().sum();
        let rank = ((number as f64 * share).ceil() as u64).clamp(1, number.max(1));
        let mut seen = 0;
        let reached = |(_, number): &(&u64, &u64)| {
            seen += **number;
            seen >= rank
        };
        self.0.iter().find(reached).map(|(micros, _)| Duration::from_micros(*micros))
    }
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
    pub why: Option<Why>,
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
    /// When it ended: RFC 3339, UTC. Nothing of one that waits.
    pub ended: Option<String>,
    #[serde(flatten)]
    pub tally: Tally,
}

/// Everything kept of one message. Bodies are there as long as `keep.content` lasts.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub row: MessageRow,
    pub times: ShownTimes,
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
    pub body: Option<Content>,
    pub parts: Vec<ShownPart>,
    pub payloads: Vec<ShownPayload>,
}

/// When what became of a message: RFC 3339, UTC. Nothing of what has not, nor of what was kept before times were.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ShownTimes {
    /// Its steps had ended, those of its destinations too: the last time that they ran.
    pub steps_ended: Option<String>,
    /// They took so long, in seconds.
    pub steps_took: Option<f64>,
    /// Its sender was answered, or could not be.
    pub answered: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ShownPart {
    pub place: Option<u32>,
    pub control_id: Option<String>,
    pub halt: Option<Value>,
    #[serde(skip)]
    pub body: Option<Content>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ShownPayload {
    pub delivery: DeliveryId,
    pub texts: Value,
    pub inputs: Option<Value>,
    #[serde(skip)]
    pub body: Option<Content>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_many_times_is_known_to_one_part_in_sixty_four() {
        let mut times = Times::default();
        assert_eq!(times.at(0.5), None);
        (1..=10_000).for_each(|millisecond| times.add(Duration::from_millis(millisecond)));
        let is_near = |share: f64, millis: f64| {
            let found = times.at(share).unwrap().as_secs_f64() * 1000.0;
            assert!(found <= millis && found > millis * 63.0 / 64.0 - 1.0, "{found} for {millis}");
        };
        is_near(0.5, 5000.0);
        is_near(0.95, 9500.0);
        is_near(1.0, 10_000.0);
        assert!(times.0.len() < 64 * 15);
    }
}
