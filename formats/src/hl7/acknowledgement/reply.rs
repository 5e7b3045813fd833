//! Writes the segments of an answer in the delimiters and the charset of the message it answers.

use std::borrow::Cow;

use crate::{
    charset::{self, Charset},
    hl7::{Delimiters, escape, header::Header},
};

/// An answer being written. Fields are bytes as they shall stand.
pub(super) struct Reply<'a> {
    message: &'a [u8],
    header: Option<Header<'a>>,
    delimiters: Delimiters,
    charset: Option<Charset>,
    bytes: Vec<u8>,
}

impl<'a> Reply<'a> {
    /// Begins the answer to a message, whatever it is.
    pub(super) fn to(message: &'a [u8], charset: Option<Charset>) -> Reply<'a> {
        Reply::with(message, Header::rescue(message, b"MSH"), charset)
    }

    /// Begins an answer with what the line of this name says; none if there is no such line.
    pub(super) fn to_batch(message: &'a [u8], name: &str) -> Option<Reply<'a>> {
        let header = Header::rescue(message, name.as_bytes())?;
        Some(Reply::with(message, Some(header), None))
    }

    fn with(message: &'a [u8], header: Option<Header<'a>>, charset: Option<Charset>) -> Reply<'a> {
        let delimiters = header.as_ref().map_or(Delimiters::STANDARD, |header| *header.delimiters());
        Reply { message, header, delimiters, charset, bytes: Vec::with_capacity(256) }
    }

    /// Whether the message is of version 2.`minor` or later; one that does not say is.
    pub(super) fn is_version(&self, minor: u32) -> bool {
        let version = self.header.as_ref().and_then(|header| header.version().strip_prefix(b"2."));
        let digits = version.and_then(|version| version.split(|byte| !byte.is_ascii_digit()).next());
        let found = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
        found.is_none_or(|found| found >= minor)
    }

    /// A field of the message's header as it stands.
    pub(super) fn echo(&self, number: usize) -> Vec<u8> {
        self.header.as_ref().map(|header| header.field(number).to_vec()).unwrap_or_default()
    }

    /// A field of the message's header as it stands, or this where it is empty.
    pub(super) fn echo_or(&self, number: usize, otherwise: &str) -> Vec<u8> {
        Some(self.echo(number)).filter(|field| !field.is_empty()).unwrap_or_else(|| self.words(otherwise))
    }

    /// MSH-18 as it stands; empty if it says UTF-16 and the message is not, since the answer is not either.
    pub(super) fn declared_charset(&self) -> Vec<u8> {
        let name = self.header.as_ref().map(|header| header.charset().escape_ascii().to_string());
        let wide = name.and_then(|name| Charset::named(&name)).is_some_and(|charset| charset.is_wide());
        if wide && charset::wide(self.message).is_none() { Vec::new() } else { self.echo(18) }
    }

    /// MSH-9.2 of the message.
    pub(super) fn trigger_event(&self) -> &[u8] {
        self.header.as_ref().map_or(&[], Header::trigger_event)
    }

    /// A leaf with this text. Where the charset lacks a character, an escape sequence names its bytes in UTF-8.
    pub(super) fn words(&self, text: &str) -> Vec<u8> {
        let text = text.replace(char::is_control, " ");
        let encoded =
            escape::encode(&text, &self.delimiters).unwrap_or_else(|_| Cow::Owned(self.blanked(&text)));
        if encoded.is_ascii() {
            return encoded.into_owned().into_bytes();
        }
        let charset = self.text_charset();
        match charset.encode(&encoded) {
            Ok(bytes) => bytes.into(),
            Err(_) => encoded.chars().flat_map(|character| self.character(character, charset)).collect(),
        }
    }

    /// A field of these components, without the empty ones at its end.
    pub(super) fn components(&self, parts: &[Vec<u8>]) -> Vec<u8> {
        joined(parts, self.delimiters.component)
    }

    /// A component of these subcomponents, or only the first where the message has none.
    pub(super) fn subcomponents(&self, parts: &[Vec<u8>]) -> Vec<u8> {
        match self.delimiters.subcomponent {
            Some(delimiter) => joined(parts, delimiter),
            None => parts.first().cloned().unwrap_or_default(),
        }
    }

    /// Writes a segment that begins with the delimiters; the first of the fields has number 3.
    pub(super) fn header(&mut self, name: &str, fields: Vec<Vec<u8>>) {
        let declaration = self.delimiters.declaration().collect();
        self.segment(name, [vec![declaration], fields].concat());
    }

    /// Writes a segment, without the empty fields at its end.
    pub(super) fn segment(&mut self, name: &str, fields: Vec<Vec<u8>>) {
        let line = joined(&[vec![name.into()], fields].concat(), self.delimiters.field);
        self.bytes.extend(line);
        self.bytes.push(b'\r');
    }

    /// The byte order mark of UTF-16, if the message has one.
    pub(super) fn mark(&self) -> &'a [u8] {
        match self.message {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] if self.header.is_some() => &self.message[..2],
            _ => &[],
        }
    }

    /// What was written, in the encoding of the message and without its byte order mark.
    pub(super) fn finish(self) -> Vec<u8> {
        let Some(wide) = charset::wide(self.message).filter(|_| self.header.is_some()) else {
            return self.bytes;
        };
        let text = String::from_utf8_lossy(&self.bytes);
        wide.encode(&text).map(Vec::from).unwrap_or(self.bytes)
    }

    fn text_charset(&self) -> Charset {
        if charset::wide(self.message).is_some() {
            return Charset::UTF_8;
        }
        let decoded = || charset::decode_hl7(self.message, None).map(|decoded| decoded.charset);
        self.charset.or_else(|| decoded().ok()).unwrap_or(Charset::UTF_8)
    }

    /// The text without its delimiters, for a message that cannot escape them.
    fn blanked(&self, text: &str) -> String {
        let is_delimiter =
            |character| u8::try_from(character).is_ok_and(|byte| self.delimiters.letter(byte).is_some());
        text.replace(is_delimiter, " ")
    }

    fn character(&self, character: char, charset: Charset) -> Vec<u8> {
        let mut buffer = [0; 4];
        let text = character.encode_utf8(&mut buffer);
        match (charset.encode(text), self.delimiters.escape) {
            (Ok(bytes), _) => bytes.into(),
            (Err(_), None) => b" ".to_vec(),
            (Err(_), Some(escape)) => {
                let hex = text.bytes().flat_map(|byte| format!("{byte:02X}").into_bytes());
                [escape, b'X'].into_iter().chain(hex).chain([escape]).collect()
            }
        }
    }
}

fn joined(parts: &[Vec<u8>], delimiter: u8) -> Vec<u8> {
    let count = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
    parts[..count].join(&delimiter)
}
