//! Forgets what `keep:` says is old enough, once an hour.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use engine::{Ages, History as _, StoreError};

use crate::fleet::{Fleet, Member};

const EVERY: Duration = Duration::from_hours(1);

/// Runs until the task is dropped. Begins after `first`, not at once: a start has other things to do.
pub(crate) async fn hourly(fleet: Arc<Fleet>, first: Duration) {
    let mut hours = tokio::time::interval_at(tokio::time::Instant::now() + first, EVERY);
    hours.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        hours.tick().await;
        match forget(&fleet).await {
            Ok(0) => {}
            Ok(messages) => {
                tracing::info!(messages, "forgot what `keep` says is old enough, or its content");
            }
            Err(error) => tracing::warn!(%error, "cannot forget old messages; will try again in an hour"),
        }
    }
}

/// First whole files, which costs nearly nothing, then message by message; says how many messages it touched.
async fn forget(fleet: &Fleet) -> Result<u64, StoreError> {
    let members = fleet.members();
    let expects = |(channel, member): (&String, &Member)| {
        let plan = member.running()?.plan();
        Some((channel.clone(), (plan.expect?.within, member.ages.errors)))
    };
    fleet.store.forget_expected(&members.iter().filter_map(expects).collect()).await?;
    let ages: BTreeMap<String, Ages> =
        members.into_iter().map(|(channel, member)| (channel, member.ages)).collect();
    fleet.store.forget_groups(&ages).await?;
    let mut forgotten = fleet.store.forget_spans(&ages).await?;
    for (channel, ages) in ages {
        forgotten += fleet.store.forget(&channel, ages).await?;
    }
    Ok(forgotten)
}
