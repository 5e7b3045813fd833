//! FHIR R4: resources that are stored on a server, and bundles that it carries out.

mod capability;
mod destination;
mod outcome;
mod server;
mod source;

pub(crate) use server::{FHIR, Server};

use crate::{Connector, DestinationKind, SourceKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "fhir",
    summary: "A FHIR R4 server: resources, transactions, batches and messages",
    source: Some(SourceKind::of::<source::Settings>()),
    destination: Some(DestinationKind::of::<destination::Settings>()),
};
