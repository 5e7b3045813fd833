//! CSV: rows of fields with a delimiter between them, some in quotes.

use std::{ops::Range, sync::Arc};

use super::{Layout, Parts, RowKind, RowsError, Sheet, Wrong};

/// How a CSV file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csv {
    /// Between fields; found in the first line where it is not given.
    pub delimiter: Option<char>,
    /// Around fields that hold a delimiter or a line break.
    pub quote: Option<char>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Between a number's whole and its decimals.
    pub decimal: char,
    /// Whether rows may have more or fewer fields than the first line.
    pub ragged: bool,
}

impl Default for Csv {
    fn default() -> Self {
        Self { delimiter: None, quote: Some('"'), header: true, decimal: '.', ragged: false }
    }
}

/// Delimiters that are looked for, the likelier first.
const USUAL: [char; 4] = [';', ',', '\t', '|'];

impl Csv {
    /// Finds the rows of a text, and the names of its columns.
    pub fn read(&self, text: impl Into<Arc<str>>) -> Result<Sheet, RowsError> {
        let text = text.into();
        let (lead, told) = lead(&text);
        let guessed =
            || self.guessed(text[lead..].trim_start().split(['\r', '\n']).next().unwrap_or_default());
        let delimiter = self.delimiter.or(told).unwrap_or_else(guessed);
        let mut rows = self.rows(&text, lead, delimiter)?;
        let Some(first) = rows.first().cloned() else {
            return Err(RowsError::at(&text, text.len(), Wrong::Empty));
        };
        let layout = Layout::Delimited { delimiter, quote: self.quote };
        let (names, count) = self.names(&text, &first, &layout)?;
        for row in &rows {
            self.check(&text, row, &layout, count)?;
        }
        let start = if self.header {
            rows.remove(0);
            rows.first().map_or(text.len(), |row| row.start)
        } else {
            first.start
        };
        let rows = rows.into_iter().map(|row| (row, RowKind::Fields)).collect();
        let parts = Parts { start, rows, end: text.len(), decimal: self.decimal };
        Ok(Sheet::new(text, names, layout, &parts))
    }

    /// The most frequent of the usual ones outside quotes.
    fn guessed(&self, row: &str) -> char {
        let count = |delimiter: &char| {
            let layout = Layout::Delimited { delimiter: *delimiter, quote: self.quote };
            layout.fields(row).len()
        };
        let most = USUAL.iter().map(count).max().unwrap_or_default();
        USUAL.iter().copied().find(|delimiter| count(delimiter) == most).unwrap_or(',')
    }

    fn names(
        &self,
        text: &str,
        first: &Range<usize>,
        layout: &Layout,
    ) -> Result<(Vec<String>, usize), RowsError> {
        let fields = layout.fields(&text[first.clone()]);
        if !self.header {
            return Ok((Vec::new(), fields.len()));
        }
        let mut names: Vec<String> = Vec::with_capacity(fields.len());
        for field in &fields {
            let name = layout.decode(&text[first.clone()][field.clone()], 0).trim().to_owned();
            if let Some(same) = names.iter().position(|known| !name.is_empty() && *known == name) {
                let why = Wrong::SameName { first: same + 1, second: names.len() + 1 };
                return Err(RowsError::at(text, first.start + field.start, why));
            }
            names.push(name);
        }
        Ok((names, fields.len()))
    }

    /// Looks for quotes that are not closed where they should be, and for fields too many or too few.
    fn check(&self, text: &str, row: &Range<usize>, layout: &Layout, wanted: usize) -> Result<(), RowsError> {
        let line = &text[row.clone()];
        let fields = layout.fields(line);
        if let Some(quote) = self.quote {
            for field in &fields {
                let raw = &line[field.clone()];
                if let Some(inside) = raw.strip_prefix(quote) {
                    let twice = format!("{quote}{quote}");
                    let single = inside.replace(&twice, "").find(quote).is_some();
                    let closed = inside
                        .strip_suffix(quote)
                        .is_some_and(|inside| !inside.replace(&twice, "").contains(quote));
                    if !closed {
                        let why = if single { Wrong::BehindQuote } else { Wrong::OpenQuote };
                        return Err(RowsError::at(text, row.start + field.start, why));
                    }
                }
            }
        }
        if self.ragged || fields.len() == wanted {
            return Ok(());
        }
        Err(RowsError::at(text, row.start, Wrong::FieldCount { wanted, found: fields.len() }))
    }

    /// The rows, without what ends them; blank lines are passed over, and line breaks in quotes end nothing.
    fn rows(&self, text: &str, lead: usize, delimiter: char) -> Result<Vec<Range<usize>>, RowsError> {
        let mut rows = Vec::new();
        let mut start = lead;
        let mut open: Option<usize> = None;
        let mut field_start = lead;
        for (at, character) in text[lead..].char_indices().map(|(at, character)| (at + lead, character)) {
            if Some(character) == self.quote && (open.is_some() || at == field_start) {
                open = if open.is_some() { None } else { Some(at) };
                // A second quote right behind opens again.
                field_start = at + character.len_utf8();
            } else if open.is_none() && matches!(character, '\r' | '\n') {
                rows.push(start..at);
                start = at + 1;
                field_start = start;
            } else if open.is_none() && character == delimiter {
                field_start = at + character.len_utf8();
            }
        }
        if let Some(at) = open {
            return Err(RowsError::at(text, at, Wrong::OpenQuote));
        }
        rows.push(start..text.len());
        rows.retain(|row| !text[row.clone()].trim_matches(' ').is_empty());
        Ok(rows)
    }
}

/// What stands before the first line: a byte order mark, and the line by which Excel is told the delimiter.
fn lead(text: &str) -> (usize, Option<char>) {
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let line = text[mark..].split(['\r', '\n']).next().unwrap_or_default();
    let mut told = line.strip_prefix("sep=").map(str::chars);
    match told.as_mut().map(|told| (told.next(), told.next())) {
        Some((Some(delimiter), None)) => (mark + line.len(), Some(delimiter)),
        _ => (mark, None),
    }
}
