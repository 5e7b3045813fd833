//! How the fields of one row are told apart, read and written.

use std::{borrow::Cow, ops::Range};

use super::{Column, Side, Wrong};

/// How rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Fields with a delimiter between them, some in quotes.
    Delimited { delimiter: char, quote: Option<char> },
    /// Fields at fixed places.
    Fixed(Vec<Column>),
    /// A word, then fields with bars between them.
    Bars(&'static str),
}

impl Layout {
    /// Where the fields of a row stand, quotes and blanks included.
    pub(crate) fn fields(&self, row: &str) -> Vec<Range<usize>> {
        match self {
            Self::Delimited { delimiter, quote } => delimited(row, *delimiter, *quote),
            Self::Fixed(columns) => columns.iter().map(|column| column.place(row)).collect(),
            Self::Bars(_) => delimited(row, '|', None).split_off(1),
        }
    }

    /// The value of a field.
    pub(crate) fn decode<'a>(&self, raw: &'a str, column: usize) -> Cow<'a, str> {
        match self {
            Self::Delimited { quote: Some(quote), .. } => unquoted(raw, *quote),
            Self::Delimited { quote: None, .. } | Self::Bars(_) => Cow::Borrowed(raw),
            Self::Fixed(columns) => Cow::Borrowed(columns[column].trimmed(raw)),
        }
    }

    /// The row with another value in a field.
    pub(crate) fn written(&self, row: &str, column: usize, value: &str) -> Result<String, Wrong> {
        let fields = self.fields(row);
        let raw = fields.get(column).map_or("", |field| &row[field.clone()]);
        if fields.get(column).is_some() && self.decode(raw, column) == value {
            return Ok(row.to_owned());
        }
        let raw = self.encoded(raw, column, value)?;
        if let Some(Column { start, .. }) = self.column(column) {
            // A short row is filled up to where the field begins.
            let missing = (start - 1).saturating_sub(row.chars().count());
            let row = format!("{row}{}", " ".repeat(missing));
            let field = self.fields(&row).swap_remove(column);
            return Ok(format!("{}{raw}{}", &row[..field.start], &row[field.end..]));
        }
        if let Some(field) = fields.get(column) {
            return Ok(format!("{}{raw}{}", &row[..field.start], &row[field.end..]));
        }
        let filling: String = std::iter::repeat_n(self.delimiter(), column + 1 - fields.len()).collect();
        Ok(format!("{row}{filling}{raw}"))
    }

    /// A row of these values.
    pub(crate) fn row(&self, values: &[String]) -> Result<String, Wrong> {
        match self {
            Self::Fixed(_) => (values.iter().enumerate())
                .try_fold(String::new(), |row, (column, value)| self.written(&row, column, value)),
            Self::Delimited { delimiter, .. } => {
                let fields = values.iter().map(|value| self.encoded("", 0, value));
                Ok(fields.collect::<Result<Vec<_>, _>>()?.join(&delimiter.to_string()))
            }
            Self::Bars(word) => {
                let fields = values.iter().map(|value| self.encoded("", 0, value));
                let fields = fields.collect::<Result<Vec<_>, _>>()?;
                Ok([&[(*word).to_owned()], fields.as_slice()].concat().join("|"))
            }
        }
    }

    fn column(&self, column: usize) -> Option<&Column> {
        match self {
            Self::Fixed(columns) => columns.get(column),
            _ => None,
        }
    }

    fn delimiter(&self) -> char {
        match self {
            Self::Delimited { delimiter, .. } => *delimiter,
            Self::Fixed(_) => ' ',
            Self::Bars(_) => '|',
        }
    }

    /// A value as it is to stand in a field; one that was quoted stays so.
    fn encoded(&self, before: &str, column: usize, value: &str) -> Result<String, Wrong> {
        if let Some(column) = self.column(column) {
            return column.padded(value);
        }
        let delimiter = self.delimiter();
        let needs_quotes = value.contains([delimiter, '\r', '\n']) || value.starts_with('\u{feff}');
        let Self::Delimited { quote: Some(quote), .. } = *self else {
            if needs_quotes {
                return Err(Wrong::CannotHold("a delimiter or a line break"));
            }
            return Ok(value.to_owned());
        };
        let is_padded = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
        if needs_quotes || is_padded || value.contains(quote) || before.starts_with(quote) {
            let doubled = value.replace(quote, &format!("{quote}{quote}"));
            return Ok(format!("{quote}{doubled}{quote}"));
        }
        Ok(value.to_owned())
    }
}

fn delimited(row: &str, delimiter: char, quote: Option<char>) -> Vec<Range<usize>> {
    let mut fields = Vec::with_capacity(16);
    let (mut start, mut is_open) = (0, false);
    for (at, character) in row.char_indices() {
        if Some(character) == quote {
            // Doubled ones close and open again.
            is_open = if is_open { false } else { at == start || row[start..].starts_with(character) };
        } else if character == delimiter && !is_open {
            fields.push(start..at);
            start = at + character.len_utf8();
        }
    }
    fields.push(start..row.len());
    fields
}

fn unquoted(raw: &str, quote: char) -> Cow<'_, str> {
    match raw.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
        Some(inside) if inside.contains(quote) => {
            Cow::Owned(inside.replace(&format!("{quote}{quote}"), &quote.to_string()))
        }
        Some(inside) => Cow::Borrowed(inside),
        None => Cow::Borrowed(raw),
    }
}

impl Column {
    /// Where this column stands in a row; empty behind a row that is too short.
    fn place(&self, row: &str) -> Range<usize> {
        let mut places = row.char_indices().map(|(at, _)| at).chain([row.len()]);
        let start = places.nth(self.start - 1).unwrap_or(row.len());
        let end = if start == row.len() { start } else { places.nth(self.width - 1).unwrap_or(row.len()) };
        start..end
    }

    fn trimmed<'a>(&self, raw: &'a str) -> &'a str {
        match self.side {
            Side::Left => raw.trim_end_matches(self.fill),
            Side::Right => {
                let trimmed = raw.trim_start_matches(self.fill);
                // Of `0000` a nought stays.
                if trimmed.is_empty() && self.fill == '0' && !raw.is_empty() {
                    &raw[raw.len() - 1..]
                } else {
                    trimmed
                }
            }
        }
    }

    fn padded(&self, value: &str) -> Result<String, Wrong> {
        if value.contains(['\r', '\n']) {
            return Err(Wrong::CannotHold("a line break"));
        }
        let length = value.chars().count();
        let Some(missing) = self.width.checked_sub(length) else {
            return Err(Wrong::TooLong { name: self.name.clone(), width: self.width, length });
        };
        let filling: String = std::iter::repeat_n(self.fill, missing).collect();
        Ok(match self.side {
            Side::Left => format!("{value}{filling}"),
            Side::Right => format!("{filling}{value}"),
        })
    }
}
