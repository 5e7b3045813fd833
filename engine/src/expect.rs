//! Answers that channels wait for: an order by a result of the same number, within some hours (`expect:`).
//!
//! A question and its answer are messages of two channels, or of one. Each is written down under its key with the write
//! that queues it, whichever comes first; the store puts the two together, and knows what is overdue.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use crate::{Plan, Script};

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

/// Which channel's messages answer those of which: shared by all channels of a project. Cheap to clone.
#[derive(Clone, Default)]
pub struct Expectations(Arc<RwLock<BTreeMap<Arc<str>, Vec<Asker>>>>);

/// A channel that expects answers of another one.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) channel: Arc<str>,
    /// The place of the answering channel in the asking one's file.
    pub(crate) place: usize,
    /// Of the channel that asks: it knows what an answer is known by.
    pub(crate) script: Arc<dyn Script>,
}

impl Expectations {
    /// Puts in force what a channel expects, in place of what it expected before. Said of all channels before the first
    /// of them starts, no answer is missed; one that is stopped goes on expecting.
    pub fn declare(&self, plan: &Plan) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        without(&mut all, &plan.name);
        for (place, answers) in plan.expect.iter().flat_map(|expect| expect.answered_by.iter().enumerate()) {
            let asker = Asker { channel: Arc::clone(&plan.name), place, script: Arc::clone(&plan.script) };
            all.entry(Arc::clone(answers)).or_default().push(asker);
        }
    }

    /// A channel that left the files expects nothing.
    pub fn withdraw(&self, channel: &str) {
        without(&mut self.0.write().unwrap_or_else(PoisonError::into_inner), channel);
    }

    /// Who waits for answers of this channel.
    pub(crate) fn of(&self, answering: &str) -> Vec<Asker> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(answering).cloned().unwrap_or_default()
    }
}

fn without(all: &mut BTreeMap<Arc<str>, Vec<Asker>>, channel: &str) {
    all.retain(|_, askers| {
        askers.retain(|asker| *asker.channel != *channel);
        !askers.is_empty()
    });
}
