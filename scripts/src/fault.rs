//! What is wrong with a project's code, and where it stands.

use std::path::PathBuf;

use engine::Diagnostic;

/// One complaint, in the channel's own file or in another one of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// In the channel's file, at the diagnostic's path.
    Channel(Diagnostic),
    /// In a script or a table.
    File(FileDiagnostic),
}

/// A complaint about a script or a table of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiagnostic {
    /// From the project's folder: `scripts/clean.rhai`.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// Its path is empty: the file has lines alone.
    pub diagnostic: Diagnostic,
}

/// Every code that this crate complains with; each has a page in `docs/errors`.
pub const CODES: &[&str] = &[
    "not-a-path",
    "no-paths-here",
    "script-broken",
    "script-syntax",
    "step-not-here",
    "table-broken",
    "template-broken",
    "unknown-charset",
    "unknown-column",
    "unknown-destination",
    "unknown-function",
    "unknown-script",
    "unknown-table",
    "unknown-variable",
];
