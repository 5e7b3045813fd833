//! What is durable, decided here and nowhere else.
//!
//! The store is the queue; memory only caches it. Every method that writes is one transaction,
//! durable when it returns, and can be written in SQL on a database that several nodes share:
//! rows belong to no node.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Again, Content, Expected, Gathered, Gatherings, Halt, Hash, Held, Joins, LateAnswer, Member, Message,
    MessageId, Note, Outcome, Piece, Reading, Reply, Response, Ripe, Settlement, Standstill, Texts, Why,
};

/// Keeps messages and their deliveries across a crash.
#[async_trait]
pub trait Store: Send + Sync {
    /// Reserves the next place in the order of arrival. Ids grow, across restarts too; gaps are allowed.
    fn next_message(&self) -> MessageId;

    /// Reserves the id of a delivery.
    fn next_delivery(&self) -> DeliveryId;

    /// Ends intake. From here on the messages are ours: all of them in one write, or none.
    ///
    /// Looks for earlier copies as [`Arrival::repeats`] asks. An arrival that is a repeat of one that stands
    /// is not kept, and reported as [`Kept::Again`]. One that a person runs again closes the message it was, in the
    /// same write, and is linked with it; a message is run again once, and what came of that stands for a second time.
    async fn keep(&self, arrivals: Vec<Arrival>) -> Result<Vec<Kept>, StoreError>;

    /// Ends processing: the parts, a delivery for each outlet that gets one, and what it asks and answers, in one write.
    /// A message that is no longer `kept`, nor `held`, is left as it stands, and the call fails.
    ///
    /// Returns the deliveries whose very effect an earlier copy of this message has or will have (it is processed
    /// anew because its sender heard that it failed): they are kept as `sent`, or as `dropped` where that one still
    /// waits, and not to be sent again.
    async fn queue(&self, processed: Processed) -> Result<Vec<(DeliveryId, DeliveryState)>, StoreError>;

    /// Whether each message is to be kept before its steps run. So it is after an end that was not in order, until it is
    /// clear that no message's steps end the process: one that is kept is known when they do.
    fn keeps_first(&self) -> bool {
        true
    }

    /// Ends intake and processing in one write, for a message whose steps ran before it was kept. One that turns out to
    /// be a repeat with effects of its own is only kept: [`Taken::done`] says so.
    async fn take(&self, arrival: Arrival, done: Done) -> Result<Taken, StoreError>;

    /// Ends a message that left its way early, or holds it.
    async fn close(&self, id: MessageId, closed: Closed) -> Result<(), StoreError>;

    /// Opens one attempt. Whatever happens next, the delivery may have arrived. `doubts` is how many
    /// attempts in a row ended in doubt before it: kept, so that a crash in the middle of this one counts too.
    async fn begin(&self, id: DeliveryId, note: Option<Note>, doubts: u32) -> Result<(), StoreError>;

    /// Ends one attempt. What is sent takes back, in the same write, what was set aside because it had been given up:
    /// returns those, with their outlets. Asked again of what was sent before, it names them once more.
    async fn settle(
        &self,
        id: DeliveryId,
        settlement: Settlement,
    ) -> Result<Vec<(String, Waiting)>, StoreError>;

    /// Ends one attempt as [`Self::settle`] does, and opens the next one of the same lane with the same write: a crash
    /// finds at most one of them in doubt. Says whether that one was opened: it may have left its queue.
    async fn settle_and_begin(
        &self,
        ended: (DeliveryId, Settlement),
        next: Begin,
    ) -> Result<(Vec<(String, Waiting)>, bool), StoreError>;

    /// Adds an answer that came after its attempt had ended. How the delivery stands does not change. Of those of one
    /// delivery the first ten are kept.
    async fn answered_late(&self, answer: LateAnswer) -> Result<(), StoreError>;

    /// Gives a delivery that waited for another one its payload.
    async fn fill(&self, id: DeliveryId, filling: Filling) -> Result<(), StoreError>;

    /// Writes down what became of the answer, with the next write that comes by: nobody waits for it,
    /// and a crash may forget it.
    fn told(&self, id: MessageId, told: Told);

    /// Messages of a channel that were kept and neither queued nor closed, oldest first.
    /// Counts, durably, that they were found open at one more start.
    async fn interrupted(&self, channel: &str) -> Result<Vec<Interrupted>, StoreError>;

    /// Messages of a channel that are held, oldest first, after `after`.
    async fn held(
        &self,
        channel: &str,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Standstill>, StoreError>;

    /// One message as it was kept, to run its steps again.
    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError>;

    /// The groups of a channel that are ripe, the oldest first, and when the next of the others is.
    async fn gatherings(&self, channel: &str, ripe: Ripe, limit: usize) -> Result<Gatherings, StoreError>;

    /// The members of a group in the order in which they were queued, after this place.
    async fn members(
        &self,
        channel: &str,
        mark: Hash,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError>;

    /// Closes a message that is held as filtered, since a person does not want it; `false` where it is not held. In the
    /// audit log too.
    async fn abandon(&self, id: MessageId, by: &str) -> Result<bool, StoreError>;

    /// Notes, at once and without a sync, that a message goes into its steps alone. One that is inside when the
    /// process ends gets one more mark at the next start; `queue` and `close` clear them. A power cut may forget it.
    fn enters(&self, id: MessageId);

    /// It has come out again: what ends the process from here on is not its doing.
    fn leaves(&self, id: MessageId);

    /// The deliveries of an outlet that are `waiting` or `begun`, in the order of arrival, after `after`.
    async fn waiting(
        &self,
        channel: &str,
        destination: &str,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError>;

    /// The same of those that have this key, or have none where it is empty.
    async fn waiting_of_key(
        &self,
        (channel, destination): (&str, &str),
        key: &str,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        let mut after = after;
        let mut found = Vec::new();
        while found.len() < limit {
            let page = self.waiting(channel, destination, after, self.read_ahead().page.max(1)).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.position);
            found.extend(page.into_iter().filter(|waiting| waiting.has_key(key)));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// How many deliveries wait for an outlet, and where the last of them stands.
    async fn extent(&self, channel: &str, destination: &str) -> Result<Extent, StoreError> {
        let mut extent = Extent::default();
        loop {
            let page = self.waiting(channel, destination, extent.last, self.read_ahead().page.max(1)).await?;
            let Some(last) = page.last() else { return Ok(extent) };
            extent = Extent { deliveries: extent.deliveries + page.len() as u64, last: Some(last.position) };
        }
    }

    /// How much of a queue is worth having in memory, where it can be read so.
    fn read_ahead(&self) -> ReadAhead {
        ReadAhead::default()
    }

    /// One delivery with its payload.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// The delivery of the same message (and part) to another destination, the latest if it was repeated.
    async fn sibling(&self, of: DeliveryId, destination: &str) -> Result<Option<Sibling>, StoreError>;

    /// The delivery of a whole message, or of its first part, to a destination: the latest if it was repeated.
    async fn came_back(&self, of: MessageId, destination: &str) -> Result<Option<Sibling>, StoreError>;

    /// How a message stands: what a second copy of it hears.
    async fn standing(&self, id: MessageId) -> Result<Option<Standing>, StoreError>;

    /// What a person does to a delivery; each is written to the audit log in the same write.
    async fn intervene(&self, intervention: Intervention) -> Result<Option<Waiting>, StoreError>;

    /// Closes what a channel asked under a key, since a person says that it needs no answer. In the audit log too.
    async fn excuse(&self, channel: &str, key: &str, by: &str) -> Result<(), StoreError>;

    /// Keeps a version of a channel (its file and its scripts) once, by its content hash.
    async fn remember(&self, channel: &str, version: Hash, text: &str) -> Result<(), StoreError>;

    /// Sets a durable switch (`hold lab-results/record`), or takes it away; in the audit log too.
    async fn switch(&self, name: &str, value: Option<&str>, by: &str) -> Result<(), StoreError>;

    /// Every switch that is set.
    async fn switches(&self) -> Result<Vec<(String, String)>, StoreError>;

    /// The folder where long bodies are written as they come, empty at each start. `None` where all is in memory.
    fn spool(&self) -> Result<Option<PathBuf>, StoreError> {
        Ok(None)
    }

    /// Why the store cannot write at this moment, if it cannot.
    fn trouble(&self) -> Option<String>;
}

/// A message about to be kept.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub channel: Arc<str>,
    pub message: Message,
    pub reading: Reading,
    pub study: Option<crate::Study>,
    /// The version of the channel that received it.
    pub version: Hash,
    pub repeats: Repeats,
    /// An open copy of the same message whose sender was told *unavailable*: closed in the same write.
    pub supersedes: Option<MessageId>,
    /// An ended message that a person runs again: it becomes superseded by what stands for it, in the same write.
    pub again: Option<Again>,
    /// Set where it is kept and closed in one write: unreadable.
    pub closed: Option<Closed>,
    pub answer: Owed,
    /// Set where the sender is one of our own channels: a second arrival of it is always [`Kept::Again`].
    pub effect: Option<Hash>,
    /// The batch it came in, and its place there from 1.
    pub batch: Option<(Hash, u32)>,
    /// Set where it is a run of a group: which members it has, said in the same write.
    pub gathers: Option<Gathered>,
}

/// Whether somebody waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    Owed,
    NotOwed,
}

/// What to do with a second copy: same sender, same control id, within the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeats {
    pub policy: RepeatPolicy,
    pub window: Duration,
    pub others: crate::OtherBytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatPolicy {
    /// Kept with its own identity, and flagged.
    Accept,
    /// Not kept where an earlier copy with the same bytes is open or was accepted.
    AnswerAgain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Kept, with the flags that the look at earlier ones gave; one flagged `repeat`, under [`Message::identity_of_repeat`].
    New(Vec<String>),
    /// Not kept: this one stands for it. Reported by `AnswerAgain`, for an arrival that carries an effect identity
    /// already kept, for a message that was run again before, and, whatever the policy, where the first copy's sender
    /// was told *unavailable* and the first is open or has ended since.
    Again(MessageId),
    /// Kept, and closed in the same write as [`crate::Clash::closed`] says.
    Other(crate::Clash),
}

/// What the steps of a message that is not kept yet came to.
#[derive(Debug, Clone)]
pub enum Done {
    Queue(Processed),
    Close(Closed),
}

/// What became of a message whose steps ran before it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub kept: Kept,
    /// What [`Store::queue`] returns; `None` where it was not queued or closed.
    pub done: Option<Vec<(DeliveryId, DeliveryState)>>,
}

/// An attempt to be opened.
#[derive(Debug, Clone)]
pub struct Begin {
    pub id: DeliveryId,
    pub note: Option<Note>,
    pub doubts: u32,
}

/// How a message stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub state: MessageState,
    pub outcome: Option<Outcome>,
    /// What was told, where a destination or a script chose the words.
    pub reply: Option<StoredReply>,
}

/// A reply in the form the store keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredReply {
    pub outcome: Outcome,
    pub why: Option<String>,
    pub at: Option<String>,
    pub code: Option<String>,
    /// From a destination's answer, as bytes.
    pub from: Option<Vec<u8>>,
    /// From a script, as bytes.
    pub script: Option<Vec<u8>>,
}

/// The answer's axis: what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub state: AnswerState,
    pub reply: Reply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerState {
    Owed,
    Told,
    /// The sender went away before it could be told.
    Untold,
    NotOwed,
    /// The sender was told that we cannot take it now.
    Unavailable,
}

/// The message's axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    Kept,
    Queued,
    Filtered,
    Unrouted,
    Refused,
    Failed,
    Held,
    Superseded,
}

/// The delivery's axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Waiting,
    Begun,
    Sent,
    Unsure,
    SetAside,
    GivenUp,
    Dropped,
}

/// How and why a message left its way early.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    pub state: MessageState,
    pub outcome: Outcome,
    pub why: Why,
    /// The step and script line, where a step said no.
    pub halt: Option<Halt>,
    /// What the steps had asked ([`crate::Context::recorded`]).
    pub inputs: Option<Value>,
    /// The run of its steps that stopped it, where one did.
    pub ran: Option<Ran>,
}

/// One run of a message's steps, those of its destinations too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    pub ended: SystemTime,
    pub took: Duration,
}

impl Closed {
    /// Of one that no step stopped.
    pub fn new(state: MessageState, outcome: Outcome, why: Why) -> Self {
        Self { state, outcome, why, halt: None, inputs: None, ran: None }
    }

    /// What it waits for, where it is held.
    pub fn held(&self) -> Option<&Held> {
        match &self.halt {
            Some(Halt::Held(held)) => Some(held),
            _ => None,
        }
    }
}

/// What the steps made of a message.
#[derive(Debug, Clone)]
pub struct Processed {
    pub channel: Arc<str>,
    pub message: MessageId,
    /// The version of the channel whose steps these were.
    pub version: Hash,
    pub state: MessageState,
    pub outcome: Outcome,
    pub inputs: Option<Value>,
    /// One without a place, or the parts of a split.
    pub parts: Vec<Part>,
    /// The questions that it asks, and those that it answers.
    pub expected: Vec<Expected>,
    /// What it brings into its group, where it is a member of one.
    pub joins: Option<Joins>,
    pub ran: Option<Ran>,
}

/// One piece as the channel's steps left it.
#[derive(Debug, Clone)]
pub struct Part {
    pub place: Option<u32>,
    pub control_id: Option<String>,
    /// `None`: the message's own bytes.
    pub body: Option<Content>,
    /// Set where this part alone left the way.
    pub halt: Option<Halt>,
    pub deliveries: Vec<NewDelivery>,
}

#[derive(Debug, Clone)]
pub struct NewDelivery {
    pub id: DeliveryId,
    pub destination: String,
    pub effect: Hash,
    pub keys: Vec<String>,
    /// The destination it waits for; it has no payload until then.
    pub after: Option<String>,
    /// `None`: the part's body.
    pub body: Option<Content>,
    pub texts: Texts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub u64);

/// Where a delivery stands in its outlet's order: by arrival, then by part, then by delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub message: MessageId,
    pub part: u32,
    pub delivery: DeliveryId,
}

/// What an outlet needs to know of a delivery to order it.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub position: Position,
    pub keys: Vec<String>,
    pub after: Option<String>,
    pub state: DeliveryState,
    pub tally: Tally,
    pub received: SystemTime,
}

impl Waiting {
    /// Whether it goes in the order of this key; those without keys go in that of the empty one.
    pub fn has_key(&self, key: &str) -> bool {
        self.keys.iter().any(|own| own == key) || (key.is_empty() && self.keys.is_empty())
    }
}

/// How much waits for an outlet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    pub deliveries: u64,
    pub last: Option<Position>,
}

/// How much of a queue an outlet has in memory; the rest stays in the store until its turn comes near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAhead {
    pub deliveries: usize,
    /// Of one key, so that one that is stuck leaves room for the others.
    pub of_a_key: usize,
    /// So many are read at once.
    pub page: usize,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self { deliveries: 20_000, of_a_key: 32, page: 5_000 }
    }
}

/// How often a delivery was tried, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Every attempt.
    pub attempts: u32,
    /// Those that count against `retry.attempts`: not the ones that found the endpoint taking nothing.
    pub counted: u32,
    /// Attempts in a row that ended in doubt.
    pub doubts: u32,
    /// Time between attempts that counts against `retry.for`, in milliseconds.
    pub spent_ms: u64,
    /// Not to be tried before.
    pub not_before: Option<SystemTime>,
    /// Why it waits.
    pub why: Option<Why>,
    /// Its lane waits for a person.
    pub stopped: bool,
}

/// A delivery with all that a send needs.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: DeliveryId,
    pub message: Message,
    pub piece: Piece,
    pub destination: String,
    pub effect: Hash,
    pub after: Option<String>,
    /// `None` while it waits for its payload.
    pub body: Option<Content>,
    pub texts: Texts,
    pub note: Option<Note>,
    pub tally: Tally,
}

/// The payload of a delivery that waited for another one; `None` where its own steps said no.
#[derive(Debug, Clone)]
pub struct Filling {
    pub body: Option<Content>,
    pub texts: Texts,
    pub inputs: Option<Value>,
}

#[derive(Debug, Clone)]
pub struct Sibling {
    pub state: DeliveryState,
    pub response: Option<Response>,
}

/// A message that a crash or a failing store left between two writes.
#[derive(Debug, Clone)]
pub struct Interrupted {
    pub message: Message,
    pub reading: Reading,
    /// At how many starts it was found open, this one counted.
    pub starts: u32,
    /// At how many starts it was found in its steps.
    pub marks: u32,
    pub answer: AnswerState,
}

/// What a person does to one delivery.
#[derive(Debug, Clone)]
pub struct Intervention {
    pub delivery: DeliveryId,
    pub what: Act,
    /// Who did it, for the audit log.
    pub by: String,
}

#[derive(Debug, Clone)]
pub enum Act {
    /// Back into the queue at its place, with a fresh tally; one that was sent becomes a new delivery with its own effect.
    Resend {
        to: Option<String>,
        body: Option<Content>,
    },
    Drop,
    /// Out of the lane, for a person.
    Park,
}

/// How many late answers are kept of one delivery: a peer that repeats itself fills no disk.
pub const LATE_ANSWERS: usize = 10;

/// Why a message that was held is not carried any further.
pub fn abandoned(by: &str) -> Why {
    Why::ours(format!("dropped by {by} while it waited for a code"))
}

/// Why a delivery was never sent itself, though its message came: a delivery of an earlier copy has its effect.
pub fn left_to(first: DeliveryId, of: MessageId) -> Why {
    Why::ours(format!("its effect is that of delivery {} of message {of}, an earlier copy", first.0))
}

/// Says that the store could not do it. Nothing of the call took effect, as far as anybody can tell.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);
