//! Files in a folder of this machine.

mod append;
mod destination;
mod folder;
mod here;
pub(crate) mod name;
mod place;
mod rounds;
mod source;

use crate::{Connector, DestinationKind, SourceKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "file",
    summary: "Files in a folder",
    source: Some(SourceKind::of::<source::Settings>()),
    destination: Some(DestinationKind::of::<destination::Settings>()),
};
