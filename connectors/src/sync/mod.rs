//! Sources that keep themselves in step with a FHIR server that tells nobody what has changed.

mod asking;
mod leaving;
mod page;
mod plan;
mod run;
mod schedule;
mod settings;
mod singly;
mod slices;
mod source;
mod state;
mod sweep;
#[cfg(test)]
mod tests;
mod waiting;

pub use self::{
    slices::Slice,
    state::{Mode, Pass, Run, Standing, State, Unusable},
};
use crate::{Connector, SourceKind};

pub(crate) const ANNUAIRE: Connector = Connector {
    name: "annuaire",
    summary: "The French Annuaire Santé: a directory of health professionals and their places, kept in step",
    source: Some(SourceKind::of::<settings::Annuaire>()),
    destination: None,
};

pub(crate) const FHIR_SYNC: Connector = Connector {
    name: "fhir_sync",
    summary: "A FHIR R4 server whose resources are kept in step, deletions too",
    source: Some(SourceKind::of::<settings::FhirSync>()),
    destination: None,
};
