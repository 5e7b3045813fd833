//! A place of a segment, cut into what it is made of, each piece decoded and fit to stand in FHIR.

use std::borrow::Cow;

use formats::hl7::{Message, Place};

/// A place of a segment of a message.
pub(crate) struct Sight<'a> {
    pub(crate) message: &'a Message,
    pub(crate) index: usize,
    pub(crate) place: Place,
}

impl<'a> Sight<'a> {
    /// What stands there; its first repetition where it is a field.
    pub(crate) fn parts(&self) -> Parts<'a> {
        self.at(self.place)
    }

    /// All repetitions that hold something.
    pub(crate) fn repetitions(&self) -> impl Iterator<Item = Parts<'a>> {
        let pieces = (self.place.repetition..u16::MAX)
            .map(|repetition| Place { repetition, ..self.place })
            .map_while(|place| self.message.raw_at(self.index, &place).map(|_| self.at(place)));
        pieces.filter(|parts| !parts.is_empty())
    }

    /// `PID-7`.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.message.segment_name(self.index), self.place.field)
    }

    fn at(&self, place: Place) -> Parts<'a> {
        let delimiters = self.message.delimiters();
        let raw = self.message.raw_at(self.index, &place).unwrap_or_default();
        let delimiter = match place {
            Place { subcomponent: Some(_), .. } => None,
            Place { component: Some(_), .. } => delimiters.subcomponent,
            _ => Some(delimiters.component),
        };
        Parts { message: self.message, raw, delimiter }
    }
}

/// What stands at a place, with the delimiter that cuts it further.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    message: &'a Message,
    raw: &'a str,
    delimiter: Option<u8>,
}

impl<'a> Parts<'a> {
    /// The whole of it as text.
    pub(crate) fn whole(&self) -> Cow<'a, str> {
        readable(self.message.decoded(self.raw))
    }

    /// A component (or subcomponent) as text, from 1; empty where it is absent or the HL7 null.
    pub(crate) fn text(&self, number: usize) -> Cow<'a, str> {
        let raw = self.piece(number);
        if raw.is_empty() { Cow::Borrowed("") } else { readable(self.message.decoded(raw)) }
    }

    /// A component with its subcomponents.
    pub(crate) fn part(&self, number: usize) -> Parts<'a> {
        Parts { message: self.message, raw: self.piece(number), delimiter: self.below() }
    }

    /// The first of several components that holds something.
    pub(crate) fn first_of(&self, numbers: &[usize]) -> Cow<'a, str> {
        numbers.iter().map(|number| self.text(*number)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// As it stands in the message.
    pub(crate) fn raw(&self) -> &'a str {
        self.raw
    }

    /// Nothing, delimiters alone, or the HL7 null.
    pub(crate) fn is_empty(&self) -> bool {
        let delimiters = self.message.delimiters();
        let cuts = |byte: u8| byte == delimiters.component || Some(byte) == delimiters.subcomponent;
        self.raw == "\"\"" || self.raw.bytes().all(|byte| cuts(byte) || byte == b' ')
    }

    /// Whether it is cut at all.
    pub(crate) fn has_parts(&self) -> bool {
        self.delimiter.is_some_and(|delimiter| self.raw.as_bytes().contains(&delimiter))
    }

    /// The components from a number on, as if they were subcomponents: an owner that is written in three components.
    pub(crate) fn from(&self, number: usize) -> Parts<'a> {
        let Some(delimiter) = self.delimiter else { return Parts { raw: "", ..*self } };
        let skipped = self.raw.match_indices(char::from(delimiter)).nth(number - 2);
        Parts { raw: skipped.map_or("", |(at, _)| &self.raw[at + 1..]), ..*self }
    }

    fn piece(&self, number: usize) -> &'a str {
        let piece = match self.delimiter {
            Some(delimiter) => nth(self.raw, delimiter, number - 1).unwrap_or_default(),
            None if number == 1 => self.raw,
            None => "",
        };
        if piece == "\"\"" { "" } else { piece }
    }

    fn below(&self) -> Option<u8> {
        let delimiters = self.message.delimiters();
        if self.delimiter == Some(delimiters.component) { delimiters.subcomponent } else { None }
    }
}

/// The piece with this number, from 0. Components are short: to look at each byte is quicker than to prepare a search.
fn nth(text: &str, delimiter: u8, number: usize) -> Option<&str> {
    let mut pieces = text.as_bytes().split(|byte| *byte == delimiter);
    let before: usize = pieces.by_ref().take(number).map(|piece| piece.len() + 1).sum();
    let length = pieces.next()?.len();
    text.get(before..before + length)
}

/// Text as a FHIR `string` may hold it: without blanks around it and without control characters.
pub(crate) fn readable(text: Cow<'_, str>) -> Cow<'_, str> {
    // Nearly all of it is so already.
    let is_plain = |byte: &u8| (b'!'..=b'~').contains(byte) && *byte != b'"';
    let bytes = text.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    if ends.is_some_and(|(first, last)| is_plain(first) && is_plain(last))
        && bytes.iter().all(|byte| (b' '..=b'~').contains(byte))
    {
        return text;
    }
    match text {
        Cow::Borrowed(text) => cleaned(text),
        Cow::Owned(text) => Cow::Owned(cleaned(&text).into_owned()),
    }
}

fn cleaned(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text == "\"\"" {
        return Cow::Borrowed("");
    }
    let is_odd = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    if text.chars().any(is_odd) {
        let kept: String = text.chars().filter(|character| !is_odd(*character)).collect();
        return Cow::Owned(kept.trim().to_owned());
    }
    Cow::Borrowed(text)
}

/// Text as a FHIR `code` may hold it: single blanks between words.
pub(crate) fn code(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_odd = |pair: &[u8]| pair == b"  " || (pair[0].is_ascii_whitespace() && pair[0] != b' ');
    let last = text.bytes().last().is_some_and(|byte| byte.is_ascii_whitespace() && byte != b' ');
    if last || text.as_bytes().windows(2).any(is_odd) {
        return Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    text
}
