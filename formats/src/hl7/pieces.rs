//! Cuts a stretch of a message at a delimiter.

use std::ops::Range;

use memchr::memchr_iter;

use super::{Delimiters, Place};

/// The piece with this number, from 0; else how many delimiters there are.
pub(super) fn nth(bytes: &[u8], delimiter: u8, number: usize) -> Result<Range<usize>, usize> {
    let mut marks = memchr_iter(delimiter, bytes);
    let mut start = 0;
    for seen in 0..number {
        start = marks.next().ok_or(seen)? + 1;
    }
    let end = marks.next().unwrap_or(bytes.len());
    Ok(start..end)
}

/// Whether this line begins with its delimiters, so that its first field is the delimiter itself.
pub(super) fn is_header(line: &[u8], delimiter: u8) -> bool {
    let named = line.starts_with(b"MSH") || line.starts_with(b"FHS") || line.starts_with(b"BHS");
    named && line.get(3) == Some(&delimiter)
}

/// A field of a line by its number in the standard, from 1.
pub(super) fn field(line: &[u8], delimiter: u8, number: usize) -> Option<Range<usize>> {
    match (is_header(line, delimiter), number) {
        (_, 0) => None,
        (true, 1) => Some(3..4),
        (true, _) => nth(line, delimiter, number - 1).ok(),
        (false, _) => nth(line, delimiter, number).ok(),
    }
}

/// The text at a place of a line, as it stands.
pub(super) fn at<'a>(line: &'a str, place: &Place, delimiters: &Delimiters) -> Option<&'a str> {
    let field = &line[field(line.as_bytes(), delimiters.field, place.field.into())?];
    if holds_delimiters(line, place, delimiters) {
        return (place.repetition == 1 && place.component.is_none_or(|number| number == 1)).then_some(field);
    }
    let repetition = cut(field, Some(delimiters.repetition), place.repetition)?;
    let Some(number) = place.component else { return Some(repetition) };
    let component = cut(repetition, Some(delimiters.component), number)?;
    let Some(number) = place.subcomponent else { return Some(component) };
    cut(component, delimiters.subcomponent, number)
}

/// Whether this place is MSH-1 or MSH-2, or H-1 of HPRIM, which is never cut or decoded.
pub(super) fn holds_delimiters(line: &str, place: &Place, delimiters: &Delimiters) -> bool {
    let line = line.as_bytes();
    (place.field <= 2 && is_header(line, delimiters.field))
        || (place.field == 1 && line.first() == Some(&b'H') && line.get(1) == Some(&delimiters.field))
}

/// The piece with this number, from 1; without a delimiter the whole is the first and only one.
fn cut(text: &str, delimiter: Option<u8>, number: u16) -> Option<&str> {
    let number = usize::from(number).checked_sub(1)?;
    match delimiter {
        Some(delimiter) => nth(text.as_bytes(), delimiter, number).ok().map(|range| &text[range]),
        None => (number == 0).then_some(text),
    }
}
