//! Starts the real `relais` binary on a project of the test's own, and plays the peers around it.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

mod annuaire;
mod asking;
mod browser;
mod dcmtk;
mod disk;
mod fhir;
mod instance;
mod laboratory;
mod long;
mod orthanc;
mod outside;
mod peer;
mod places;
mod postgres;
mod project;
mod relais;
mod sshd;
mod terms;
mod web;

pub use annuaire::{Annuaire, Private};
pub use asking::{Asker, Said};
pub use browser::Browser;
pub use dcmtk::dumped;
pub use disk::{SmallDisk, Strace, is_root};
pub use fhir::{Cutting, FhirServer, Maker};
pub use instance::{CLASS, Instance, element, stow};
pub use laboratory::{laboratory, results};
pub use long::{BLOCK, LongInstance};
pub use orthanc::Orthanc;
pub use outside::{Receiving, node, python};
pub use peer::{Behaviour, Receiver, Sender, frame, message, mshfield};
pub use places::{corpus, installed, pydicom_files};
pub use postgres::Postgres;
pub use project::Project;
pub use relais::{Relais, WORDS, binary, comes_true, free_port, wait_until};
pub use sshd::{PASSWORD, Sshd};
pub use terms::Terms;
pub use web::Post;
