//! DICOMweb: instances that are stored on a server.

mod answer;
mod archive;
mod destination;
mod multipart;

use crate::{Connector, DestinationKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "dicomweb",
    summary: "DICOMweb: instances by STOW-RS",
    source: None,
    destination: Some(DestinationKind::of::<destination::Settings>()),
};
