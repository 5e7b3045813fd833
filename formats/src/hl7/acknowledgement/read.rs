//! Reads what a receiver answered.

use thiserror::Error;

use super::Code;
use crate::hl7::ParseError;

/// What a receiver said about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// MSA-1.
    pub code: Code,
    /// The whole of MSA-2 as it stands, to be compared with the whole of MSH-10 as it stands.
    pub control_id: String,
    /// MSA-3; may be empty.
    pub text: String,
    /// What ERR says: its place and words; may be empty.
    pub error_text: String,
}

/// Why an answer cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// It is not HL7, or not in the charset it declares.
    #[error("the answer is not HL7: {0}")]
    NotHl7(#[from] ParseError),
    /// No MSA.
    #[error("the answer has no MSA")]
    NoMsa,
    /// MSA-1 is none of the six codes.
    #[error("MSA-1 of the answer is none of AA, AE, AR, CA, CE, CR")]
    UnknownCode,
}

/// Reads an answer; tolerates what [`crate::hl7::Message::parse`] does.
pub fn read(bytes: &[u8]) -> Result<Acknowledgement, ReadError> {
    let _ = bytes;
    unimplemented!()
}
