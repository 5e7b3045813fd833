//! FHIR R4: resources that are stored on a server, and bundles that it carries out.

mod capability;
mod destination;
mod outcome;

use crate::{Connector, DestinationKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "fhir",
    summary: "A FHIR R4 server: resources, transactions, batches and messages",
    source: None,
    destination: Some(DestinationKind::of::<destination::Settings>()),
};
