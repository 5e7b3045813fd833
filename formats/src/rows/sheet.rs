//! A text of rows that can be read and changed by row and column.

use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use super::{Layout, Wrong};

/// Rows of fields. Cloning is cheap: the text is shared.
///
/// Only the places of the rows are kept; fields are found when they are read.
#[derive(Clone)]
pub struct Sheet {
    source: Arc<str>,
    /// What stands before the rows, and behind them.
    head: Range<usize>,
    tail: Range<usize>,
    names: Arc<[String]>,
    rows: Arc<Vec<Row>>,
    layout: Arc<Layout>,
    decimal: char,
    /// The names of lines that are fields by themselves, in their order.
    named: Arc<[String]>,
    /// How many letters it holds; 1 where it is no letter.
    letters: usize,
    /// The whole text, once somebody asked for it; emptied by each change.
    whole: OnceLock<Arc<str>>,
}

/// A row and what ends it.
#[derive(Clone)]
struct Row {
    text: Piece,
    ending: Piece,
    kind: RowKind,
    is_removed: bool,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// A row of fields.
    Fields,
    /// The line of this number of those that have names.
    Named(usize),
    /// A line of text.
    Text,
    /// A line that divides others.
    Other,
}

/// Text that stands in the source, or that was written since.
#[derive(Clone)]
enum Piece {
    Original(Range<usize>),
    Written(Arc<str>),
}

/// Where the rows of a text stand.
pub(crate) struct Parts {
    pub(crate) start: usize,
    pub(crate) rows: Vec<(Range<usize>, RowKind)>,
    pub(crate) end: usize,
    pub(crate) decimal: char,
}

impl Sheet {
    pub(crate) fn new(source: Arc<str>, names: Vec<String>, layout: Layout, parts: &Parts) -> Self {
        let ends = parts.rows.iter().skip(1).map(|(row, _)| row.start).chain([parts.end]);
        let row = |((row, kind), end): (&(Range<usize>, RowKind), usize)| Row {
            text: Piece::Original(row.clone()),
            ending: Piece::Original(row.end..end),
            kind: *kind,
            is_removed: false,
        };
        let rows = parts.rows.iter().zip(ends).map(row).collect();
        Self {
            head: 0..parts.start,
            tail: parts.end..source.len(),
            whole: OnceLock::from(Arc::clone(&source)),
            source,
            names: names.into(),
            rows: Arc::new(rows),
            layout: Arc::new(layout),
            decimal: parts.decimal,
            named: Arc::default(),
            letters: 1,
        }
    }

    /// The same with lines that have names, and several letters in it.
    pub(crate) fn of_letters(mut self, named: Vec<String>, letters: usize) -> Self {
        self.named = named.into();
        self.letters = letters;
        self
    }

    /// How many letters it holds; 1 where it is no letter.
    pub fn letters(&self) -> usize {
        self.letters
    }

    /// The names of the lines that are fields by themselves.
    pub fn named(&self) -> &[String] {
        &self.named
    }

    /// A line that is a field by itself; none where no line has this name.
    pub fn named_value(&self, name: &str) -> Option<&str> {
        Some(self.row_text(self.named_row(name)?).trim())
    }

    /// Writes a line that is a field by itself.
    pub fn set_named(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let row = self.named_row(name).ok_or_else(|| Wrong::NoColumn(name.to_owned()))?;
        if value.contains(['\r', '\n']) {
            return Err(Wrong::CannotHold("a line break"));
        }
        if self.row_text(row).trim() != value {
            self.change()[row].text = Piece::Written(value.into());
        }
        Ok(())
    }

    fn named_row(&self, name: &str) -> Option<usize> {
        let number = self.named.iter().position(|known| known == name)?;
        self.rows.iter().position(|row| row.kind == RowKind::Named(number))
    }

    /// The lines of text between the others.
    pub fn letter(&self) -> Vec<&str> {
        let is_text = |row: &&Row| row.kind == RowKind::Text;
        self.rows.iter().filter(is_text).map(|row| row.text.text(&self.source)).collect()
    }

    /// The whole text; what was not touched is as it came.
    pub fn text(&self) -> &str {
        self.whole.get_or_init(|| self.assemble())
    }

    /// The names of the columns; empty where nothing names them.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What stands between a number's whole and its decimals.
    pub fn decimal(&self) -> char {
        self.decimal
    }

    /// The rows that are there, for the functions that take one.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        let is_there = |row: &Row| row.kind == RowKind::Fields && !row.is_removed;
        (0..self.rows.len()).filter(move |row| is_there(&self.rows[*row]))
    }

    /// The number-th row, from 0, of those that are there.
    pub fn nth(&self, number: usize) -> Result<usize, Wrong> {
        self.rows().nth(number).ok_or_else(|| Wrong::NoRow { row: number, count: self.rows().count() })
    }

    /// The column of a name, or of a number from 0.
    pub fn column(&self, name: &str) -> Result<usize, Wrong> {
        let named = self.names.iter().position(|known| known == name);
        let numbered =
            || name.parse().ok().filter(|number| self.names.is_empty() || *number < self.names.len());
        named.or_else(numbered).ok_or_else(|| Wrong::NoColumn(name.to_owned()))
    }

    /// The value of a field; none where the row is too short.
    pub fn get(&self, row: usize, column: usize) -> Option<Cow<'_, str>> {
        let text = self.row_text(row);
        let field = self.layout.fields(text).into_iter().nth(column)?;
        Some(self.layout.decode(&text[field], column))
    }

    /// Writes a value. The rest of the row stays as it is.
    pub fn set(&mut self, row: usize, column: usize, value: &str) -> Result<(), Wrong> {
        if column >= self.names.len().max(self.width(row)) {
            return Err(Wrong::NoColumn(column.to_string()));
        }
        let written = self.layout.written(self.row_text(row), column, value)?;
        if written != self.row_text(row) {
            self.change()[row].text = Piece::Written(written.into());
        }
        Ok(())
    }

    /// The text of a row, without what ends it.
    pub fn row_text(&self, row: usize) -> &str {
        self.rows[row].text.text(&self.source)
    }

    /// How many fields a row has.
    pub fn width(&self, row: usize) -> usize {
        self.layout.fields(self.row_text(row)).len()
    }

    /// Takes a row out. The numbers of the others stay.
    pub fn remove(&mut self, row: usize) {
        self.change()[row].is_removed = true;
    }

    /// Adds a row of these values at the end.
    pub fn add(&mut self, values: &[String]) -> Result<usize, Wrong> {
        let mut values = values.to_vec();
        if !self.names.is_empty() {
            let (wanted, found) = (self.names.len(), values.len());
            if found > wanted {
                return Err(Wrong::FieldCount { wanted, found });
            }
            values.resize(wanted, String::new());
        }
        let text = self.layout.row(&values)?;
        let line_break = line_break(&self.source);
        // Behind every row that ever was, so that the numbers of all stay.
        let added = match self.rows.iter().rposition(|row| row.kind == RowKind::Fields) {
            Some(last) => last + 1,
            None if self.named.is_empty() => self.rows.len(),
            None => return Err(Wrong::Missing("a row behind which the new one could stand")),
        };
        let last = self.rows().last();
        let rows = self.change();
        let ending = match last {
            // The new last row takes over what ended the one before it.
            Some(last) => std::mem::replace(&mut rows[last].ending, Piece::Written(line_break.into())),
            None => Piece::Written(line_break.into()),
        };
        let text = Piece::Written(text.into());
        rows.insert(added, Row { text, ending, kind: RowKind::Fields, is_removed: false });
        Ok(added)
    }

    /// One sheet for each row, with what stands before and behind the rows.
    pub fn records(&self) -> Vec<Sheet> {
        self.rows().map(|row| self.with_rows(&[row])).collect()
    }

    /// One sheet for each value of a column, in the order in which they come first.
    pub fn groups(&self, column: usize) -> Vec<Sheet> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut known = std::collections::HashMap::new();
        for row in self.rows() {
            let value = self.get(row, column).unwrap_or_default().into_owned();
            let group = *known.entry(value).or_insert(groups.len());
            if group == groups.len() {
                groups.push(Vec::new());
            }
            groups[group].push(row);
        }
        groups.iter().map(|rows| self.with_rows(rows)).collect()
    }

    /// Only these rows, and the lines that are no rows.
    fn with_rows(&self, rows: &[usize]) -> Sheet {
        let kept: Vec<Row> = if self.named.is_empty() {
            rows.iter().map(|row| self.rows[*row].clone()).collect()
        } else {
            let is_kept = |(row, of): &(usize, &Row)| of.kind != RowKind::Fields || rows.contains(row);
            self.rows.iter().enumerate().filter(is_kept).map(|(_, row)| row.clone()).collect()
        };
        let mut sheet = Sheet { rows: Arc::new(kept), whole: OnceLock::new(), ..self.clone() };
        // Where the text ended without a line break, only its last row does.
        let last = sheet.rows.len().saturating_sub(1);
        for row in 0..last {
            if sheet.rows[row].ending.text(&sheet.source).is_empty() {
                let line_break = line_break(&sheet.source);
                sheet.change()[row].ending = Piece::Written(line_break.into());
            }
        }
        sheet
    }

    fn change(&mut self) -> &mut Vec<Row> {
        self.whole = OnceLock::new();
        Arc::make_mut(&mut self.rows)
    }

    fn assemble(&self) -> Arc<str> {
        let mut text = String::with_capacity(self.source.len() + 64);
        text.push_str(&self.source[self.head.clone()]);
        // A header without a line break has rows behind it now.
        if !text.is_empty() && self.rows().next().is_some() && !text.ends_with(['\r', '\n', '\u{feff}']) {
            text.push_str(line_break(&self.source));
        }
        for row in self.rows.iter().filter(|row| !row.is_removed) {
            text.push_str(row.text.text(&self.source));
            text.push_str(row.ending.text(&self.source));
        }
        text.push_str(&self.source[self.tail.clone()]);
        text.into()
    }
}

impl Piece {
    fn text<'a>(&'a self, source: &'a str) -> &'a str {
        match self {
            Self::Original(range) => &source[range.clone()],
            Self::Written(text) => text,
        }
    }
}

/// What ends the lines of a text.
pub(crate) fn line_break(text: &str) -> &'static str {
    match text.find(['\r', '\n']) {
        Some(at) if text[at..].starts_with("\r\n") => "\r\n",
        Some(at) if text[at..].starts_with('\r') => "\r",
        _ => "\n",
    }
}

/// The places of the lines that are not blank, without what ends them.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let lines = std::iter::from_fn(move || {
        let rest = text.get(start..)?;
        let end = rest.find(['\r', '\n']).map_or(text.len(), |length| start + length);
        let line = start..end;
        start = end + 1;
        Some(line)
    });
    lines.filter(|line| !text[line.clone()].trim().is_empty())
}

/// Shows the size only: rows are about patients, and debug output ends in logs.
impl fmt::Debug for Sheet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sheet({} rows)", self.rows().count())
    }
}
