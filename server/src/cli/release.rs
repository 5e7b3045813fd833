//! `relais release`: release a destination that was held.

use super::{Ending, OutletName, Place, hold::tell_destination};

/// Release a destination that was held.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "CHANNEL/DESTINATION")]
    destination: OutletName,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    tell_destination(place, &arguments.destination, "release").await
}
