//! What is kept, row by row, as it stands in memory and in the journal.

use std::sync::Arc;

use bytes::Bytes;
use engine::{
    AnswerState, Content, DeliveryState, Hash, Message, MessageState, Outcome, PastAttempts, Tally, Why,
};
use serde::{Deserialize, Serialize};

use crate::{codes, repeats};

/// A message without its bytes: what changes, and what people look for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MessageRow {
    pub(crate) id: u64,
    pub(crate) channel: Arc<str>,
    pub(crate) received: i64,
    pub(crate) state: MessageState,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) answer: AnswerState,
    /// The outcome the sender heard.
    pub(crate) told: Option<Outcome>,
    /// The version that received it, then the one whose steps ran.
    pub(crate) version: [u8; 32],
    /// As it arrived: a repeat has that of the first.
    pub(crate) identity: [u8; 32],
    pub(crate) size: u64,
    /// Bits of `repeats.rs`.
    pub(crate) copied: u8,
    /// Half a hash of the body, where it has a control id.
    pub(crate) bytes: Option<[u8; 16]>,
    /// Of channel, sender and control id.
    pub(crate) copy: Option<i64>,
    /// Of the identity, where one of our channels sent it.
    pub(crate) effect: Option<i64>,
    pub(crate) control_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) sender: String,
    /// The columns from here on are JSON, or words.
    pub(crate) flags: Option<String>,
    pub(crate) batch: Option<([u8; 32], u32)>,
    pub(crate) starts: u32,
    pub(crate) marks: u32,
    pub(crate) why: Option<Why>,
    pub(crate) halt: Option<String>,
    pub(crate) inputs: Option<String>,
    pub(crate) reply: Option<String>,
    /// Stands for this one.
    pub(crate) successor: Option<u64>,
    /// Those this one stands for.
    pub(crate) predecessors: Vec<u64>,
    /// In the journal it has an image of its own, behind that of the first row.
    #[serde(skip)]
    pub(crate) study: Option<StudyRow>,
    /// Likewise.
    #[serde(skip)]
    pub(crate) times: TimesRow,
}

/// When what became of a message, in microseconds since it was received: a clock may have been set back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimesRow {
    /// Its steps had ended, and how long they took.
    pub(crate) ran: Option<(i64, i64)>,
    /// What became of its answer was known.
    pub(crate) answered: Option<i64>,
}

impl TimesRow {
    pub(crate) fn with_run(self, of: i64, ran: Option<engine::Ran>) -> Self {
        let micros = |ran: engine::Ran| i64::try_from(ran.took.as_micros()).unwrap_or(i64::MAX);
        let ran = ran.map(|ran| (since(of, codes::nanoseconds(ran.ended)), micros(ran)));
        Self { ran: ran.or(self.ran), ..self }
    }

    pub(crate) fn with_answer(self, of: i64, at: i64) -> Self {
        Self { answered: Some(since(of, at)), ..self }
    }

    /// As people read them.
    pub(crate) fn shown(self, received: i64) -> engine::ShownTimes {
        let at = |micros: i64| codes::written(received.saturating_add(micros.saturating_mul(1_000)));
        engine::ShownTimes {
            steps_ended: self.ran.map(|(ended, _)| at(ended)),
            steps_took: self.ran.map(|(_, took)| took as f64 / 1e6),
            answered: self.answered.map(at),
        }
    }
}

fn since(received: i64, at: i64) -> i64 {
    at.saturating_sub(received) / 1_000
}

/// The study that a message is of, and whose: a number for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StudyRow {
    /// Of channel, sender and UID.
    pub(crate) uid: i64,
    pub(crate) patient: i64,
}

/// What a message carries. It never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContentRow {
    pub(crate) body: Body,
    pub(crate) facts: Option<String>,
    pub(crate) keys: Option<String>,
}

/// Where bytes lie.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Body {
    Here(Bytes),
    /// In a file of its own, by its name in the folder of large bodies.
    Apart(String),
    /// New bytes, and stretches of files of the same message.
    Pieced(Vec<StretchRow>),
}

/// One stretch of a body that is pieced together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum StretchRow {
    Here(Bytes),
    Apart { name: String, from: u64, to: u64 },
}

/// One piece as the channel's steps left it, where it is not the whole message as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartRow {
    /// 0: the whole.
    pub(crate) part: u32,
    pub(crate) control_id: Option<String>,
    pub(crate) halt: Option<String>,
    pub(crate) body: Option<Body>,
}

/// One delivery without its bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeliveryRow {
    pub(crate) id: u64,
    pub(crate) message: u64,
    pub(crate) part: u32,
    pub(crate) channel: Arc<str>,
    pub(crate) destination: Arc<str>,
    pub(crate) state: DeliveryState,
    /// Whether it stands in its outlet's queue.
    pub(crate) is_queued: bool,
    pub(crate) effect: [u8; 32],
    pub(crate) after: Option<String>,
    /// It has no payload yet.
    pub(crate) is_pending: bool,
    pub(crate) is_parked: bool,
    pub(crate) tally: Tally,
    /// Why it ended, where that is not why it waited last.
    pub(crate) ending: Option<Why>,
    pub(crate) keys: Option<String>,
    pub(crate) note: Option<String>,
    /// When it ended, in nanoseconds.
    pub(crate) ended: Option<i64>,
}

/// What leaves, where it is not the part's body and nothing else, and what came back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PayloadRow {
    pub(crate) body: Option<Body>,
    pub(crate) texts: Option<String>,
    pub(crate) inputs: Option<String>,
    pub(crate) response: Option<ResponseRow>,
    /// Answers that came after the attempts had ended, each with its time.
    pub(crate) late: Vec<(i64, ResponseRow)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ResponseRow {
    pub(crate) body: Option<Bytes>,
    pub(crate) facts: Option<String>,
}

/// What people did and set, and what channels were: kept apart from messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Entry {
    Audit {
        at: i64,
        by: String,
        what: String,
        subject: String,
    },
    Switch {
        name: String,
        value: Option<String>,
    },
    Version {
        hash: [u8; 32],
        channel: String,
        text: String,
    },
    /// A message of this channel asks under a key, and waits so long (in nanoseconds).
    Asked {
        channel: Arc<str>,
        key: String,
        message: u64,
        at: i64,
        within: i64,
    },
    /// What this channel asks under a key is answered.
    Answered {
        channel: Arc<str>,
        key: String,
        at: i64,
    },
    /// A message of this channel joins a group.
    Joined {
        channel: Arc<str>,
        mark: [u8; 32],
        key: String,
        message: u64,
        name: Option<String>,
        received: i64,
        expected: Option<u64>,
        /// Messages that it stands for.
        instead: Vec<u64>,
        brings: String,
    },
    /// A message of this channel is a run of a group, and has its members up to this place.
    Gathered {
        channel: Arc<str>,
        mark: [u8; 32],
        message: u64,
        through: u64,
        received: i64,
    },
}

/// A row as it stands after a write; the newest one counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Image {
    Message(Arc<MessageRow>),
    Content(u64, Arc<ContentRow>),
    Parts(u64, Arc<Vec<PartRow>>),
    Delivery(Arc<DeliveryRow>),
    Payload(u64, Arc<PayloadRow>),
    Entry(Arc<Entry>),
    Attempts(u64, Arc<PastAttempts>),
    /// The study of a message. It never changes.
    Study(u64, StudyRow),
    Times(u64, TimesRow),
}

impl MessageRow {
    /// The numbers that it is looked up by.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = i64> {
        self.copy.into_iter().chain(self.effect).chain(self.study.map(|study| study.uid))
    }

    /// The identity that its effects are named by.
    pub(crate) fn own_identity(&self) -> Hash {
        let arrived = Hash(self.identity);
        if self.copied & repeats::REPEAT == 0 {
            return arrived;
        }
        Message::identity_of_repeat(arrived, engine::MessageId(self.id))
    }

    /// The message with what it carries.
    pub(crate) fn whole(&self, content: Option<(Content, Option<String>)>) -> rusqlite::Result<Message> {
        let (body, facts) = content.unwrap_or_default();
        Ok(Message {
            id: engine::MessageId(self.id),
            received: codes::time(self.received),
            identity: self.own_identity(),
            control_id: self.control_id.clone(),
            body,
            facts: Arc::new(codes::parsed_or_default(facts)?),
        })
    }
}

impl DeliveryRow {
    pub(crate) fn waiting(&self, received: i64) -> rusqlite::Result<engine::Waiting> {
        Ok(engine::Waiting {
            position: engine::Position {
                message: engine::MessageId(self.message),
                part: self.part,
                delivery: engine::DeliveryId(self.id),
            },
            keys: codes::parsed_or_default(self.keys.clone())?,
            after: self.after.clone(),
            state: self.state,
            tally: self.tally.clone(),
            received: codes::time(received),
        })
    }
}

impl PayloadRow {
    /// How many bytes it carries.
    pub(crate) fn len(&self) -> usize {
        let words = [&self.texts, &self.inputs].into_iter().flatten().map(String::len);
        let responses = self.response.iter().chain(self.late.iter().map(|(_, response)| response));
        let bodies = responses.filter_map(|response| response.body.as_ref()).map(Bytes::len);
        self.body.as_ref().map_or(0, Body::len) + words.chain(bodies).sum::<usize>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_none()
            && self.texts.is_none()
            && self.inputs.is_none()
            && self.response.is_none()
            && self.late.is_empty()
    }
}

impl StretchRow {
    fn file(&self) -> Option<&str> {
        match self {
            Self::Here(_) => None,
            Self::Apart { name, .. } => Some(name),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Here(bytes) => bytes.len(),
            Self::Apart { name, .. } => name.len(),
        }
    }
}

impl Body {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Here(bytes) => bytes.len(),
            Self::Apart(name) => name.len(),
            Self::Pieced(rows) => rows.iter().map(StretchRow::len).sum(),
        }
    }

    /// The names of the files in which it lies.
    pub(crate) fn files(&self) -> Vec<&str> {
        match self {
            Self::Here(_) => Vec::new(),
            Self::Apart(name) => vec![name],
            Self::Pieced(rows) => rows.iter().filter_map(StretchRow::file).collect(),
        }
    }
}
