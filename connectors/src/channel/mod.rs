//! Channels that feed each other, in memory and without losing anything between them.

mod destination;
mod source;

use crate::{Connector, DestinationKind, SourceKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "channel",
    summary: "Another channel of this server",
    source: Some(SourceKind::of::<source::Settings>()),
    destination: Some(DestinationKind::of::<destination::Settings>()),
};
