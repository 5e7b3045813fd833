//! Programs of this machine, one run for each message.

mod account;
mod answer;
mod command;
mod input;
mod meaning;
mod output;
mod program;
mod ready;
mod run;
mod running;
mod said;
mod sender;
mod settings;

use crate::{Connector, DestinationKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "exec",
    summary: "Programs, one run for each message",
    source: None,
    destination: Some(DestinationKind::of::<settings::Settings>()),
};
