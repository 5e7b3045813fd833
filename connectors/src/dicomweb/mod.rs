//! DICOMweb: instances that are posted to us, searched for, or stored on a server.

mod answer;
mod archive;
mod destination;
mod fetched;
mod multipart;
mod source;

use crate::{Connector, DestinationKind, SourceKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "dicomweb",
    summary: "DICOMweb: instances by STOW-RS, and searched for by QIDO-RS",
    source: Some(SourceKind::of::<source::Settings>()),
    destination: Some(DestinationKind::of::<destination::Settings>()),
};
