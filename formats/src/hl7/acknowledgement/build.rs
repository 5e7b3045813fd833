//! Builds the answer to a message; never fails, whatever the bytes.

use jiff::Zoned;

use super::Code;
use crate::hl7::Path;

/// What the sender shall hear.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// MSA-1.
    pub code: Code,
    /// MSA-3: a short text without content of the message.
    pub text: Option<&'a str>,
    /// ERR: what was wrong, and where.
    pub error: Option<ErrorPlace<'a>>,
    /// MSH-7.
    pub when: &'a Zoned,
    /// MSH-10 of the answer; must be unique.
    pub control_id: &'a str,
}

/// What was wrong and where, for the ERR segment.
#[derive(Clone, Debug)]
pub struct ErrorPlace<'a> {
    /// Where, if it is one place.
    pub path: Option<Path>,
    /// What kind of error.
    pub condition: Condition,
    /// The words for a person, without content of the message.
    pub reason: &'a str,
}

/// The message error conditions of HL7 table 0357.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// 100
    SegmentSequence,
    /// 101
    RequiredFieldMissing,
    /// 102
    DataType,
    /// 103
    TableValueNotFound,
    /// 200
    UnsupportedMessageType,
    /// 201
    UnsupportedEventCode,
    /// 202
    UnsupportedProcessingId,
    /// 203
    UnsupportedVersionId,
    /// 204
    UnknownKeyIdentifier,
    /// 205
    DuplicateKeyIdentifier,
    /// 206
    ApplicationRecordLocked,
    /// 207
    ApplicationInternalError,
}

/// The answer to a message, in its delimiters and charset.
pub fn build(message: &[u8], answer: &Answer<'_>) -> Vec<u8> {
    let _ = (message, answer);
    unimplemented!()
}

/// The answer to a batch: one answer per message, in order, between the batch's own headers and trailers.
pub fn batch(original: &[u8], answers: &[Vec<u8>]) -> Vec<u8> {
    let _ = (original, answers);
    unimplemented!()
}
