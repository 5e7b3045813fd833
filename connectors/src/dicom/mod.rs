//! DICOM over associations: instances that modalities send, and an archive that takes them.

mod ae;
mod asked;
mod association;
mod command;
mod commitment;
mod destination;
mod pdu;
mod source;
mod worklist;

use engine::{Reply, ReplyWords};

pub(crate) use ae::Title;
pub(crate) use association::Calling;
pub(crate) use worklist::{Unfound, Worklist};

use crate::{Connector, DestinationKind, SourceKind, dimse};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "dicom",
    summary: "DICOM associations: instances by C-STORE",
    source: Some(SourceKind::of::<source::Settings>()),
    destination: Some(DestinationKind::of::<destination::Settings>()),
};

/// The status in the answer that the sender of an instance hears, in four hexadecimal digits.
pub fn status(words: &ReplyWords, reply: &Reply) -> String {
    format!("{:04X}", dimse::status(words, reply))
}
