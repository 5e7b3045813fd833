//! Reads what a receiver answered.

use thiserror::Error;

use super::Code;
use crate::{
    charset::{self, CharsetError},
    hl7::{Message, ParseError, Place, Why},
};

/// What a receiver said about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// MSA-1.
    pub code: Code,
    /// The whole of MSA-2 as it stands, to be compared with the whole of MSH-10 as it stands.
    pub control_id: String,
    /// MSA-3; may be empty.
    pub text: String,
    /// What ERR says: its place and words; may be empty.
    pub error_text: String,
}

/// Why an answer cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// It is not HL7, or not in the charset it declares.
    #[error("the answer is not HL7: {0}")]
    NotHl7(#[from] ParseError),
    /// No MSA.
    #[error("the answer has no MSA")]
    NoMsa,
    /// MSA-1 is none of the six codes.
    #[error("MSA-1 of the answer is none of AA, AE, AR, CA, CE, CR")]
    UnknownCode,
}

/// Reads an answer; tolerates what [`crate::hl7::Message::parse`] does.
pub fn read(bytes: &[u8]) -> Result<Acknowledgement, ReadError> {
    let decoded = charset::decode_hl7(bytes, None).map_err(|error| impossible(&error))?;
    let message = Message::parse(decoded.text)?.in_charset(decoded.charset);
    let index = *message.segments("MSA").first().ok_or(ReadError::NoMsa)?;
    let code = Code::parse(message.get_at(index, &Place::field(1)).trim()).ok_or(ReadError::UnknownCode)?;
    let errors: Vec<_> = message.segments("ERR").into_iter().map(|error| fault(&message, error)).collect();
    Ok(Acknowledgement {
        code,
        control_id: whole_field(&message, index, 2).to_owned(),
        text: message.get_at(index, &Place::field(3)).into_owned(),
        error_text: errors.into_iter().filter(|error| !error.is_empty()).collect::<Vec<_>>().join("; "),
    })
}

/// A field with all its repetitions.
fn whole_field(message: &Message, index: usize, number: usize) -> &str {
    let line = message.segment_text(index).unwrap_or_default();
    line.split(char::from(message.delimiters().field)).nth(number).unwrap_or_default()
}

/// Place and words of an ERR segment, whichever form it has.
fn fault(message: &Message, index: usize) -> String {
    let first = |places: &[Place]| {
        places
            .iter()
            .map(|place| message.get_at(index, place))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    };
    let old = !message.has_at(index, &Place::field(2)) && !message.has_at(index, &Place::field(3));
    let location = if old { 1 } else { 2 };
    let segment = message.get_at(index, &Place::component(location, 1));
    let field = message.get_at(index, &Place::component(location, 3));
    let place = if field.is_empty() { segment.into_owned() } else { format!("{segment}-{field}") };
    let words = if old {
        let leaf = |number| Place { subcomponent: Some(number), ..Place::component(1, 4) };
        first(&[leaf(2), leaf(1)])
    } else {
        first(&[
            Place::field(8),
            Place::field(7),
            Place::component(3, 9),
            Place::component(3, 2),
            Place::component(3, 1),
        ])
    };
    [place, words.into_owned()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn impossible(error: &CharsetError) -> ParseError {
    let (CharsetError::Byte { at, .. } | CharsetError::Character { at, .. }) = error;
    ParseError { at: *at, why: Why::Charset }
}
