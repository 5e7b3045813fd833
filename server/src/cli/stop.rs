//! `relais stop`: stop a channel; it stays stopped over restarts.

use super::{Ending, Place, start::tell_channel};

/// Stop a channel; it stays stopped over restarts.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    channel: String,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    tell_channel(place, &arguments.channel, "stop").await
}
