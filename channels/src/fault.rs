//! Something wrong in a file of the project, and how it is shown.

use std::{path::PathBuf, sync::Arc};

use engine::{Diagnostic, Severity};
use serde_json::Value;

/// A complaint with its place in a file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Relative to the project.
    pub file: PathBuf,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
    pub diagnostic: Diagnostic,
    /// The file as it was read, for the lines that are shown.
    pub(crate) text: Arc<str>,
}

impl Fault {
    /// Whether it is more than a warning.
    pub fn is_error(&self) -> bool {
        self.diagnostic.severity == Severity::Error
    }
}

/// Whether text is for a terminal that shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Plain,
    Styled,
}

/// Shows every fault as `file:line:column` with its source line and help.
pub fn render_text(faults: &[Fault], colour: Colour) -> String {
    let _ = (faults, colour);
    unimplemented!("being written")
}

/// Lists the faults for programs.
pub fn to_json(faults: &[Fault]) -> Value {
    let _ = faults;
    unimplemented!("being written")
}
