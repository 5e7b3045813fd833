//! DICOM: the header of an instance, read and changed in place; what holds pixels is passed over and never copied.
//!
//! Nothing here allocates by a length that a file declares, and nothing calls itself as deep as a file is nested.

mod dictionary;
mod element;
mod error;
mod header;
mod inflate;
mod meta;
mod syntax;
mod tag;
mod uid;
mod vr;
mod walk;
mod window;

pub use dictionary::{keyword_of, tag_of, vr_of};
pub use element::Element;
pub use error::{DicomError, Why};
pub use header::Header;
pub use meta::Meta;
pub use syntax::TransferSyntax;
pub use tag::{Tag, tags};
pub use uid::is_uid;
pub use vr::Vr;
pub use walk::{DEEPEST, Step, Walker};
pub use window::Window;
