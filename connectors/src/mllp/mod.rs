//! HL7 v2 over MLLP: framed messages on a TCP connection, each answered on the same one.

mod answer;
mod asked;
mod call;
mod connection;
mod destination;
pub mod frame;
mod link;
mod manners;
pub mod peer;
mod run;
mod send;
mod settings;
mod source;

pub use settings::Framing;

use engine::{Reply, ReplyWords};
use formats::hl7::acknowledgement::Code;

use crate::{Connector, DestinationKind, SourceKind};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "mllp",
    summary: "HL7 v2 over TCP, with or without TLS",
    source: Some(SourceKind::of::<source::Settings>()),
    destination: Some(DestinationKind::of::<destination::Settings>()),
};

/// The code in the last answer that the sender of a message hears.
pub fn code(words: &ReplyWords, reply: &Reply, message: &[u8]) -> Code {
    answer::code(words, reply, manners::Manners::of(message, words.mode).last())
}
