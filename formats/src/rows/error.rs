//! What can be wrong with rows and what is written to them, said without a word of their content.

use thiserror::Error;

/// Why text cannot be taken as rows, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {why}")]
pub struct RowsError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub why: Wrong,
}

/// What is wrong with rows, or with what is to be written to one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Wrong {
    /// There is nothing but blank lines.
    #[error("there are no rows: it is empty")]
    Empty,
    /// A quoted field is never closed.
    #[error("the quote that begins this field is never closed")]
    OpenQuote,
    /// Something stands between a closing quote and the next delimiter.
    #[error(
        "something stands between the closing quote and the next delimiter: a quote inside a field is doubled"
    )]
    BehindQuote,
    /// A row has another number of fields than the header.
    #[error("the row has {found} fields, and the first line has {wanted}")]
    FieldCount {
        /// How many the header has.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// Two columns of one name.
    #[error("column {second} has the same name as column {first}")]
    SameName {
        /// The first of the two, from 1.
        first: usize,
        /// The second of the two, from 1.
        second: usize,
    },
    /// No column of this name or number.
    #[error("there is no column `{0}`")]
    NoColumn(String),
    /// No row of this number.
    #[error("there is no row {row}: there are {count}, counted from 0")]
    NoRow {
        /// Which was asked for.
        row: usize,
        /// How many there are.
        count: usize,
    },
    /// A text is longer than its column.
    #[error("the column `{name}` is {width} characters wide, and the text has {length}")]
    TooLong {
        /// The column.
        name: String,
        /// Its width.
        width: usize,
        /// How long the text is.
        length: usize,
    },
    /// The format has no way to write this.
    #[error("the text holds {0}, which a field of this format cannot hold")]
    CannotHold(&'static str),
    /// A line that must be there is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A line stands where another kind belongs.
    #[error("{0}")]
    Unexpected(&'static str),
}

/// The line and column, from 1, of a byte of a text.
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let breaks = before.matches("\r\n").count();
    let line = before.bytes().filter(|byte| matches!(byte, b'\r' | b'\n')).count() - breaks + 1;
    let start = before.rfind(['\r', '\n']).map_or(0, |end| end + 1);
    let column = before[start..].chars().filter(|character| *character != '\u{feff}').count() + 1;
    (line, column)
}

impl RowsError {
    /// The error at a byte of a text.
    pub(crate) fn at(text: &str, at: usize, why: Wrong) -> Self {
        let (line, column) = place(text, at);
        Self { line, column, why }
    }
}
