//! One HL7 message: its text, found by path without a tree.

use std::{borrow::Cow, sync::Arc};

use super::{Delimiters, ParseError, Part, Path, Place};
use crate::charset::Charset;

/// A message that can be read and changed by path. Cloning is cheap: the text is shared.
#[derive(Clone, Debug)]
pub struct Message {
    text: Arc<str>,
    delimiters: Delimiters,
}

impl Message {
    /// Finds the segments. Asks only for an MSH with sane delimiters; [`Message::readable`] asks for the rest.
    ///
    /// Takes CR, LF, CRLF and mixtures as the end of a segment, skips blank lines, and blanks and a byte order mark before MSH.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Message, ParseError> {
        let _ = text.into();
        unimplemented!()
    }

    /// Says why the message cannot be taken from a sender: no MSH-9, nothing after MSH, a second MSH.
    pub fn readable(&self) -> Result<(), ParseError> {
        unimplemented!()
    }

    /// The same message with `\Xhh..\` read in this charset and not in that of MSH-18.
    #[must_use]
    pub fn in_charset(self, charset: Charset) -> Message {
        let _ = charset;
        self
    }

    /// The whole text; what was not touched is byte for byte as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole text, shared.
    pub fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The delimiters of this message.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// A leaf decoded, something with parts as it stands; empty when absent.
    pub fn get(&self, path: &Path) -> Cow<'_, str> {
        let _ = path;
        unimplemented!()
    }

    /// What stands there; none when absent.
    pub fn raw(&self, path: &Path) -> Option<&str> {
        let _ = path;
        unimplemented!()
    }

    /// Whether something stands there; the HL7 null `""` does, delimiters alone do not.
    pub fn has(&self, path: &Path) -> bool {
        let _ = path;
        unimplemented!()
    }

    /// What stands there, to be put somewhere else; empty when absent.
    pub fn part(&self, path: &Path) -> Part {
        let _ = path;
        unimplemented!()
    }

    /// How many segments there are, MSH included.
    pub fn segment_count(&self) -> usize {
        unimplemented!()
    }

    /// The name of this segment, MSH being 0; empty when there is no such segment.
    pub fn segment_name(&self, index: usize) -> &str {
        let _ = index;
        unimplemented!()
    }

    /// The text of this segment without its line end; none when there is no such segment.
    pub fn segment_text(&self, index: usize) -> Option<&str> {
        let _ = index;
        unimplemented!()
    }

    /// The places of all segments of this name, for the `…_at` functions.
    pub fn segments(&self, name: &str) -> Vec<usize> {
        let _ = name;
        unimplemented!()
    }

    /// As [`Message::get`], within one segment.
    pub fn get_at(&self, index: usize, place: &Place) -> Cow<'_, str> {
        let _ = (index, place);
        unimplemented!()
    }

    /// As [`Message::raw`], within one segment.
    pub fn raw_at(&self, index: usize, place: &Place) -> Option<&str> {
        let _ = (index, place);
        unimplemented!()
    }

    /// As [`Message::has`], within one segment.
    pub fn has_at(&self, index: usize, place: &Place) -> bool {
        let _ = (index, place);
        unimplemented!()
    }

    /// As [`Message::part`], within one segment.
    pub fn part_at(&self, index: usize, place: &Place) -> Part {
        let _ = (index, place);
        unimplemented!()
    }
}
