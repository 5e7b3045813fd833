//! `relais pause`: pause a channel.

use super::{Ending, Place, start::tell_channel};

/// Pause a channel: its source takes nothing, its queues go on. It stays paused over restarts.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    channel: String,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    tell_channel(place, &arguments.channel, "pause").await
}
