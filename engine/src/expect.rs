//! Answers that channels wait for: an order by a result of the same number, within some hours (`expect:`).
//!
//! A question and its answer are messages of two channels, or of one. Each is written down under its key with the write
//! that queues it, whichever comes first; the store puts the two together, and knows what is overdue.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use crate::{Context, Halt, MessageId, Piece, Plan, RoutedPiece, Script};

/// What a channel expects of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    pub within: Duration,
    /// The channels whose messages may answer, in the order of the file.
    pub answered_by: Vec<Arc<str>>,
}

/// What one message has to do with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It asks under this key, and is to be answered within this time of its receipt.
    Asked { key: String, within: Duration },
    /// It answers what this channel asked, or will ask, under this key.
    Answered { of: Arc<str>, key: String },
}

/// What a channel asked under a key, and when it was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Awaited {
    /// The message that asked, when it came and by when the answer was due; `None` where the answer came first.
    pub asked: Option<(MessageId, SystemTime, SystemTime)>,
    pub answered: Option<SystemTime>,
}

impl Awaited {
    /// An open question stands as it was asked first. One that was answered already is answered, unless that is long ago.
    pub fn ask(&mut self, message: MessageId, at: SystemTime, within: Duration) {
        if self.asked.is_some() && self.answered.is_none() {
            return;
        }
        self.asked = Some((message, at, at + within));
        let oldest = at.checked_sub(within);
        self.answered = self.answered.filter(|answered| oldest.is_none_or(|oldest| *answered >= oldest));
    }

    /// Whether it was asked, and had no answer when it was due.
    pub fn is_overdue(&self, now: SystemTime) -> bool {
        self.answered.is_none() && self.asked.is_some_and(|(_, _, due)| due <= now)
    }
}

/// Which channel's messages answer those of which: shared by all channels of a project. Cheap to clone.
#[derive(Clone, Default)]
pub struct Expectations(Arc<RwLock<BTreeMap<Arc<str>, Vec<Asker>>>>);

/// A channel that expects answers of another one.
#[derive(Clone)]
struct Asker {
    channel: Arc<str>,
    /// The place of the answering channel in the asking one's file.
    place: usize,
    /// Of the channel that asks: it knows what an answer is known by.
    script: Arc<dyn Script>,
}

impl Expectations {
    /// Puts in force what a channel expects, in place of what it expected before. Said of all channels before the first
    /// of them starts, no answer is missed; one that is stopped goes on expecting.
    pub fn declare(&self, plan: &Plan) {
        self.put(&plan.name, plan.expect.as_ref(), &plan.script);
    }

    /// The same, where a channel is not to be started: for its tests.
    pub fn put(&self, channel: &Arc<str>, expect: Option<&Expect>, script: &Arc<dyn Script>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        without(&mut all, channel);
        for (place, answers) in expect.iter().flat_map(|expect| expect.answered_by.iter().enumerate()) {
            let asker = Asker { channel: Arc::clone(channel), place, script: Arc::clone(script) };
            all.entry(Arc::clone(answers)).or_default().push(asker);
        }
    }

    /// A channel that left the files expects nothing.
    pub fn withdraw(&self, channel: &str) {
        without(&mut self.0.write().unwrap_or_else(PoisonError::into_inner), channel);
    }

    /// Whether anybody waits for answers of this channel.
    pub(crate) fn concern(&self, answering: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(answering)
    }

    /// What a message that a channel accepted asks and answers. Code that says what it asks fails the message as any other
    /// step does; what it may answer is another channel's affair, and never holds it up.
    pub fn expected(
        &self,
        (channel, script): (&Arc<str>, &dyn Script),
        expect: Option<&Expect>,
        parts: &[RoutedPiece],
        context: &Context,
    ) -> Result<Vec<Expected>, Halt> {
        let askers = self.of(channel);
        let mut expected = Vec::new();
        for piece in parts.iter().map(|part| &part.piece).filter(|piece| piece.halt.is_none()) {
            if let Some(Expect { within, .. }) = expect {
                let keys = known(script.asks(piece, context)?);
                expected.extend(keys.map(|key| Expected::Asked { key, within: *within }));
            }
            expected.extend(askers.iter().flat_map(|asker| asker.answered(channel, piece, context)));
        }
        Ok(expected)
    }

    /// Who waits for answers of this channel.
    fn of(&self, answering: &str) -> Vec<Asker> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(answering).cloned().unwrap_or_default()
    }
}

impl Asker {
    fn answered(&self, by: &str, piece: &Piece, context: &Context) -> Vec<Expected> {
        let Ok(keys) = self.script.answers(piece, self.place, context) else {
            tracing::warn!(channel = %by, asking = %self.channel, message_id = context.message.0, "`expect` of the asking channel cannot say what this message answers: it counts as no answer");
            return Vec::new();
        };
        known(keys).map(|key| Expected::Answered { of: Arc::clone(&self.channel), key }).collect()
    }
}

/// An empty key asks and answers nothing.
fn known(keys: Vec<String>) -> impl Iterator<Item = String> {
    keys.into_iter().filter(|key| !key.is_empty())
}

fn without(all: &mut BTreeMap<Arc<str>, Vec<Asker>>, channel: &str) {
    all.retain(|_, askers| {
        askers.retain(|asker| *asker.channel != *channel);
        !askers.is_empty()
    });
}
