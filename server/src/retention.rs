//! Forgets what `keep:` says is old enough, once a day.

use std::{sync::Arc, time::Duration};

use engine::History as _;

use crate::fleet::Fleet;

const EVERY: Duration = Duration::from_hours(24);

/// Runs until the task is dropped. Begins after `first`, not at once: a start has other things to do.
pub(crate) async fn daily(fleet: Arc<Fleet>, first: Duration) {
    let mut days = tokio::time::interval_at(tokio::time::Instant::now() + first, EVERY);
    loop {
        days.tick().await;
        for (channel, member) in fleet.members() {
            match fleet.store.forget(&channel, member.ages).await {
                Ok(0) => {}
                Ok(messages) => tracing::info!(channel, messages, "forgot what `keep` says is old enough"),
                Err(error) => {
                    tracing::warn!(channel, %error, "cannot forget old messages; will try again tomorrow");
                }
            }
        }
    }
}
