//! The protocols a channel can speak, one folder each.

pub mod annuaire;
mod audience;
mod channel;
mod connector;
mod crowd;
pub mod dicom;
mod dicomweb;
mod dimse;
mod directory;
mod door;
mod exec;
mod fhir;
mod file;
mod flow;
mod host;
pub mod http;
mod jwt;
pub mod mllp;
pub mod oidc;
mod part10;
mod room;
mod secret;
pub mod setting;
mod sftp;
mod smtp;
pub mod sync;
pub mod tables;
pub mod tls;
mod together;
mod watched;
mod web;
mod wire;

pub use connector::{Connector, DestinationKind, Examine, Misfit, SourceKind};
pub use secret::Secret;

/// Every connector, in the order the reference lists them.
pub const CONNECTORS: &[Connector] = &[
    mllp::CONNECTOR,
    http::CONNECTOR,
    fhir::CONNECTOR,
    dicom::CONNECTOR,
    dicomweb::CONNECTOR,
    sync::ANNUAIRE,
    sync::FHIR_SYNC,
    directory::CONNECTOR,
    file::CONNECTOR,
    sftp::CONNECTOR,
    exec::CONNECTOR,
    smtp::CONNECTOR,
    channel::CONNECTOR,
];

/// The connector that channels call `name`.
pub fn find(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().find(|connector| connector.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connector_is_found_by_its_name() {
        for connector in CONNECTORS {
            assert_eq!(find(connector.name).map(|found| found.summary), Some(connector.summary));
        }
        assert!(find("carrier-pigeon").is_none());
    }
}
