//! Escape sequences: what stands between escape characters in a field, and how text becomes safe to stand in one.

use std::borrow::Cow;

use super::{Delimiters, EditError};
use crate::charset::Charset;

/// Decodes the escape sequences of a leaf. What is no sequence stays as it stands.
///
/// The bytes of `\Xhh..\` are read as UTF-8, else as Windows-1252; see [`decode_in`].
pub fn decode<'a>(text: &'a str, delimiters: &Delimiters) -> Cow<'a, str> {
    decode_in(text, delimiters, None)
}

/// Decodes as [`decode`], with the bytes of `\Xhh..\` in this charset.
pub fn decode_in<'a>(text: &'a str, delimiters: &Delimiters, charset: Option<&Charset>) -> Cow<'a, str> {
    let _ = (text, delimiters, charset);
    unimplemented!()
}

/// Encodes every delimiter and line break, so that [`decode`] gives the same text back.
///
/// Fails only with [`EditError::NoEscape`]: the text needs a sequence and the message has no escape character.
pub fn encode<'a>(text: &'a str, delimiters: &Delimiters) -> Result<Cow<'a, str>, EditError> {
    let _ = (text, delimiters);
    unimplemented!()
}
