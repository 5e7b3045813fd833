//! Escape sequences: what stands between escape characters in a field, and how text becomes safe to stand in one.

use std::borrow::Cow;

use memchr::memchr;

use super::{Delimiters, EditError};
use crate::charset::Charset;

/// The most empty lines that `\.spN\` may ask for.
const MOST_LINES: usize = 99;

/// Decodes the escape sequences of a leaf. What is no sequence stays as it stands.
///
/// The bytes of `\Xhh..\` are read as UTF-8, else as Windows-1252; see [`decode_in`].
pub fn decode<'a>(text: &'a str, delimiters: &Delimiters) -> Cow<'a, str> {
    decode_in(text, delimiters, None)
}

/// Decodes as [`decode`], with the bytes of `\Xhh..\` in this charset where it can hold them.
pub fn decode_in<'a>(text: &'a str, delimiters: &Delimiters, charset: Option<&Charset>) -> Cow<'a, str> {
    let Some(escape) = delimiters.escape else { return Cow::Borrowed(text) };
    let Some(first) = memchr(escape, text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut decoded = String::with_capacity(text.len());
    decoded.push_str(&text[..first]);
    let mut reading = Decoder { delimiters, charset, decoded, hex: Vec::new() };
    reading.run(&text[first..], escape);
    Cow::Owned(reading.decoded)
}

/// Encodes every delimiter and line break, so that [`decode`] gives the same text back.
///
/// Fails only with [`EditError::NoEscape`]: the text needs a sequence and the message has no escape character.
pub fn encode<'a>(text: &'a str, delimiters: &Delimiters) -> Result<Cow<'a, str>, EditError> {
    let Some(first) = text.bytes().position(|byte| sequence(byte, delimiters).is_some()) else {
        return Ok(Cow::Borrowed(text));
    };
    let escape = char::from(delimiters.escape.ok_or(EditError::NoEscape)?);
    let mut encoded = String::with_capacity(text.len() + 16);
    encoded.push_str(&text[..first]);
    for character in text[first..].chars() {
        match u8::try_from(character).ok().and_then(|byte| sequence(byte, delimiters)) {
            Some(Sequence::Letter(letter)) => encoded.extend([escape, letter.into(), escape]),
            Some(Sequence::LineBreak(hex)) => {
                encoded.push(escape);
                encoded.push_str(hex);
                encoded.push(escape);
            }
            None => encoded.push(character),
        }
    }
    Ok(Cow::Owned(encoded))
}

/// What stands between the escape characters for one byte.
enum Sequence {
    Letter(u8),
    LineBreak(&'static str),
}

fn sequence(byte: u8, delimiters: &Delimiters) -> Option<Sequence> {
    match byte {
        b'\r' => Some(Sequence::LineBreak("X0D")),
        b'\n' => Some(Sequence::LineBreak("X0A")),
        _ => delimiters.letter(byte).map(Sequence::Letter),
    }
}

struct Decoder<'a> {
    delimiters: &'a Delimiters,
    charset: Option<&'a Charset>,
    decoded: String,
    /// Bytes of hex sequences side by side: together they may be one character.
    hex: Vec<u8>,
}

impl Decoder<'_> {
    /// Reads on from an escape character.
    fn run(&mut self, mut rest: &str, escape: u8) {
        while let Some(start) = memchr(escape, rest.as_bytes()) {
            self.keep(&rest[..start]);
            let after = &rest[start + 1..];
            let closing = memchr(escape, after.as_bytes());
            let taken = closing.map_or(0, |end| self.take(&after[..end]));
            if taken == 0 {
                // Not a sequence: the character stands for itself, and what follows may begin one.
                self.keep(&rest[start..=start]);
            }
            rest = &after[taken..];
        }
        self.keep(rest);
        self.flush();
    }

    /// Decodes what stands between two escape characters; gives how much was read, the closing one included.
    fn take(&mut self, sequence: &str) -> usize {
        if let Some(bytes) = sequence.strip_prefix('X').and_then(hex_bytes) {
            self.hex.extend(bytes);
            return sequence.len() + 1;
        }
        self.flush();
        match sequence {
            "H" | "N" => {}
            ".br" => self.decoded.push('\n'),
            _ => {
                if let Some(count) = lines(sequence) {
                    self.decoded.extend(std::iter::repeat_n('\n', count));
                } else if let Some(delimiter) = self.delimiter(sequence) {
                    self.decoded.push(delimiter);
                } else if is_foreign(sequence) {
                    let escape = self.delimiters.escape.map(char::from);
                    self.decoded.extend(escape);
                    self.decoded.push_str(sequence);
                    self.decoded.extend(escape);
                } else {
                    return 0;
                }
            }
        }
        sequence.len() + 1
    }

    fn delimiter(&self, sequence: &str) -> Option<char> {
        let [letter] = sequence.as_bytes() else { return None };
        self.delimiters.delimiter(*letter).map(char::from)
    }

    fn keep(&mut self, text: &str) {
        if !text.is_empty() {
            self.flush();
            self.decoded.push_str(text);
        }
    }

    fn flush(&mut self) {
        if self.hex.is_empty() {
            return;
        }
        // In UTF-16 too, `\X0D0A\` means two line ends and not a letter.
        let single = self.charset.filter(|charset| !charset.is_wide());
        let declared = single.and_then(|charset| charset.decode(&self.hex).ok());
        let text = declared.unwrap_or_else(|| readable(&self.hex));
        self.decoded.push_str(&text);
        self.hex.clear();
    }
}

/// UTF-8, else Windows-1252, which holds every byte.
fn readable(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Charset::WINDOWS_1252.decode(bytes).expect("Windows-1252 holds every byte"),
    }
}

fn hex_bytes(digits: &str) -> Option<impl Iterator<Item = u8>> {
    let sound = !digits.is_empty()
        && digits.len().is_multiple_of(2)
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    sound.then(|| digits.as_bytes().chunks_exact(2).map(move |pair| value(pair[0]) << 4 | value(pair[1])))
}

/// How many line ends `.sp` or `.spN` asks for.
fn lines(sequence: &str) -> Option<usize> {
    match sequence.strip_prefix(".sp")?.trim_start_matches('+') {
        "" => Some(1),
        digits => digits.parse().ok().filter(|count| *count <= MOST_LINES),
    }
}

/// Whether this stands for something else than a delimiter, and for the same in every message.
pub(super) fn is_same_everywhere(sequence: &str) -> bool {
    matches!(sequence, "H" | "N") || is_foreign(sequence)
}

/// A sequence that the standard or a site knows and we do not, such as `.in+4`, `C2842` or `Z12`: it is kept whole.
fn is_foreign(sequence: &str) -> bool {
    let Some((first, rest)) = sequence.as_bytes().split_first() else { return false };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-".contains(byte);
    b".CMXZ".contains(first) && !rest.is_empty() && rest.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::{Delimiters, decode, decode_in, encode};
    use crate::charset::Charset;

    fn decoded(text: &str) -> String {
        decode(text, &Delimiters::STANDARD).into_owned()
    }

    #[test]
    fn the_sequences_of_the_standard_are_decoded() {
        assert_eq!(decoded(r"D\T\G, O\S\NEIL \F\ \R\ \E\"), r"D&G, O^NEIL | ~ \");
        assert_eq!(decoded(r"one\.br\two\.sp\three\.sp2\four"), "one\ntwo\nthree\n\nfour");
        assert_eq!(decoded(r"\H\important\N\ normal"), "important normal");
        assert_eq!(decoded(r"a\X0D\b\X0d0A\c"), "a\rb\r\nc");
        assert_eq!(decoded(r"Hélène \T\ fils, éé\F\x"), "Hélène & fils, éé|x");
    }

    #[test]
    fn hexadecimal_bytes_are_read_in_the_charset() {
        assert_eq!(decoded(r"\XC3A9\ \XC3\\XA9\ \XE9\"), "é é é");
        let greek = Charset::named("8859/7").unwrap();
        assert_eq!(decode_in(r"\XE1\", &Delimiters::STANDARD, Some(&greek)), "α");
    }

    #[test]
    fn what_is_no_sequence_stays() {
        for text in [
            r"\f\",
            r"\X0G\",
            r"\X0\",
            r"\X\",
            r"C:\dir",
            r"a\",
            r"\",
            r"\\",
            r"\.in+4\",
            r"\C2842\",
            r"\Z12\",
            r"\.sp1000\",
        ] {
            assert_eq!(decoded(text), text);
        }
        assert_eq!(decoded(r"a \ b \T\ c"), r"a \ b & c");
        assert_eq!(decoded(r"\Z12\F\Z13\"), r"\Z12\F\Z13\");
    }

    #[test]
    fn other_delimiters_are_respected() {
        let other = Delimiters::read(b"MSH#*:!@#").unwrap();
        assert_eq!(decode("!F!!S!!R!!E!!T! \\F\\", &other), "#*:!@ \\F\\");
        assert_eq!(encode("a#b|c", &other).unwrap(), "a!F!b|c");
        let none = Delimiters::read(b"MSH|^~|").unwrap();
        assert_eq!(decode(r"\F\", &none), r"\F\");
        assert_eq!(encode("plain & simple", &none).unwrap(), "plain & simple");
        assert!(encode("a|b", &none).is_err());
    }

    #[test]
    fn encoding_hides_every_delimiter_and_line_break() {
        assert_eq!(
            encode("A|B^C~D\\E&F\r\n", &Delimiters::STANDARD).unwrap(),
            r"A\F\B\S\C\R\D\E\E\T\F\X0D\\X0A\"
        );
    }
}
