//! The attempts at deliveries one by one, as people see them.

use engine::{DeliveryId, PastAttempt, PastAttempts};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::why::Why;

/// One attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AttemptStatus {
    pub(crate) delivery: u64,
    pub(crate) destination: String,
    /// Counts from 1, and from 1 again where a person sent the delivery again.
    pub(crate) number: u32,
    /// When it began (RFC 3339, UTC); of one that a crash cut, when that was found.
    pub(crate) at: String,
    /// How long it took, in seconds.
    pub(crate) took: f64,
    /// `sent`, `retried`, `unsure` or `given_up`.
    pub(crate) outcome: String,
    pub(crate) why: Option<Why>,
    /// After how many seconds the next one was to come.
    pub(crate) next: Option<f64>,
    /// So many attempts at this delivery came just before this one, and are not kept one by one.
    pub(crate) left_out: u64,
}

/// Those of one message, the oldest first.
pub(crate) fn listed(made: &[(DeliveryId, String, PastAttempts)]) -> Vec<AttemptStatus> {
    let mut listed: Vec<(&PastAttempt, AttemptStatus)> = Vec::new();
    for (delivery, destination, PastAttempts { first, between, last }) in made {
        let status = |made, left_out| (made, AttemptStatus::new((*delivery, destination), made, left_out));
        listed.extend(first.iter().map(|made| status(made, 0)));
        listed.extend(
            last.iter().enumerate().map(|(at, made)| status(made, if at == 0 { *between } else { 0 })),
        );
    }
    listed.sort_by_key(|(made, _)| made.began);
    listed.into_iter().map(|(_, status)| status).collect()
}

impl AttemptStatus {
    fn new((delivery, destination): (DeliveryId, &str), made: &PastAttempt, left_out: u64) -> Self {
        Self {
            delivery: delivery.0,
            destination: destination.to_owned(),
            number: made.number,
            at: Timestamp::try_from(made.began).unwrap_or_default().to_string(),
            took: made.took.as_secs_f64(),
            outcome: made.outcome.name().to_owned(),
            why: made.why.clone().map(Why::from),
            next: made.next.map(|next| next.as_secs_f64()),
            left_out,
        }
    }
}
