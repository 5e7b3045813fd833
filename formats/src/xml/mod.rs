//! XML: elements and attributes by path, read and written in place, so that what nobody touches leaves byte for byte as it came.

mod document;
mod edit;
mod error;
mod escape;
mod parse;
mod path;
mod tag;

pub use document::{Document, ElementId};
pub use error::{EditError, Why, XmlError};
pub use path::{Path, PathError};

/// The charset that the bytes of a document name in their first line, if they name one.
pub fn declared_charset(bytes: &[u8]) -> Option<String> {
    let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let line = start.strip_prefix(b"<?xml")?;
    let line = &line[..line.windows(2).take(300).position(|end| end == b"?>")?];
    let line = std::str::from_utf8(line).ok()?;
    let value = line.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    Some(value[1..].split_once(quote)?.0.to_owned())
}
