//! Character sets: bytes to text and back without ever losing a character.

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use encoding_rs::{DecoderResult, EncoderResult, Encoding};
use thiserror::Error;

use crate::hl7::header::Header;

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
#[derive(Clone)]
pub struct Decoded {
    /// The whole text; a byte order mark is its first character.
    pub text: Arc<str>,
    /// What it was decoded from, and is to be encoded in.
    pub charset: Charset,
    /// What an operator should know.
    pub flags: Vec<Flag>,
}

/// Why a charset is not simply the one that was declared, or is in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    /// ASCII was declared but there are bytes above 7F; taken as not given.
    AsciiWithHighBytes,
    /// MSH-18 names a charset we do not know; taken as not given.
    UnknownName(String),
    /// No charset was given and the bytes are not UTF-8: read as Windows-1252.
    GuessedWindows1252,
    /// Another charset was declared and obeyed, but the bytes are UTF-8: the text may look broken.
    LooksLikeUtf8,
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

    const ASCII: Charset = Charset(Kind::Ascii);

    /// Finds a charset by its name in MSH-18 (`8859/1`, `UNICODE UTF-8`) or elsewhere (`windows-1252`, `iso-8859-15`).
    pub fn named(name: &str) -> Option<Charset> {
        let name = name.trim().to_ascii_uppercase();
        if let Some(number) = name.strip_prefix("8859").and_then(|rest| rest.strip_prefix(['/', '-'])) {
            return Charset::labelled(&format!("ISO-8859-{number}"));
        }
        let kind = match name.as_str() {
            "ASCII" | "US-ASCII" | "ISO IR6" => Kind::Ascii,
            "UNICODE" | "UNICODE UTF-8" => Kind::Table(encoding_rs::UTF_8),
            "UNICODE UTF-16" | "UTF-16" | "UTF-16BE" | "UNICODE UTF-16BE" => Kind::Utf16Be,
            "UTF-16LE" | "UNICODE UTF-16LE" => Kind::Utf16Le,
            "ISO IR13" => Kind::Table(encoding_rs::SHIFT_JIS),
            "ISO IR14" | "ISO IR87" => Kind::Table(encoding_rs::ISO_2022_JP),
            "GB 18030-2000" | "GB 18030" => Kind::Table(encoding_rs::GB18030),
            "KS X 1001" => Kind::Table(encoding_rs::EUC_KR),
            "BIG-5" => Kind::Table(encoding_rs::BIG5),
            _ => return Charset::labelled(&name),
        };
        Some(Charset(kind))
    }

    fn labelled(label: &str) -> Option<Charset> {
        let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
        let holds_ascii = encoding != encoding_rs::X_USER_DEFINED && encoding.output_encoding() == encoding;
        holds_ascii.then_some(Charset(Kind::Table(encoding)))
    }

    /// The usual name, which [`Charset::named`] understands.
    pub fn name(&self) -> &'static str {
        match self.0 {
            Kind::Ascii => "ASCII",
            Kind::Utf16Le => "UTF-16LE",
            Kind::Utf16Be => "UTF-16BE",
            Kind::Table(encoding) => encoding.name(),
        }
    }

    /// Whether characters take two bytes or more.
    pub(crate) fn is_wide(&self) -> bool {
        matches!(self.0, Kind::Utf16Le | Kind::Utf16Be)
    }

    /// Decodes bytes; a byte order mark stays as the first character.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, str>, CharsetError> {
        let error = |at| CharsetError::Byte { at, charset: self.name() };
        match self.0 {
            Kind::Ascii if !bytes.is_ascii() => {
                Err(error(bytes.iter().take_while(|byte| byte.is_ascii()).count()))
            }
            Kind::Table(encoding) if encoding != encoding_rs::UTF_8 => {
                by_table(encoding, bytes).map_err(error)
            }
            Kind::Utf16Le => utf16(bytes, u16::from_le_bytes).map(Cow::Owned).map_err(error),
            Kind::Utf16Be => utf16(bytes, u16::from_be_bytes).map(Cow::Owned).map_err(error),
            Kind::Ascii | Kind::Table(_) => {
                std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|wrong| error(wrong.valid_up_to()))
            }
        }
    }

    /// Encodes text; gives back exactly the bytes that [`decode_hl7`] read, byte order mark included.
    pub fn encode(&self, text: &str) -> Result<Bytes, CharsetError> {
        let error = |at: usize| CharsetError::Character {
            character: text[at..].chars().next().unwrap_or_default(),
            at,
            charset: self.name(),
        };
        match self.0 {
            Kind::Ascii if !text.is_ascii() => Err(error(text.bytes().take_while(u8::is_ascii).count())),
            Kind::Table(encoding) if encoding != encoding_rs::UTF_8 => {
                into_table(encoding, text).map(Bytes::from).map_err(error)
            }
            Kind::Utf16Le => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            Kind::Utf16Be => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Kind::Ascii | Kind::Table(_) => Ok(Bytes::copy_from_slice(text.as_bytes())),
        }
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Decodes an HL7 message: in the charset of MSH-18, else the channel's, else UTF-8, else Windows-1252.
///
/// UTF-16 and byte order marks speak for themselves. Fails where bytes are not possible in a charset that was given.
pub fn decode_hl7(bytes: &[u8], fallback: Option<&Charset>) -> Result<Decoded, CharsetError> {
    if let Some(charset) = unmistakable(bytes) {
        return Ok(Decoded { text: charset.decode(bytes)?.into(), charset, flags: Vec::new() });
    }
    let name =
        Header::read(bytes).map(|header| header.charset().escape_ascii().to_string()).unwrap_or_default();
    let name = name.trim();
    let mut flags = Vec::new();
    let declared = Charset::named(name);
    if declared.is_none() && !name.is_empty() {
        flags.push(Flag::UnknownName(name.to_owned()));
    }
    let given = [declared.as_ref(), fallback];
    match given.into_iter().flatten().next() {
        // Its header would have told UTF-16.
        Some(charset) if charset.is_wide() => Err(CharsetError::Byte { at: 0, charset: charset.name() }),
        _ => decode_as(bytes, given, flags),
    }
}

/// Decodes text that cannot name its charset: in the channel's, else UTF-8, else Windows-1252.
pub fn decode_text(bytes: &[u8], charset: Option<&Charset>) -> Result<Decoded, CharsetError> {
    match unmistakable(bytes) {
        Some(charset) => Ok(Decoded { text: charset.decode(bytes)?.into(), charset, flags: Vec::new() }),
        None => decode_as(bytes, [charset, None], Vec::new()),
    }
}

/// Decodes in the first charset given that can be meant, else in the one that fits.
fn decode_as(
    bytes: &[u8],
    given: [Option<&Charset>; 2],
    mut flags: Vec<Flag>,
) -> Result<Decoded, CharsetError> {
    for charset in given.into_iter().flatten().copied() {
        if charset == Charset::ASCII && !bytes.is_ascii() {
            flags.push(Flag::AsciiWithHighBytes);
            continue;
        }
        let text = charset.decode(bytes)?;
        if charset != Charset::UTF_8 && !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok() {
            flags.push(Flag::LooksLikeUtf8);
        }
        return Ok(Decoded { text: text.into(), charset, flags });
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(Decoded { text: text.into(), charset: Charset::UTF_8, flags });
    }
    flags.push(Flag::GuessedWindows1252);
    let charset = Charset::WINDOWS_1252;
    Ok(Decoded { text: charset.decode(bytes)?.into(), charset, flags })
}

/// The charset that the first bytes leave no doubt about: a byte order mark, or the header of a message in UTF-16.
fn unmistakable(bytes: &[u8]) -> Option<Charset> {
    if bytes.starts_with(b"\xEF\xBB\xBF") { Some(Charset::UTF_8) } else { wide(bytes) }
}

/// Which UTF-16 this is, if it is.
pub(crate) fn wide(bytes: &[u8]) -> Option<Charset> {
    let narrow = |low: usize| -> Option<[u8; 3]> {
        let bytes = bytes.first_chunk::<6>()?;
        let high = 1 - low;
        ([bytes[high], bytes[high + 2], bytes[high + 4]] == [0; 3]).then_some([
            bytes[low],
            bytes[low + 2],
            bytes[low + 4],
        ])
    };
    let is_header =
        |name: Option<[u8; 3]>| name.is_some_and(|name| [*b"MSH", *b"FHS", *b"BHS"].contains(&name));
    match bytes {
        [0xFF, 0xFE, ..] => Some(Charset(Kind::Utf16Le)),
        [0xFE, 0xFF, ..] => Some(Charset(Kind::Utf16Be)),
        _ if is_header(narrow(0)) => Some(Charset(Kind::Utf16Le)),
        _ if is_header(narrow(1)) => Some(Charset(Kind::Utf16Be)),
        _ => None,
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, usize> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len() / 2);
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        text.push(character.map_err(|_| text.encode_utf16().count() * 2)?);
    }
    if odd.is_empty() { Ok(text) } else { Err(bytes.len() - 1) }
}

fn by_table<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Result<Cow<'a, str>, usize> {
    if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        return Ok(text);
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(
        decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len() * 4),
    );
    match decoder.decode_to_string_without_replacement(bytes, &mut text, true) {
        (DecoderResult::Malformed(wrong, after), read) => {
            Err(read.saturating_sub(usize::from(wrong) + usize::from(after)))
        }
        (_, read) => Err(read),
    }
}

/// The bytes of the text, else where the character is that the table lacks.
fn into_table(encoding: &'static Encoding, text: &str) -> Result<Vec<u8>, usize> {
    let mut encoder = encoding.new_encoder();
    let most = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
    let mut bytes = Vec::with_capacity(most.unwrap_or(text.len() * 4));
    match encoder.encode_from_utf8_to_vec_without_replacement(text, &mut bytes, true) {
        (EncoderResult::InputEmpty, _) => Ok(bytes),
        (EncoderResult::Unmappable(character), read) => Err(read - character.len_utf8()),
        (EncoderResult::OutputFull, read) => Err(read),
    }
}

/// Shows all but the text: it is about a patient, and debug output ends in logs.
impl fmt::Debug for Decoded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Decoded({} bytes, {}, {:?})", self.text.len(), self.charset, self.flags)
    }
}
