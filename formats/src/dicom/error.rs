//! What can be wrong with an instance, said with the element and the byte, and without a word of its content.

use std::{fmt, io};

use thiserror::Error;

use super::{Tag, Vr, walk::DEEPEST};

/// Why bytes are no DICOM instance, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct DicomError {
    /// The byte, from 0.
    pub at: u64,
    /// The element it was about.
    pub tag: Option<Tag>,
    /// What is wrong there.
    pub why: Why,
}

impl DicomError {
    pub(crate) fn new(at: u64, tag: impl Into<Option<Tag>>, why: Why) -> Self {
        Self { at, tag: tag.into(), why }
    }

    #[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
    pub(crate) fn read(at: u64, error: io::Error) -> Self {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => Why::Unfinished,
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Why::NotDeflated,
            kind => Why::Unavailable(kind),
        };
        Self::new(at, None, why)
    }
}

impl fmt::Display for DicomError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "byte {}", self.at)?;
        if let Some(tag) = self.tag {
            write!(formatter, ", {tag:#}")?;
        }
        write!(formatter, ": {}", self.why)
    }
}

/// The ways in which bytes fail to be an instance.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// There is no `DICM` behind the first 128 bytes.
    #[error("here `DICM` should stand: this is not a DICOM file")]
    NoPrefix,
    /// The file meta group lacks its transfer syntax, or has none that can be one.
    #[error("the file does not say in which transfer syntax it is written")]
    NoSyntax,
    /// It ends inside something.
    #[error("the file ends before what begins here does")]
    Unfinished,
    /// A declared length goes beyond what holds it.
    #[error("it says that it has {length} bytes, and {left} are left")]
    TooLong {
        /// What it says.
        length: u64,
        /// What there is.
        left: u64,
    },
    /// Two letters that name no kind of value.
    #[error("`{0}` is not a value representation")]
    BadVr(Vr),
    /// An open length where none may be.
    #[error("a value of kind {0} cannot be without a length")]
    OpenLength(Vr),
    /// Something else than an item in a sequence.
    #[error("here an item should begin, or the sequence end")]
    NoItem,
    /// A mark that ends nothing.
    #[error("this mark ends nothing that is open")]
    Stray,
    /// Sequences in sequences in sequences.
    #[error("sequences stand in each other more than {DEEPEST} deep")]
    TooDeep,
    /// Too many elements side by side.
    #[error("more than {0} elements stand side by side")]
    TooMany(usize),
    /// The same element twice.
    #[error("the element stands twice")]
    Twice,
    /// What must be a UID is none.
    #[error("this is not a UID: digits and dots, 64 at most")]
    BadUid,
    /// An element that must be there is not, or is empty.
    #[error("the element is missing or empty")]
    Missing,
    /// A text that is longer than anything it can be.
    #[error("the value has {0} bytes, more than any value of this element")]
    Oversized(u64),
    /// The deflated part cannot be inflated.
    #[error("the deflated part cannot be inflated")]
    NotDeflated,
    /// The deflated part grows beyond what is taken.
    #[error("the deflated part is longer than {0} bytes")]
    Inflated(u64),
    /// The bytes themselves could not be had.
    #[error("the bytes cannot be read: {0}")]
    Unavailable(io::ErrorKind),
}
