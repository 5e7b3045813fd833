//! `relais release`: release a destination that was held.

use super::{Ending, OutletName, Place, hold::tell_destinations};

/// Release destinations that were held.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "CHANNEL/DESTINATION", required = true)]
    destinations: Vec<OutletName>,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    tell_destinations(place, &arguments.destinations, "release").await
}
