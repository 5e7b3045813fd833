//! The way of a file from a folder to a message: seen, claimed, read, handed over, put away. Where the folder lies is one trait.

mod answer;
mod away;
mod backlog;
mod claims;
mod desk;
mod finish;
mod hand_over;
mod ledger;
mod look;
pub(crate) mod place;
mod run;
mod settings;

pub(crate) use desk::Desk;
pub(crate) use run::{Flow, Parts};
pub(crate) use settings::{Existing, Folders, Taking};
