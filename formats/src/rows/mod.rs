//! Rows of fields: CSV and fixed width, read and written in place, so that what nobody touches leaves byte for byte as it came.

mod csv;
mod error;
mod fixed;
mod layout;
mod sheet;

pub use csv::Csv;
pub(crate) use error::place;
pub use error::{RowsError, Wrong};
pub use fixed::{Column, Fixed, Side};
pub(crate) use layout::Layout;
pub use sheet::Sheet;
pub(crate) use sheet::{Parts, RowKind, line_break};
