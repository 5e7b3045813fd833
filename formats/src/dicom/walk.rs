//! A walk through the elements of a data set, at any depth, that holds nothing but where it is.

use std::io::{Read, Seek};

use super::{
    element::{Element, Within},
    error::{DicomError, Why},
    syntax::Encoding,
    tag::tags,
    window::Window,
};

/// How deep sequences may stand in each other.
pub const DEEPEST: usize = 128;

/// What the walk comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An element; where it holds items or fragments, they follow.
    Element(Element),
    /// An item begins: at its mark, its elements behind it.
    Item { at: u64, starts: u64 },
    /// The elements of an item have ended; what comes next begins behind.
    ItemEnd { ends: u64, behind: u64 },
    /// A piece of a packed image.
    Fragment { starts: u64, length: u32 },
    /// A sequence has ended, or the pieces of an image.
    SequenceEnd { ends: u64, behind: u64 },
}

enum Open {
    Items(Encoding),
    Elements(Encoding),
    Fragments,
}

struct Frame {
    open: Open,
    /// Where it ends, if that was told.
    ends: Option<u64>,
    /// Beyond this it cannot go.
    limit: u64,
    /// What the sequence is called, to say it where it goes wrong.
    of: Element,
}

/// Walks from one place to another.
pub struct Walker<'w, R> {
    window: &'w mut Window<R>,
    at: u64,
    ends: u64,
    encoding: Encoding,
    frames: Vec<Frame>,
}

impl<'w, R: Read + Seek> Walker<'w, R> {
    /// A walk through the elements between two places.
    pub fn new(window: &'w mut Window<R>, from: u64, to: u64, encoding: Encoding) -> Self {
        Self { window, at: from, ends: to, encoding, frames: Vec::new() }
    }

    /// How many sequences stand around what was come by last.
    pub fn depth(&self) -> usize {
        self.frames.iter().filter(|frame| matches!(frame.open, Open::Items(_))).count()
    }

    /// Reads the value of an element that was just come by.
    pub fn value(&mut self, element: &Element, most: u64) -> Result<Vec<u8>, DicomError> {
        let length = u64::from(element.length.unwrap_or_default());
        if length > most {
            return Err(DicomError::new(element.at, element.tag, Why::Oversized(length)));
        }
        self.window.bytes(element.value, length)
    }

    /// What comes next; nothing at the end.
    #[allow(clippy::should_implement_trait, reason = "it fails, and lends what it reads from in between")]
    pub fn next(&mut self) -> Result<Option<Step>, DicomError> {
        let Some(frame) = self.frames.last() else {
            if self.at == self.ends {
                return Ok(None);
            }
            return self.element(self.ends, self.encoding).map(Some);
        };
        if frame.ends == Some(self.at) {
            return Ok(Some(self.close(0)));
        }
        let limit = frame.limit;
        match frame.open {
            Open::Items(encoding) => self.item(limit, encoding).map(Some),
            Open::Elements(encoding) => self.element(limit, encoding).map(Some),
            Open::Fragments => self.fragment(limit).map(Some),
        }
    }

    fn close(&mut self, mark: u64) -> Step {
        let (ends, behind) = (self.at, self.at + mark);
        self.at = behind;
        match self.frames.pop().map(|frame| frame.open) {
            Some(Open::Elements(_)) => Step::ItemEnd { ends, behind },
            _ => Step::SequenceEnd { ends, behind },
        }
    }

    fn element(&mut self, limit: u64, encoding: Encoding) -> Result<Step, DicomError> {
        let element = self.head(limit, encoding)?;
        let is_open = self.frames.last().is_some_and(|frame| frame.ends.is_none());
        if element.tag == tags::ITEM_END && is_open {
            return Ok(self.close(8));
        }
        if element.tag.group() == tags::ITEM.group() {
            return Err(DicomError::new(element.at, element.tag, Why::Stray));
        }
        if element.length.is_none() && encoding.is_explicit && !element.vr.may_be_open() {
            return Err(DicomError::new(element.at, element.tag, Why::OpenLength(element.vr)));
        }
        let ends = element.end();
        let limit = within(&element, limit)?;
        match element.within() {
            Within::Value => self.at = limit,
            Within::Items(encoding) => self.enter(Open::Items(encoding), ends, limit, element)?,
            Within::Fragments => self.enter(Open::Fragments, ends, limit, element)?,
        }
        Ok(Step::Element(element))
    }

    fn enter(&mut self, open: Open, ends: Option<u64>, limit: u64, of: Element) -> Result<(), DicomError> {
        // Each sequence opens two: itself, and its item.
        if self.frames.len() >= 2 * DEEPEST {
            return Err(DicomError::new(of.at, of.tag, Why::TooDeep));
        }
        self.at = of.value;
        self.frames.push(Frame { open, ends, limit, of });
        Ok(())
    }

    fn item(&mut self, limit: u64, encoding: Encoding) -> Result<Step, DicomError> {
        let mark = self.mark(limit, encoding)?;
        if mark.tag == tags::SEQUENCE_END {
            return Ok(self.close(8));
        }
        let of = self.frames.last().map_or(mark, |frame| frame.of);
        let limit = within(&mark, limit).map_err(|error| DicomError { tag: Some(of.tag), ..error })?;
        self.at = mark.value;
        self.frames.push(Frame { open: Open::Elements(encoding), ends: mark.end(), limit, of });
        Ok(Step::Item { at: mark.at, starts: mark.value })
    }

    fn fragment(&mut self, limit: u64) -> Result<Step, DicomError> {
        let encoding = self.frames.last().map_or(self.encoding, |frame| frame.of.encoding);
        let mark = self.mark(limit, encoding)?;
        if mark.tag == tags::SEQUENCE_END {
            return Ok(self.close(8));
        }
        let Some(length) = mark.length else {
            return Err(DicomError::new(mark.at, mark.tag, Why::NoItem));
        };
        self.at = within(&mark, limit)?;
        Ok(Step::Fragment { starts: mark.value, length })
    }

    /// An item's mark, or the one that ends a sequence without a length.
    fn mark(&mut self, limit: u64, encoding: Encoding) -> Result<Element, DicomError> {
        let mark = self.head(limit, encoding)?;
        let may_end = self.frames.last().is_some_and(|frame| frame.ends.is_none());
        match mark.tag {
            tags::ITEM => Ok(mark),
            tags::SEQUENCE_END if may_end => Ok(mark),
            _ => {
                let of = self.frames.last().map(|frame| frame.of.tag);
                Err(DicomError::new(self.at, of, Why::NoItem))
            }
        }
    }

    fn head(&mut self, limit: u64, encoding: Encoding) -> Result<Element, DicomError> {
        let of = self.frames.last().map(|frame| frame.of.tag);
        let named = |error: DicomError| DicomError { tag: error.tag.or(of), ..error };
        let element = Element::read(self.window, self.at, encoding).map_err(named)?;
        if element.value > limit {
            return Err(DicomError::new(self.at, of, Why::Unfinished));
        }
        Ok(element)
    }
}

/// Where an element ends, if it is not longer than what holds it; else where that does.
fn within(element: &Element, limit: u64) -> Result<u64, DicomError> {
    match element.end() {
        Some(end) if end > limit => {
            let (length, left) = (end - element.value, limit - element.value);
            Err(DicomError::new(element.at, element.tag, Why::TooLong { length, left }))
        }
        Some(end) => Ok(end),
        None => Ok(limit),
    }
}
