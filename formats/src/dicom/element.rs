//! The head of one element: what it is, where its value lies and how long it is.

use std::io::{Read, Seek};

use super::{
    dictionary,
    error::{DicomError, Why},
    syntax::Encoding,
    tag::{Tag, tags},
    vr::Vr,
    window::Window,
};

const OPEN: u32 = u32::MAX;

/// An element as its head tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    pub tag: Tag,
    /// As the file says, or as the dictionary does where the file does not.
    pub vr: Vr,
    /// Where the element begins.
    pub at: u64,
    /// Where its value begins.
    pub value: u64,
    /// How long the value is; `None` where a mark ends it.
    pub length: Option<u32>,
    /// How it is written.
    pub encoding: Encoding,
}

/// What the value of an element is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// A value.
    Value,
    /// Items, whose elements are written so.
    Items(Encoding),
    /// The pieces of an image that is packed.
    Fragments,
}

impl Element {
    /// Reads the head of an element that begins at a place.
    pub(crate) fn read<R: Read + Seek>(
        window: &mut Window<R>,
        at: u64,
        encoding: Encoding,
    ) -> Result<Self, DicomError> {
        let head: [u8; 8] = window.few(at)?;
        let tag = read_tag(encoding, head);
        let [_, _, _, _, a, b, c, d] = head;
        let element = |vr: Vr, head: u64, length: u32| Self {
            tag,
            vr,
            at,
            value: at + head,
            length: (length != OPEN).then_some(length),
            encoding,
        };
        // Items and the marks behind them have no kind.
        if !encoding.is_explicit || tag.group() == tags::ITEM.group() {
            return Ok(element(dictionary::vr_of(tag), 8, encoding.u32([a, b, c, d])));
        }
        let Some(vr) = Vr::known([a, b]) else {
            return Err(DicomError::new(at, tag, Why::BadVr(Vr([a, b]))));
        };
        if !vr.is_long() {
            return Ok(element(vr, 8, u32::from(encoding.u16([c, d]))));
        }
        let length = window.few(at + 8).map_err(|error| DicomError { tag: Some(tag), ..error })?;
        Ok(element(vr, 12, encoding.u32(length)))
    }

    /// What its value is made of.
    pub fn within(&self) -> Within {
        let is_open = self.length.is_none();
        if self.vr == Vr::SQ {
            return Within::Items(self.encoding);
        }
        if !is_open {
            return Within::Value;
        }
        if self.tag.is_pixels() || matches!(&self.vr.0, b"OB" | b"OW") {
            return Within::Fragments;
        }
        // Who wrote it did not know its kind, and wrote it as everything unknown is written.
        Within::Items(if self.encoding.is_explicit { Encoding::IMPLICIT } else { self.encoding })
    }

    /// Where the value ends, where that is told.
    pub fn end(&self) -> Option<u64> {
        self.length.map(|length| self.value + u64::from(length))
    }
}

fn read_tag(encoding: Encoding, head: [u8; 8]) -> Tag {
    let [a, b, c, d, ..] = head;
    Tag::new(encoding.u16([a, b]), encoding.u16([c, d]))
}
