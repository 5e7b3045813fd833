//! Files in a folder behind an SSH server.

mod destination;
mod link;
mod packet;
mod place;
mod proof;
mod putting;
mod server;
mod session;
mod short_key;
mod source;
mod ssh;
mod transfer;

use crate::{Connector, DestinationKind, SourceKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "sftp",
    summary: "Files on a server, by SFTP",
    source: Some(SourceKind::of::<source::Settings>()),
    destination: Some(DestinationKind::of::<destination::Settings>()),
};
