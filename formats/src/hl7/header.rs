//! The header of a message, read from its bytes before anything is decoded.

use std::{borrow::Cow, fmt, ops::Range};

use memchr::memmem;

pub use super::ParseError as HeaderError;
use super::{Delimiters, Why, lines::lines, pieces};
use crate::charset;

/// The fields of MSH as they stand. Bytes in UTF-16 are turned into UTF-8; all others are as they came.
#[derive(Clone)]
pub struct Header<'a> {
    message: Cow<'a, [u8]>,
    line: Range<usize>,
    delimiters: Delimiters,
    /// Whether the message came in UTF-16, so that places in it count double.
    wide: bool,
}

impl<'a> Header<'a> {
    /// Finds MSH and its delimiters.
    pub fn read(message: &'a [u8]) -> Result<Header<'a>, HeaderError> {
        let (message, wide) = narrow(message)?;
        let error = |at, why| HeaderError { at: if wide { wide_place(&message, at) } else { at }, why };
        let Some(line) = lines(&message).next() else { return Err(error(0, Why::Empty)) };
        if !message[line.clone()].starts_with(b"MSH") {
            return Err(error(line.start, Why::NotHl7));
        }
        let delimiters =
            Delimiters::read(&message[line.clone()]).map_err(|(at, why)| error(line.start + at, why))?;
        Ok(Header { message, line, delimiters, wide })
    }

    /// Finds the first line with this name and makes the best of its delimiters, for the answer to what cannot be read.
    pub(super) fn rescue(message: &'a [u8], name: &[u8]) -> Option<Header<'a>> {
        let (message, wide) = narrow(message).ok()?;
        // A batch header may stand behind the file's; a message begins with its own.
        let among = if name == b"MSH" { 1 } else { 2 };
        let line = lines(&message).take(among).find(|line| message[line.clone()].starts_with(name))?;
        let text = &message[line.clone()];
        let delimiters = Delimiters::read(text).ok().or_else(|| Delimiters::rescued(text))?;
        Some(Header { message, line, delimiters, wide })
    }

    /// Says why the message cannot be taken: no MSH-9, nothing after MSH, a second MSH.
    pub fn readable(&self) -> Result<(), HeaderError> {
        if self.message_code().is_empty() {
            let field = pieces::field(self.line(), self.delimiters.field, 9);
            let at = field.map_or(self.line.end, |field| self.line.start + field.start);
            return Err(self.error(at, Why::NoMessageType));
        }
        if let Some(at) = self.second() {
            return Err(self.error(at, Why::SecondHeader));
        }
        match lines(&self.message[self.line.end..]).next() {
            Some(_) => Ok(()),
            None => Err(self.error(self.line.end, Why::NothingAfterHeader)),
        }
    }

    /// The delimiters of the message.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// A field of MSH as it stands, all repetitions and components; empty when absent.
    pub fn field(&self, number: usize) -> &[u8] {
        let line = self.line();
        pieces::field(line, self.delimiters.field, number).map_or(&[], |range| &line[range])
    }

    /// The first component of the first repetition of a field, as it stands.
    pub fn first(&self, number: usize) -> &[u8] {
        self.component(number, 0)
    }

    /// A field as text, for people: UTF-8, else Windows-1252.
    pub fn text(&self, number: usize) -> Cow<'_, str> {
        let field = self.field(number);
        match std::str::from_utf8(field) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => charset::Charset::WINDOWS_1252.decode(field).expect("Windows-1252 holds every byte"),
        }
    }

    /// MSH-3 and MSH-4, which together name the sender.
    pub fn sender(&self) -> (&[u8], &[u8]) {
        (self.field(3), self.field(4))
    }

    /// MSH-9.1, such as `ADT`.
    pub fn message_code(&self) -> &[u8] {
        self.first(9)
    }

    /// MSH-9.2, such as `A01`.
    pub fn trigger_event(&self) -> &[u8] {
        self.component(9, 1)
    }

    /// The whole of MSH-10.
    pub fn control_id(&self) -> &[u8] {
        self.field(10)
    }

    /// MSH-11.1.
    pub fn processing_id(&self) -> &[u8] {
        self.first(11)
    }

    /// MSH-12.1.
    pub fn version(&self) -> &[u8] {
        self.first(12)
    }

    /// MSH-15, what the sender wants to hear at once: `AL`, `NE`, `ER`, `SU` or nothing.
    pub fn accept_acknowledgement(&self) -> &[u8] {
        self.first(15)
    }

    /// MSH-16, what the sender wants to hear in the end: `AL`, `NE`, `ER`, `SU` or nothing.
    pub fn application_acknowledgement(&self) -> &[u8] {
        self.first(16)
    }

    /// The first repetition of MSH-18.
    pub fn charset(&self) -> &[u8] {
        self.first(18)
    }

    /// The whole message: in UTF-8 if it came in UTF-16, else as it came.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Where the header stands in [`Header::message`].
    pub(super) fn place(&self) -> Range<usize> {
        self.line.clone()
    }

    fn line(&self) -> &[u8] {
        &self.message[self.line.clone()]
    }

    fn component(&self, number: usize, component: usize) -> &[u8] {
        let field = self.field(number);
        let repetition =
            pieces::nth(field, self.delimiters.repetition, 0).map_or(field, |range| &field[range]);
        pieces::nth(repetition, self.delimiters.component, component).map_or(&[], |range| &repetition[range])
    }

    /// Where another line begins with MSH.
    fn second(&self) -> Option<usize> {
        let rest = &self.message[self.line.end..];
        memmem::find_iter(rest, b"MSH").map(|at| self.line.end + at).find(|at| {
            let ends_name = self
                .message
                .get(at + 3)
                .is_none_or(|next| *next == self.delimiters.field || b"\r\n".contains(next));
            ends_name && begins_line(&self.message[..*at])
        })
    }

    fn error(&self, at: usize, why: Why) -> HeaderError {
        HeaderError { at: if self.wide { wide_place(&self.message, at) } else { at }, why }
    }
}

/// Shows the type only: the rest of the message is about a patient, and debug output ends in logs.
impl fmt::Debug for Header<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Header({})", self.text(9))
    }
}

/// The message in a charset that holds ASCII as single bytes.
fn narrow(message: &[u8]) -> Result<(Cow<'_, [u8]>, bool), HeaderError> {
    let Some(charset) = charset::wide(message) else { return Ok((Cow::Borrowed(message), false)) };
    match charset.decode(message) {
        Ok(text) => Ok((Cow::Owned(text.into_owned().into_bytes()), true)),
        Err(charset::CharsetError::Byte { at, .. } | charset::CharsetError::Character { at, .. }) => {
            Err(HeaderError { at, why: Why::Charset })
        }
    }
}

/// The place in UTF-16 of a place in the same text in UTF-8.
fn wide_place(text: &[u8], at: usize) -> usize {
    let before = String::from_utf8_lossy(&text[..at]);
    before.encode_utf16().count() * 2
}

fn begins_line(before: &[u8]) -> bool {
    let line_break = before.iter().rev().find(|byte| !matches!(byte, b' ' | b'\t'));
    line_break.is_none_or(|byte| matches!(byte, b'\r' | b'\n'))
}
