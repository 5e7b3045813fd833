//! HTTP and HTTPS: requests that carry messages to a server, and a server that takes them.

mod content;
mod destination;
mod place;

use crate::{Connector, DestinationKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "http",
    summary: "HTTP and HTTPS, one request for each message",
    source: None,
    destination: Some(DestinationKind::of::<destination::Settings>()),
};
