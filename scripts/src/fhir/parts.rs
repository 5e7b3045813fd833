//! A place of a segment, cut into what it is made of, each piece decoded and fit to stand in FHIR.

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
    pub(crate) fn whole(&self) -> String {
        readable(&self.message.decoded(self.raw))
    }

    /// A component (or subcomponent) as text, from 1; empty where it is absent or the HL7 null.
    pub(crate) fn text(&self, number: usize) -> String {
        let raw = self.piece(number);
        if raw.is_empty() { String::new() } else { readable(&self.message.decoded(raw)) }
    }

    /// A component with its subcomponents.
    pub(crate) fn part(&self, number: usize) -> Parts<'a> {
        Parts { message: self.message, raw: self.piece(number), delimiter: self.below() }
    }

    /// The first of several components that holds something.
    pub(crate) fn first_of(&self, numbers: &[usize]) -> String {
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
            Some(delimiter) => self.raw.split(char::from(delimiter)).nth(number - 1).unwrap_or_default(),
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

/// Text as a FHIR `string` may hold it: without blanks around it and without control characters.
pub(crate) fn readable(text: &str) -> String {
    let text = text.trim();
    if text == "\"\"" {
        return String::new();
    }
    let is_odd = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    if text.chars().any(is_odd) {
        return text.chars().filter(|character| !is_odd(*character)).collect::<String>().trim().to_owned();
    }
    text.to_owned()
}

/// Text as a FHIR `code` may hold it: single blanks between words.
pub(crate) fn code(text: String) -> String {
    let is_sound =
        !text.contains("  ") && !text.bytes().any(|byte| byte.is_ascii_whitespace() && byte != b' ');
    if is_sound { text } else { text.split_whitespace().collect::<Vec<_>>().join(" ") }
}
