//! Changing a message in place: only the segment that is written becomes new text.

use super::{EditError, Message, Part, Path, Place};

impl Message {
    /// Replaces what stands there, parts included, and encodes every delimiter and line break.
    ///
    /// Empty text empties; `""` is the HL7 null. Fields, repetitions and components before it are filled up, and a missing segment is added at the end.
    pub fn set(&mut self, path: &Path, text: &str) -> Result<(), EditError> {
        let _ = (path, text);
        unimplemented!()
    }

    /// Replaces what stands there with a part, whose delimiters become those of this message.
    pub fn set_part(&mut self, path: &Path, part: &Part) -> Result<(), EditError> {
        let _ = (path, part);
        unimplemented!()
    }

    /// As [`Message::set`], within one segment.
    pub fn set_at(&mut self, index: usize, place: &Place, text: &str) -> Result<(), EditError> {
        let _ = (index, place, text);
        unimplemented!()
    }

    /// As [`Message::set_part`], within one segment.
    pub fn set_part_at(&mut self, index: usize, place: &Place, part: &Part) -> Result<(), EditError> {
        let _ = (index, place, part);
        unimplemented!()
    }

    /// Puts a new, empty segment after the first one named, or after `OBX[3]`; gives its place.
    pub fn insert(&mut self, name: &str, after: &str) -> Result<usize, EditError> {
        let _ = (name, after);
        unimplemented!()
    }

    /// Adds a segment at the end as it stands, or an empty one if only its name is given; gives its place.
    pub fn append(&mut self, segment: &str) -> Result<usize, EditError> {
        let _ = segment;
        unimplemented!()
    }

    /// Takes a segment out; MSH stays.
    pub fn remove_segment(&mut self, index: usize) -> Result<(), EditError> {
        let _ = index;
        unimplemented!()
    }
}
