//! `relais rerun`: waiting deliveries made again from what came in.

use serde_json::Value;

use super::{Ending, Exit, Place, say};
use crate::{client::Client, terminal::counted};

/// Make the waiting deliveries of a channel again from what came in, with its steps as they are now.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    channel: String,
    /// Those that wait; what was sent stays as it is
    #[arg(long, required = true)]
    waiting: bool,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let made: Value = Client::reach(place)?.post(&["channels", &arguments.channel, "rerun"], &()).await?;
    let number = made["made"].as_u64().unwrap_or(0);
    say(format_args!("{} of {} made again\n", counted(number, "message"), arguments.channel));
    let left = made["left"].as_array().map_or(&[][..], Vec::as_slice);
    if !left.is_empty() {
        say(format_args!("left as they were: {}\n", counted(left.len() as u64, "delivery")));
    }
    for one in left.iter().take(LINES) {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        say(format_args!("  message {} → {}: {}\n", one["message"], text("destination"), text("why")));
    }
    if left.len() > LINES {
        say(format_args!("  … and {} more\n", left.len() - LINES));
    }
    Ok(Exit::Done)
}

/// So many of those left are shown.
const LINES: usize = 20;
