//! The attempts at deliveries one by one, as far as they are remembered: those since the start, of deliveries that did not
//! arrive at once.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use engine::{Attempt, DeliveryOutcome, MessageId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::why::Why;

/// As many as are remembered, of all channels: the oldest are forgotten.
const MOST: usize = 20_000;

/// One attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct AttemptStatus {
    pub(crate) delivery: u64,
    pub(crate) destination: String,
    /// Counts from 1.
    pub(crate) number: u32,
    /// When it began (RFC 3339, UTC).
    pub(crate) at: String,
    /// How long it took, in seconds.
    pub(crate) took: f64,
    /// `sent`, `retried`, `unsure` or `given_up`.
    pub(crate) outcome: &'static str,
    pub(crate) why: Option<Why>,
    /// After how many seconds the next one was to come.
    pub(crate) next: Option<f64>,
}

#[derive(Default)]
pub(crate) struct Attempts(Mutex<VecDeque<(MessageId, AttemptStatus)>>);

impl Attempts {
    /// One that arrived at once has no history: its delivery says all there is.
    pub(crate) fn hear(&self, attempt: &Attempt<'_>) {
        if attempt.number == 1 && attempt.outcome == DeliveryOutcome::Sent {
            return;
        }
        let status = AttemptStatus {
            delivery: attempt.delivery.0,
            destination: attempt.destination.to_owned(),
            number: attempt.number,
            at: Timestamp::try_from(attempt.began).unwrap_or_default().to_string(),
            took: attempt.took.as_secs_f64(),
            outcome: attempt.outcome.name(),
            why: attempt.why.map(Why::of),
            next: attempt.next.map(|next| next.as_secs_f64()),
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == MOST {
            kept.pop_front();
        }
        kept.push_back((attempt.message.id, status));
    }

    /// Those of one message, the oldest first.
    pub(crate) fn of(&self, message: MessageId) -> Vec<AttemptStatus> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|(id, _)| *id == message).map(|(_, status)| status.clone()).collect()
    }
}
