//! HPRIM Médecins: twelve lines that say who and from whom, a letter, and results in `RES` lines.

use std::{ops::Range, sync::Arc};

use crate::rows::{Layout, Parts, RowKind, RowsError, Sheet, Wrong};

/// What the first lines hold, one each.
pub const IDENTITY: [&str; 12] = [
    "patient_id",
    "last_name",
    "first_name",
    "address",
    "address_2",
    "city",
    "birth_date",
    "social_security",
    "file_number",
    "date",
    "sender",
    "recipient",
];

/// What the fields of a `RES` line hold, in their order.
pub const LETTER_COLUMNS: [&str; 13] = [
    "label", "code", "type", "value", "unit", "low", "high", "flag", "status", "value_2", "unit_2", "low_2",
    "high_2",
];

const RESULTS: &str = "****LAB****";
const END: &str = "****FIN****";
const END_OF_FILE: &str = "****FINFICHIER****";

/// The letters of a file: each goes to the line that ends it, the last to the end of the file.
pub(super) fn letters(text: &str) -> Vec<Range<usize>> {
    let mut letters: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let mut lines = all_lines(text).peekable();
    while let Some(line) = lines.next() {
        let rest = lines.peek().map_or(text.len(), |next| next.start);
        let content = text[line.clone()].trim();
        let is_behind = content == END_OF_FILE && start == line.start;
        match letters.last_mut().filter(|_| is_behind) {
            // What ends the file belongs to the letter before it.
            Some(last) => {
                last.end = rest;
                start = rest;
            }
            None if content == END => {
                letters.push(start..rest);
                start = rest;
            }
            None => {}
        }
    }
    match letters.last_mut() {
        Some(last) if text[start..].trim().is_empty() => last.end = text.len(),
        _ => letters.push(start..text.len()),
    }
    letters
}

/// Reads one letter, or a file of several.
pub(super) fn read(text: Arc<str>) -> Result<Sheet, RowsError> {
    if text.trim().is_empty() {
        return Err(RowsError::at(&text, 0, Wrong::Empty));
    }
    let letters = letters(&text);
    let mut rows = Vec::new();
    for letter in &letters {
        read_one(&text, letter, &mut rows)?;
    }
    let parts = Parts { start: 0, rows, end: text.len(), decimal: '.' };
    let columns = LETTER_COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    let named = IDENTITY.iter().map(|name| (*name).to_owned()).collect();
    Ok(Sheet::new(text, columns, Layout::Bars("RES"), &parts).of_letters(named, letters.len()))
}

fn read_one(
    text: &str,
    letter: &Range<usize>,
    rows: &mut Vec<(Range<usize>, RowKind)>,
) -> Result<(), RowsError> {
    let mut in_results = false;
    for (number, line) in all_lines(&text[letter.clone()]).enumerate() {
        let line = letter.start + line.start..letter.start + line.end;
        let content = &text[line.clone()];
        let kind = match content.trim() {
            RESULTS | END | END_OF_FILE if number < IDENTITY.len() => {
                let why = Wrong::Unexpected("the letter has fewer than twelve lines before its text");
                return Err(RowsError::at(text, line.start, why));
            }
            RESULTS => {
                in_results = true;
                RowKind::Other
            }
            END | END_OF_FILE => {
                in_results = false;
                RowKind::Other
            }
            _ if number < IDENTITY.len() => RowKind::Named(number),
            _ if in_results && content.starts_with("RES|") => RowKind::Fields,
            result if in_results && !result.is_empty() => {
                let why =
                    Wrong::Unexpected("among the results stands a line that does not begin with `RES|`");
                return Err(RowsError::at(text, line.start, why));
            }
            _ if in_results => RowKind::Other,
            _ => RowKind::Text,
        };
        rows.push((line, kind));
    }
    Ok(())
}

/// All lines, blank ones among them, without what ends them.
fn all_lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= text.len() {
            return None;
        }
        let rest = &text[start..];
        let end = rest.find(['\r', '\n']).map_or(text.len(), |length| start + length);
        let line = start..end;
        let ending = if text[end..].starts_with("\r\n") { 2 } else { 1 };
        start = end + ending;
        Some(line)
    })
}
