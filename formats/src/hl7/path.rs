//! A path into a message, such as `PID-5.1`, `OBX[3]-5` or `PID-3[2].4.1`.

use std::{fmt, str::FromStr};

use super::{PathError, Place};

/// A segment, one of its occurrences, and a place in it; without a place, the whole segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    pub(super) segment: [u8; 3],
    pub(super) occurrence: u32,
    pub(super) place: Option<Place>,
}

impl Path {
    /// Reads `PID`, `PID-5`, `PID-5.1`, `PID-3[2].4.1`, `OBX[3]-5`, `ZPD-2`.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let _ = text;
        unimplemented!()
    }

    /// The name of the segment.
    pub fn segment(&self) -> &str {
        unimplemented!()
    }

    /// Which of the segments of that name, from 1.
    pub fn occurrence(&self) -> u32 {
        self.occurrence
    }

    /// The place in the segment; none for the whole of it.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Path, PathError> {
        Path::parse(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}
