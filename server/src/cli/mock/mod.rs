//! `relais mock`: peers for a demonstration, which hold nothing once they end.

mod annuaire;
mod fhir;
mod holdings;
mod search;
mod transaction;

use super::Ending;

/// Play a peer for a demonstration.
///
/// What it holds is gone when it ends, and it is no server for patients: it looks at nothing that it is given.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Debug, clap::Subcommand)]
enum Peer {
    Fhir(fhir::Arguments),
    Annuaire(annuaire::Arguments),
}

pub(crate) async fn run(arguments: Arguments) -> Ending {
    match arguments.peer {
        Peer::Fhir(arguments) => fhir::run(arguments).await,
        Peer::Annuaire(arguments) => annuaire::run(arguments).await,
    }
}
