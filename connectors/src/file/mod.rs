//! Files in a folder of this machine.

mod append;
mod destination;
mod folder;
pub(crate) mod name;
mod place;

use crate::{Connector, DestinationKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "file",
    summary: "Files in a folder",
    source: None,
    destination: Some(DestinationKind::of::<destination::Settings>()),
};
