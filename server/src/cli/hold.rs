//! `relais hold`: hold a destination: its messages wait until it is released.

use super::{Ending, Exit, OutletName, Place, say};
use crate::{api::DestinationStatus, client::Client, terminal::counted};

/// Hold a destination: its messages wait until it is released.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "CHANNEL/DESTINATION")]
    destination: OutletName,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    tell_destination(place, &arguments.destination, "hold").await
}

/// Tells a destination of the running server what to do, and says how it stands then.
pub(super) async fn tell_destination(place: &Place, name: &OutletName, what: &str) -> Ending {
    let path = ["channels", &name.channel, "destinations", &name.destination, what];
    let status: DestinationStatus = Client::reach(place)?.post(&path, &()).await?;
    let waiting = counted(status.depth, "delivery");
    say(format_args!("{name} is {}, {waiting} waiting\n", status.state));
    Ok(Exit::Done)
}
