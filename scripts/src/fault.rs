//! What is wrong with a project's code, and where it stands.

use std::path::PathBuf;

use engine::Diagnostic;
use rhai::{ParseError, ParseErrorType};

use crate::{
    lint::{Found, Names},
    nearest::nearest,
};

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
    "bad-date",
    "double-row",
    "function-mixed",
    "kept-function",
    "not-a-path",
    "no-paths-here",
    "script-broken",
    "script-syntax",
    "sender-missing",
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

/// A complaint about a file as a whole.
pub(crate) fn in_file(file: &str, code: &'static str, message: impl Into<String>) -> FileDiagnostic {
    let diagnostic = Diagnostic::error(code, engine::Path::default(), message);
    FileDiagnostic { file: PathBuf::from(file), line: 1, column: 1, diagnostic }
}

/// What to say of code that Rhai cannot read.
pub(crate) fn syntax(error: &ParseError, given: Names) -> Found {
    let (code, message, help) = match error.err_type() {
        ParseErrorType::VariableUndefined(name) => {
            let help = match Names::named(name) {
                Some(_) if name == "responses" => {
                    Some("only steps and texts of a destination with `after:` have responses".to_owned())
                }
                Some(_) => Some(format!("`{name}` is not known at this place")),
                None => nearest(name, given.list()),
            };
            ("unknown-variable", format!("there is no variable `{name}`"), help)
        }
        ParseErrorType::ModuleUndefined(name) => {
            let help = Some(format!("a script is imported first: `import \"{name}\" as {name};`"));
            ("unknown-variable", format!("nothing is imported as `{name}`"), help)
        }
        ParseErrorType::Reserved(word) if matches!(word.as_str(), "print" | "debug") => {
            let help = Some("what a script shows goes nowhere: put it in a field, or `throw` it".to_owned());
            ("unknown-function", format!("there is no function `{word}`"), help)
        }
        other => ("script-syntax", lower_case(&other.to_string()), None),
    };
    Found { code, position: error.position(), message, help }
}

/// Rhai's sentences as ours begin.
pub(crate) fn lower_case(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}
