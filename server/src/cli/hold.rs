//! `relais hold`: hold a destination: its messages wait until it is released.

use super::{Ending, Exit, OutletName, Place, say};
use crate::{
    api::{DestinationStatus, Head},
    client::Client,
    terminal::counted,
    why::Why,
};

/// Hold destinations: their messages wait until they are released.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "CHANNEL/DESTINATION", required = true)]
    destinations: Vec<OutletName>,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    tell_destinations(place, &arguments.destinations, "hold").await
}

/// The same to each of them, until one refuses.
pub(super) async fn tell_destinations(place: &Place, names: &[OutletName], what: &str) -> Ending {
    for name in names {
        tell_destination(place, name, what).await?;
    }
    Ok(Exit::Done)
}

/// Tells a destination of the running server what to do, and says how it stands then.
pub(super) async fn tell_destination(place: &Place, name: &OutletName, what: &str) -> Ending {
    let path = ["channels", &name.channel, "destinations", &name.destination, what];
    let status: DestinationStatus = Client::reach(place)?.post(&path, &()).await?;
    let waiting = counted(status.depth, "delivery");
    say(format_args!("{name} is {}, {waiting} waiting\n", status.state));
    if let (Some(head), "stopped") = (&status.head, status.state.as_str()) {
        say(stopped(name, head));
    }
    Ok(Exit::Done)
}

/// Nobody held it: one delivery waits for a person's decision, and the others behind it.
fn stopped(name: &OutletName, head: &Head) -> String {
    let why = head.why.as_ref().map_or("its lane is stopped", Why::words);
    let message = head.message;
    format!(
        "  message {message} stops it: {why}\n  `relais resend {message} --to {}` tries it again, `relais park {name}` goes on without it\n",
        name.destination
    )
}
