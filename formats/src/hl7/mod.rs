//! HL7 version 2: messages read and written in place, so that what nobody touches leaves byte for byte as it came.

pub mod acknowledgement;
pub mod batch;
mod control_id;
mod cursor;
mod delimiters;
mod edit;
mod error;
pub mod escape;
mod groups;
pub mod header;
mod lines;
pub(crate) mod message;
mod part;
mod path;
mod pieces;
mod place;

pub use control_id::with_control_id;
pub use delimiters::Delimiters;
pub use error::{EditError, ParseError, PathError, Why};
pub use message::Message;
pub use part::Part;
pub use path::Path;
pub use place::Place;
