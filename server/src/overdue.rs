//! Tells when an answer that a channel expects is overdue.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use engine::History as _;

use crate::{events::Events, fleet::Fleet};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// So long a write may take into the files where it is looked.
const FILED: Duration = Duration::from_secs(2);

/// As many are told of one look; the others are in the list.
const MOST: usize = 1000;

/// Runs until the task is dropped. What became overdue while no server ran is in the list, and no event.
pub(crate) async fn watch(fleet: Arc<Fleet>, events: Arc<Events>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut after = SystemTime::now();
    loop {
        ticks.tick().await;
        let until = SystemTime::now().checked_sub(FILED).unwrap_or(SystemTime::UNIX_EPOCH);
        if !fleet.expects() {
            after = after.max(until);
        }
        if until <= after {
            continue;
        }
        match fleet.store.overdue(None, (after, until), MOST).await {
            Ok(overdue) => {
                for one in overdue {
                    tracing::warn!(channel = %one.channel, message_id = one.message.0, "an answer is overdue; `relais overdue` lists those that are");
                    events.overdue(&one.channel, one.message);
                }
                after = until;
            }
            Err(error) => tracing::debug!(%error, "cannot look for what is overdue; will try again"),
        }
    }
}
