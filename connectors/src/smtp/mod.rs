//! Mail: a letter for each message, handed to a mail server.

mod dialogue;
mod letter;
mod send;
mod settings;

use crate::{Connector, DestinationKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "smtp",
    summary: "Mail, a letter for each message",
    source: None,
    destination: Some(DestinationKind::of::<settings::Settings>()),
};
