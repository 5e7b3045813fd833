//! `relais start`: start a channel that was stopped or paused.

use super::{Ending, Exit, Place, say};
use crate::{
    api::ChannelStatus,
    client::Client,
    terminal::{tinted, tone_of},
};

/// Start a channel that was stopped or paused.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    channel: String,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    tell_channel(place, &arguments.channel, "start").await
}

/// Tells a channel of the running server what to do, and says how it stands then.
pub(super) async fn tell_channel(place: &Place, channel: &str, what: &str) -> Ending {
    let status: ChannelStatus = Client::reach(place)?.post(&["channels", channel, what], &()).await?;
    say(format_args!("{} is {}\n", status.name, tinted(&status.state, tone_of(&status.state))));
    Ok(Exit::Done)
}
