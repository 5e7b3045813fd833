//! Rows whose fields stand at fixed places.

use std::{ops::Range, sync::Arc};

use super::{
    Layout, RowsError, Sheet, Wrong,
    sheet::{Parts, RowKind, lines},
};

/// The columns of a file with fields of fixed width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// In the order in which rows are written.
    pub columns: Vec<Column>,
    /// Between a number's whole and its decimals.
    pub decimal: char,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What steps call it.
    pub name: String,
    /// Its first character, from 1.
    pub start: usize,
    /// How many characters it has.
    pub width: usize,
    /// On which side the text stands.
    pub side: Side,
    /// What fills it up.
    pub fill: char,
}

/// On which side of its column a text stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Filled up on the right.
    #[default]
    Left,
    /// Filled up on the left: numbers.
    Right,
}

impl Fixed {
    /// Finds the rows of a text: its lines that are not blank.
    pub fn read(&self, text: impl Into<Arc<str>>) -> Result<Sheet, RowsError> {
        let text = text.into();
        let rows: Vec<Range<usize>> = lines(&text).collect();
        let Some(first) = rows.first() else { return Err(RowsError::at(&text, text.len(), Wrong::Empty)) };
        let names = self.columns.iter().map(|column| column.name.clone()).collect();
        let start = first.start;
        let rows = rows.into_iter().map(|row| (row, RowKind::Fields)).collect();
        let parts = Parts { start, end: text.len(), rows, decimal: self.decimal };
        Ok(Sheet::new(text, names, Layout::Fixed(self.columns.clone()), &parts))
    }
}
