//! Many channels, each with a port of its own: start, memory, reload of one.

use std::time::{Duration, Instant};

use super::{
    super::{
        Bench, Scenario,
        load::Load,
        report::{Figure, Row},
        stand::{Channel, Stand},
    },
    KEEPS,
};
use crate::{api::Deployed, cli::Complaint};

/// How long the server rests before its memory is looked at.
const REST: Duration = Duration::from_millis(500);

pub(in super::super) async fn measure(bench: &Bench) -> Result<(), Complaint> {
    let count = bench.counts().channels;
    let mut channels = (0..count)
        .map(|number| Channel::named(format!("channel-{number}"), KEEPS))
        .collect::<Result<Vec<_>, _>>()?;
    let stand = Stand::begin(bench, &channels).await?;
    tokio::time::sleep(REST).await;
    let idle = stand.child().usage();
    let edited = &mut channels[count as usize / 2];
    edited.rest = format!("description: edited\n{KEEPS}");
    edited.write(stand.root())?;
    let began = Instant::now();
    let query = [("channel", edited.name.clone())];
    let deployed: Deployed = stand.client()?.post_with(&["deploy"], &query, &()).await?;
    let reload = began.elapsed();
    if !deployed.in_force || deployed.changes.is_empty() {
        return Err(Complaint::wrong("the edited channel did not come into force"));
    }
    for channel in [&channels[0], &channels[count as usize / 2], &channels[count as usize - 1]] {
        Load { count: Some(10), ..Load::closed(channel.listen, 1) }.start().await.finish().await?;
    }
    let row = Row::of(Scenario::Channels, "enabled channels, each with its own port");
    let row =
        row.with("channels", Figure::Count(count)).with("start", Figure::Time(stand.child().started_in));
    let row = row.with("processor_of_start", Figure::Time(idle.processor));
    let row = row.with("memory_idle", Figure::Bytes(idle.memory)).with("files", Figure::Count(idle.files));
    bench.tell(row.with("reload_of_one", Figure::Time(reload)));
    Ok(())
}
