//! `relais park`: park the head of a destination's queue: set it aside for a person, those behind go on.

use super::{Ending, OutletName, Place, hold::tell_destination};

/// Park the head of a destination's queue: set it aside for a person, those behind go on.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "CHANNEL/DESTINATION")]
    destination: OutletName,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    tell_destination(place, &arguments.destination, "park").await
}
