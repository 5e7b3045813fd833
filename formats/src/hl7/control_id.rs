//! Gives a message another MSH-10.

use super::{Delimiters, ParseError, Why, header::Header, pieces};
use crate::charset::{self, Charset, CharsetError};

/// The message with this MSH-10, taken as it shall stand there; the rest is byte for byte the same.
pub fn with_control_id(message: &[u8], control_id: &str) -> Result<Vec<u8>, ParseError> {
    let header = Header::read(message)?;
    let field = header.delimiters().field;
    if control_id.bytes().any(|byte| byte == field || b"\r\n".contains(&byte)) {
        return Err(ParseError { at: header.place().start, why: Why::BadControlId });
    }
    match charset::wide(message) {
        Some(charset) => encoded(charset, &spliced(&header, control_id.as_bytes())),
        None if control_id.is_ascii() => Ok(spliced(&header, control_id.as_bytes())),
        None => {
            let charset = charset::decode_hl7(message, None).map_err(|error| impossible(&error))?.charset;
            let control_id = charset.encode(control_id).map_err(|error| impossible(&error))?;
            Ok(spliced(&header, &control_id))
        }
    }
}

fn spliced(header: &Header<'_>, control_id: &[u8]) -> Vec<u8> {
    let message = header.message();
    let line = header.place();
    let Delimiters { field, .. } = *header.delimiters();
    let (before, filling, after) = match pieces::nth(&message[line.clone()], field, 9) {
        Ok(place) => (line.start + place.start, 0, line.start + place.end),
        Err(present) => (line.end, 9 - present, line.end),
    };
    [&message[..before], &vec![field; filling], control_id, &message[after..]].concat()
}

fn encoded(charset: Charset, text: &[u8]) -> Result<Vec<u8>, ParseError> {
    let text = String::from_utf8_lossy(text);
    charset.encode(&text).map(Vec::from).map_err(|error| impossible(&error))
}

fn impossible(error: &CharsetError) -> ParseError {
    let (CharsetError::Byte { at, .. } | CharsetError::Character { at, .. }) = error;
    ParseError { at: *at, why: Why::Charset }
}

#[cfg(test)]
mod tests {
    use super::with_control_id;

    #[test]
    fn only_the_control_id_changes() {
        let message = b"\r\nMSH|^~\\&|A|B|C|D|7||ADT^A01|OLD|P|2.5\nPID|1||\xE9\n";
        let changed = with_control_id(message, "OLD.1").unwrap();
        assert_eq!(changed, b"\r\nMSH|^~\\&|A|B|C|D|7||ADT^A01|OLD.1|P|2.5\nPID|1||\xE9\n");
    }

    #[test]
    fn a_short_header_is_filled_up() {
        assert_eq!(with_control_id(b"MSH|^~\\&|A\rPID|1", "N").unwrap(), b"MSH|^~\\&|A|||||||N\rPID|1");
    }

    #[test]
    fn a_message_in_utf_16_stays_in_utf_16() {
        let wide = |text: &str| {
            [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect::<Vec<_>>()
        };
        let changed = with_control_id(&wide("MSH|^~\\&|||||||ADT|1\rPID|é"), "2").unwrap();
        assert_eq!(changed, wide("MSH|^~\\&|||||||ADT|2\rPID|é"));
    }

    #[test]
    fn a_control_id_that_would_break_the_message_is_refused() {
        assert!(with_control_id(b"MSH|^~\\&|||||||ADT|1\rPID|", "2|3").is_err());
        assert!(with_control_id(b"MSH|^~\\&|||||||ADT|1\rPID|", "2\rPID").is_err());
    }
}
