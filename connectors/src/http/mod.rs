//! HTTP and HTTPS: requests that carry messages to a server, and a server that takes them.

mod destination;
mod source;

use engine::{Reply, ReplyWords};

use crate::{Connector, DestinationKind, SourceKind, host};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "http",
    summary: "HTTP and HTTPS, one request for each message",
    source: Some(SourceKind::of::<source::Settings>()),
    destination: Some(DestinationKind::of::<destination::Settings>()),
};

/// The status in the answer that the sender of a message hears.
pub fn status(words: &ReplyWords, reply: &Reply) -> u16 {
    host::words::status(words, reply).as_u16()
}
