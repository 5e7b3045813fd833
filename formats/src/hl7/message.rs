//! One HL7 message: its text, found by path without a tree.

use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use memchr::{memchr, memchr2};

use super::{Delimiters, ParseError, Part, Path, Place, Why, escape, header::Header, lines::lines, pieces};
use crate::charset::Charset;

/// A message that can be read and changed by path. Cloning is cheap: the text is shared.
///
/// Only the places of the segments are kept; fields are found when they are read, which takes less time than to keep them.
#[derive(Clone)]
pub struct Message {
    pub(super) original: Arc<str>,
    /// Where MSH stood; a byte order mark and blanks may stand before it.
    pub(super) lead: usize,
    pub(super) segments: Arc<Vec<Segment>>,
    /// The whole text, once somebody asked for it; emptied by each change.
    pub(super) whole: OnceLock<Arc<str>>,
    pub(super) delimiters: Delimiters,
    pub(super) charset: Option<Charset>,
    pub(super) dialect: Dialect,
}

/// Which of two kindred formats a message is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Hl7,
    /// HPRIM Santé: names of one to three capitals, and delimiters in H-1.
    Hprim,
}

/// A segment and what ends it: line breaks and blank lines.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) content: Piece,
    pub(super) ending: Piece,
}

/// Text that stands in the original, or that was written since.
#[derive(Clone)]
pub(super) enum Piece {
    Original(Range<usize>),
    Written(Arc<str>),
}

impl Piece {
    pub(super) fn text<'a>(&'a self, original: &'a str) -> &'a str {
        match self {
            Piece::Original(range) => &original[range.clone()],
            Piece::Written(text) => text,
        }
    }
}

impl Message {
    /// Finds the segments. Asks only for an MSH with sane delimiters; [`Message::readable`] asks for the rest.
    ///
    /// Takes CR, LF, CRLF and mixtures as the end of a segment, skips blank lines, and blanks and a byte order mark before MSH.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Message, ParseError> {
        Message::parse_as(text.into(), Dialect::Hl7)
    }

    pub(crate) fn parse_as(original: Arc<str>, dialect: Dialect) -> Result<Message, ParseError> {
        let name = dialect.header();
        let bytes = original.as_bytes();
        let mut found = lines(bytes);
        let Some(first) = found.next() else { return Err(ParseError { at: 0, why: Why::Empty }) };
        if !bytes[first.clone()].starts_with(name) {
            return Err(ParseError { at: first.start, why: Why::NotHl7 });
        }
        let delimiters = Delimiters::behind(name.len(), &bytes[first.clone()])
            .map_err(|(at, why)| ParseError { at: first.start + at, why })?;

        let lead = first.start;
        let mut segments = Vec::with_capacity(16);
        let mut line = first;
        for next in found {
            segments.push(Segment::original(&line, next.start));
            line = next;
        }
        segments.push(Segment::original(&line, bytes.len()));
        Ok(Message {
            whole: OnceLock::from(Arc::clone(&original)),
            original,
            lead,
            segments: Arc::new(segments),
            delimiters,
            charset: None,
            dialect,
        })
    }

    /// Says why the message cannot be taken from a sender: no MSH-9, nothing after MSH, a second MSH.
    pub fn readable(&self) -> Result<(), ParseError> {
        Header::read(self.text().as_bytes())?.readable()
    }

    /// The same message with `\Xhh..\` read in this charset and not in that of MSH-18.
    #[must_use]
    pub fn in_charset(mut self, charset: Charset) -> Message {
        self.charset = Some(charset);
        self
    }

    /// The whole text; what was not touched is byte for byte as it came.
    pub fn text(&self) -> &str {
        self.whole.get_or_init(|| self.assemble())
    }

    /// The whole text, shared.
    pub fn shared_text(&self) -> Arc<str> {
        Arc::clone(self.whole.get_or_init(|| self.assemble()))
    }

    /// Whether this is HPRIM, whose segments have names of one to three capitals.
    pub fn is_hprim(&self) -> bool {
        self.dialect == Dialect::Hprim
    }

    /// Reads a path as this message's dialect writes them.
    pub fn path(&self, text: &str) -> Result<Path, super::PathError> {
        match self.dialect {
            Dialect::Hl7 => Path::parse(text),
            Dialect::Hprim => Path::parse_short(text),
        }
    }

    /// The delimiters of this message.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// A leaf decoded, something with parts as it stands; empty when absent.
    pub fn get(&self, path: &Path) -> Cow<'_, str> {
        match (self.find(path), &path.place) {
            (Some(index), Some(place)) => self.get_at(index, place),
            (Some(index), None) => Cow::Borrowed(self.content(index)),
            (None, _) => Cow::Borrowed(""),
        }
    }

    /// What stands there; none when absent.
    pub fn raw(&self, path: &Path) -> Option<&str> {
        let index = self.find(path)?;
        match &path.place {
            Some(place) => self.raw_at(index, place),
            None => Some(self.content(index)),
        }
    }

    /// Whether something stands there; the HL7 null `""` does, delimiters alone do not.
    pub fn has(&self, path: &Path) -> bool {
        match (self.find(path), &path.place) {
            (Some(index), Some(place)) => self.has_at(index, place),
            (index, _) => index.is_some(),
        }
    }

    /// What stands there, to be put somewhere else; empty when absent.
    pub fn part(&self, path: &Path) -> Part {
        Part { text: self.raw(path).unwrap_or_default().to_owned(), delimiters: self.delimiters }
    }

    /// How many segments there are, MSH included.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The name of this segment, MSH being 0; empty when there is no such segment.
    pub fn segment_name(&self, index: usize) -> &str {
        let text = self.segment_text(index).unwrap_or_default();
        &text[..memchr(self.delimiters.field, text.as_bytes()).unwrap_or(text.len())]
    }

    /// The text of this segment without its line end; none when there is no such segment.
    pub fn segment_text(&self, index: usize) -> Option<&str> {
        Some(self.segments.get(index)?.content.text(&self.original))
    }

    /// The places of all segments of this name, for the `…_at` functions.
    pub fn segments(&self, name: &str) -> Vec<usize> {
        (0..self.segment_count()).filter(|index| self.is_named(*index, name.as_bytes())).collect()
    }

    /// As [`Message::get`], within one segment.
    pub fn get_at(&self, index: usize, place: &Place) -> Cow<'_, str> {
        let Some(raw) = self.raw_at(index, place) else { return Cow::Borrowed("") };
        let escaped = self.delimiters.escape.is_some_and(|escape| memchr(escape, raw.as_bytes()).is_some());
        if !escaped
            || self.has_parts(raw, place)
            || pieces::holds_delimiters(self.content(index), place, &self.delimiters)
        {
            return Cow::Borrowed(raw);
        }
        self.decoded(raw)
    }

    /// Text of this message as it stands in it, with its escape sequences decoded.
    pub fn decoded<'a>(&self, raw: &'a str) -> Cow<'a, str> {
        // Only bytes written as `\Xhh\` have a charset of their own.
        let charset = if raw.contains('X') { self.charset.or_else(|| self.declared_charset()) } else { None };
        escape::decode_in(raw, &self.delimiters, charset.as_ref())
    }

    /// As [`Message::raw`], within one segment.
    pub fn raw_at(&self, index: usize, place: &Place) -> Option<&str> {
        pieces::at(self.segment_text(index)?, place, &self.delimiters)
    }

    /// As [`Message::has`], within one segment.
    pub fn has_at(&self, index: usize, place: &Place) -> bool {
        let Delimiters { component, subcomponent, .. } = self.delimiters;
        self.raw_at(index, place).is_some_and(|raw| {
            pieces::holds_delimiters(self.content(index), place, &self.delimiters)
                || raw.bytes().any(|byte| byte != component && Some(byte) != subcomponent)
        })
    }

    /// As [`Message::part`], within one segment.
    pub fn part_at(&self, index: usize, place: &Place) -> Part {
        let text = self.raw_at(index, place).unwrap_or_default().to_owned();
        Part { text, delimiters: self.delimiters }
    }

    /// The place of the segment that a path means.
    pub(super) fn find(&self, path: &Path) -> Option<usize> {
        let before = path.occurrence.checked_sub(1)? as usize;
        (0..self.segment_count()).filter(|index| self.is_named(*index, path.segment().as_bytes())).nth(before)
    }

    pub(super) fn content(&self, index: usize) -> &str {
        self.segments[index].content.text(&self.original)
    }

    fn is_named(&self, index: usize, name: &[u8]) -> bool {
        let rest = self.content(index).as_bytes().strip_prefix(name);
        rest.is_some_and(|rest| rest.first().is_none_or(|next| *next == self.delimiters.field))
    }

    fn has_parts(&self, raw: &str, place: &Place) -> bool {
        let Delimiters { component, subcomponent, .. } = self.delimiters;
        let lower = subcomponent.unwrap_or(component);
        match place {
            Place { component: None, .. } => memchr2(component, lower, raw.as_bytes()).is_some(),
            Place { subcomponent: None, .. } => {
                subcomponent.is_some() && memchr(lower, raw.as_bytes()).is_some()
            }
            _ => false,
        }
    }

    fn declared_charset(&self) -> Option<Charset> {
        Charset::named(self.raw_at(0, &Place::field(18))?)
    }

    fn assemble(&self) -> Arc<str> {
        let pieces = self.segments.iter().flat_map(|segment| [&segment.content, &segment.ending]);
        let mut text = String::with_capacity(self.original.len() + 64);
        text.push_str(&self.original[..self.lead]);
        text.extend(pieces.map(|piece| piece.text(&self.original)));
        text.into()
    }
}

impl Segment {
    fn original(line: &Range<usize>, next: usize) -> Segment {
        Segment { content: Piece::Original(line.clone()), ending: Piece::Original(line.end..next) }
    }
}

impl Dialect {
    /// The name of the first segment.
    fn header(self) -> &'static [u8] {
        match self {
            Dialect::Hl7 => b"MSH",
            Dialect::Hprim => b"H",
        }
    }
}

/// Shows the size only: a message is about a patient, and debug output ends in logs.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Message({} segments)", self.segment_count())
    }
}
