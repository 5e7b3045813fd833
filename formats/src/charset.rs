//! Character sets: bytes to text and back without ever losing a character.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use encoding_rs::Encoding;
use thiserror::Error;

/// A character set that a message or a channel can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ascii,
    Utf16Le,
    Utf16Be,
    Table(&'static Encoding),
}

/// Text, and how it was got from the bytes.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The whole text; a byte order mark is its first character.
    pub text: Arc<str>,
    /// What it was decoded from, and is to be encoded in.
    pub charset: Charset,
    /// What an operator should know.
    pub flags: Vec<Flag>,
}

/// Why a charset is not simply the one that was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    /// MSH-18 says ASCII but there are bytes above 7F; taken as not given.
    AsciiWithHighBytes,
    /// MSH-18 names a charset we do not know; taken as not given.
    UnknownName(String),
    /// No charset was given and the bytes are not UTF-8: read as Windows-1252.
    GuessedWindows1252,
}

/// A byte or character that a charset cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CharsetError {
    /// A byte that is none of the charset's.
    #[error("byte {at} is not {charset}")]
    Byte {
        /// The offset from 0.
        at: usize,
        /// The charset's name.
        charset: &'static str,
    },
    /// A character that the charset lacks.
    #[error("`{character}` (at byte {at} of the text) does not exist in {charset}")]
    Character {
        /// The character.
        character: char,
        /// The offset in the text, from 0.
        at: usize,
        /// The charset's name.
        charset: &'static str,
    },
}

impl Charset {
    /// UTF-8.
    pub const UTF_8: Charset = Charset(Kind::Table(encoding_rs::UTF_8));
    /// Windows-1252, which is also how `8859/1` is read.
    pub const WINDOWS_1252: Charset = Charset(Kind::Table(encoding_rs::WINDOWS_1252));

    /// Finds a charset by its name in MSH-18 (`8859/1`, `UNICODE UTF-8`) or elsewhere (`windows-1252`, `iso-8859-15`).
    pub fn named(name: &str) -> Option<Charset> {
        let _ = name;
        unimplemented!()
    }

    /// The usual name, which [`Charset::named`] understands.
    pub fn name(&self) -> &'static str {
        let _ = (Kind::Ascii, Kind::Utf16Le, Kind::Utf16Be);
        unimplemented!()
    }

    /// Decodes bytes; a byte order mark stays as the first character.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, str>, CharsetError> {
        let _ = bytes;
        unimplemented!()
    }

    /// Encodes text; gives back exactly the bytes that [`decode_hl7`] read, byte order mark included.
    pub fn encode(&self, text: &str) -> Result<Bytes, CharsetError> {
        let _ = text;
        unimplemented!()
    }
}

/// Decodes an HL7 message: in the charset of MSH-18, else the channel's, else UTF-8, else Windows-1252.
pub fn decode_hl7(bytes: &[u8], fallback: Option<&Charset>) -> Result<Decoded, CharsetError> {
    let _ = (bytes, fallback);
    unimplemented!()
}

/// Decodes text that cannot name its charset: in the channel's, else UTF-8, else Windows-1252.
pub fn decode_text(bytes: &[u8], charset: Option<&Charset>) -> Result<Decoded, CharsetError> {
    let _ = (bytes, charset);
    unimplemented!()
}
