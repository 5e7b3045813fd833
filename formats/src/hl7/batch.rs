//! Batches: several messages between FHS, BHS, BTS and FTS.

use std::ops::Range;

use super::ParseError;

/// Where the messages of a batch stand, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The bytes of each message; the first has number 1.
    pub messages: Vec<Range<usize>>,
    /// What is odd about the batch, though it can be read.
    pub flags: Vec<Flag>,
}

/// What is odd about a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// BTS-1 says another number of messages than there are.
    MessageCount {
        /// What BTS-1 says.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// FTS-1 says another number of batches than there are.
    BatchCount {
        /// What FTS-1 says.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// A BHS without its BTS, or an FHS without its FTS: the end may have been cut.
    NoTrailer,
}

/// Finds the messages of a batch; none if the bytes do not begin with FHS or BHS.
pub fn split(bytes: &[u8]) -> Result<Option<Batch>, ParseError> {
    let _ = bytes;
    unimplemented!()
}
