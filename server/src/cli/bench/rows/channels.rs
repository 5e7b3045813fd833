//! Many channels, each with a port of its own: start, memory, reload of one.

use std::time::{Duration, Instant};

use super::{
    super::{
        Bench, Scenario,
        load::Load,
        report::Row,
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
    let mut row = Row::of(Scenario::Channels, "enabled channels, each with its own port");
    row.count("channels", count);
    row.time("start", stand.child().started_in);
    row.time("processor_of_start", idle.processor);
    row.bytes("memory_idle", idle.memory);
    row.count("files", idle.files);
    row.time("reload_of_one", reload(&stand, &mut channels[count as usize / 2]).await?);
    for place in [0, count / 2, count - 1] {
        let listen = channels[place as usize].listen;
        Load { count: Some(10), ..Load::closed(listen, 1) }.start().await.finish().await?;
    }
    bench.tell(row);
    Ok(())
}

/// Edits a channel and brings the edit into force; returns how long that took.
async fn reload(stand: &Stand, channel: &mut Channel) -> Result<Duration, Complaint> {
    channel.rest = format!("description: edited\n{KEEPS}");
    channel.write(stand.root())?;
    let began = Instant::now();
    let query = [("channel", channel.name.clone())];
    let deployed: Deployed = stand.client()?.post_with(&["deploy"], &query, &()).await?;
    if !deployed.in_force || deployed.changes.is_empty() {
        return Err(Complaint::wrong("the edited channel did not come into force"));
    }
    Ok(began.elapsed())
}
