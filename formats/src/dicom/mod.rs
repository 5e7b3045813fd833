//! DICOM: the header of an instance, read and changed in place; what holds pixels is passed over and never copied.
//!
//! Nothing here allocates by a length that a file declares, and nothing calls itself as deep as a file is nested.

mod charset;
mod deidentify;
mod dictionary;
mod edit;
mod element;
mod error;
mod header;
mod inflate;
mod instance;
mod keyed;
mod level;
mod meta;
mod path;
mod recode;
mod source;
mod syntax;
mod tag;
mod uid;
mod value;
mod vr;
mod walk;
mod window;
mod written;

pub use charset::{CharacterSet, Lacks};
pub use deidentify::{Dates, Deidentification, Patient, Uids};
pub use dictionary::{keyword_of, keywords, tag_of, vr_of};
pub use element::Element;
pub use error::{DicomError, Why};
pub use header::Header;
pub use instance::{AccessError, Instance, Listed};
pub use meta::Meta;
pub use path::{Path, PathError};
pub use source::{Piece, Source};
pub use syntax::TransferSyntax;
pub use tag::{Tag, tags};
pub use uid::{is_uid, uid_of};
pub use value::ValueError;
pub use vr::Vr;
pub use walk::{DEEPEST, Step, Walker};
pub use window::Window;

/// Who wrote a file: Relais. Of the branch of UIDs that are made of a UUID and need nobody's leave.
pub const IMPLEMENTATION: &str = "2.25.97862315448103219047621875430911265307";
