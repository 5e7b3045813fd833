//! Something wrong in a file of the project, and how it is shown.

use std::{path::PathBuf, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use engine::{Diagnostic, Severity};
use serde_json::{Value, json};

use crate::files::SourceFile;

/// A complaint with its place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone)]
pub struct Fault {
    /// Relative to the project.
    pub file: PathBuf,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
    pub diagnostic: Diagnostic,
    /// The file as it was read, for the line that is shown.
    pub(crate) source: Option<Arc<SourceFile>>,
}

impl Fault {
    /// Whether it is more than a warning.
    pub fn is_error(&self) -> bool {
        self.diagnostic.severity == Severity::Error
    }

    pub fn is_warning(&self) -> bool {
        self.diagnostic.severity == Severity::Warning
    }

    /// About a file that is not there any more.
    pub(crate) fn without_source(file: PathBuf, diagnostic: Diagnostic) -> Self {
        Self { file, line: 1, column: 1, end_line: 1, end_column: 1, diagnostic, source: None }
    }

    /// `channels/lab.yaml:3:7`
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}: {}", self.place(), self.diagnostic.code, self.diagnostic.message)
    }
}

/// Whether text is for a terminal that shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Plain,
    Styled,
}

/// A line that is longer is not shown, its place alone is.
const LONGEST_LINE: usize = 240;

/// Shows every fault as `file:line:column` with its source line and help.
pub fn render_text(faults: &[Fault], colour: Colour) -> String {
    let renderer = match colour {
        Colour::Plain => Renderer::plain(),
        Colour::Styled => Renderer::styled(),
    };
    let shown: Vec<_> = faults.iter().map(|fault| render(fault, &renderer)).collect();
    shown.join("\n\n")
}

fn render(fault: &Fault, renderer: &Renderer) -> String {
    let level = match fault.diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(&fault.diagnostic.message).id(fault.diagnostic.code);
    let path = fault.file.display().to_string();
    let mut group = match line_of(fault) {
        Some(line) => {
            let span = span_in(line, fault);
            Group::with_title(title).element(
                Snippet::source(line)
                    .path(path)
                    .line_start(fault.line)
                    .annotation(AnnotationKind::Primary.span(span)),
            )
        }
        None => {
            Group::with_title(title).element(Origin::path(path).line(fault.line).char_column(fault.column))
        }
    };
    if let Some(help) = &fault.diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

fn line_of(fault: &Fault) -> Option<&str> {
    let line = fault.source.as_ref()?.line(fault.line);
    (line.len() <= LONGEST_LINE && !line.is_empty()).then_some(line)
}

/// The bytes of the line that the fault means.
fn span_in(line: &str, fault: &Fault) -> std::ops::Range<usize> {
    let byte = |column: usize| line.char_indices().nth(column - 1).map_or(line.len(), |(at, _)| at);
    let start = byte(fault.column);
    let end = if fault.end_line == fault.line { byte(fault.end_column) } else { line.trim_end().len() };
    start..end.max(start)
}

/// Lists the faults for programs.
pub fn to_json(faults: &[Fault]) -> Value {
    Value::Array(faults.iter().map(one_to_json).collect())
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn one_to_json(fault: &Fault) -> Value {
    json!({
        "file": fault.file.display().to_string(),
        "line": fault.line,
        "column": fault.column,
        "end_line": fault.end_line,
        "end_column": fault.end_column,
        "severity": severity(fault.diagnostic.severity),
        "code": fault.diagnostic.code,
        "at": fault.diagnostic.at.to_string(),
        "message": fault.diagnostic.message,
        "help": fault.diagnostic.help,
    })
}
