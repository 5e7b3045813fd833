//! Collects what is wrong, with its place, and without the value of any variable.

use std::{
    collections::BTreeSet,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use engine::{Diagnostic, Path, Place, Severity};
use scripts::FileDiagnostic;

use crate::{
    Fault,
    files::{Files, Span, Unfit, read},
    variables::Variables,
    yaml::{self, Flaw, Node, inside},
};

/// What stands before code, and before texts with code in them.
const CODE_KEYS: [&str; 6] = ["filter:", "when:", "split:", "script:", "key:", "set:"];

/// Everything that was read, and everything wrong with it.
pub(crate) struct Report {
    root: PathBuf,
    pub(crate) files: Files,
    pub(crate) faults: Vec<Fault>,
    pub(crate) variables: Arc<Variables>,
    /// Files of which a part could not be read: what is missed there may stand in that part.
    pub(crate) torn: BTreeSet<usize>,
}

impl Report {
    pub(crate) fn new(root: &FilePath, variables: Variables) -> Self {
        Self {
            root: root.to_owned(),
            files: Files::default(),
            faults: Vec::new(),
            variables: Arc::new(variables),
            torn: BTreeSet::new(),
        }
    }

    /// One for another thread, which knows what was read so far and holds no faults.
    pub(crate) fn beside(&self) -> Self {
        Self {
            root: self.root.clone(),
            files: self.files.clone(),
            faults: Vec::new(),
            variables: Arc::clone(&self.variables),
            torn: BTreeSet::new(),
        }
    }

    /// Takes over what was found beside this.
    pub(crate) fn join(&mut self, other: Self) {
        self.files.join(other.files);
        self.faults.extend(other.faults);
        self.torn.extend(other.torn);
    }

    /// Reads a YAML file of the project; its path is from the project's folder.
    pub(crate) fn read_yaml(&mut self, path: &FilePath) -> Option<(usize, Node)> {
        let text = match read(&self.root.join(path)) {
            Ok(text) => text,
            Err(unfit) => {
                self.unfit(path, &unfit);
                return None;
            }
        };
        let number = self.files.add(path.to_owned(), &text);
        let mut flaws = Vec::new();
        let found = yaml::read(number, &text, &mut flaws);
        for flaw in flaws {
            self.flaw(flaw);
        }
        let found = found?;
        if !found.is_whole {
            self.torn.insert(number);
        }
        Some((number, found.tree))
    }

    fn unfit(&mut self, path: &FilePath, unfit: &Unfit) {
        let (text, code, message, help) = match unfit {
            Unfit::Missing => (String::new(), "unreadable-file", "there is no such file".to_owned(), None),
            Unfit::Unreadable(error) => {
                (String::new(), "unreadable-file", format!("cannot read the file: {error}"), None)
            }
            Unfit::TooBig(size) => {
                let message = format!("the file has {size} bytes; one mebibyte is the most");
                (String::new(), "file-too-big", message, None)
            }
            Unfit::NotUtf8 { valid, wide } => {
                let help = if *wide { "it looks like UTF-16" } else { "it may be Windows-1252" };
                let message = "the file is not UTF-8 from here on".to_owned();
                (valid.clone(), "not-utf8", message, Some(format!("{help}: save it as UTF-8")))
            }
        };
        let number = self.files.add(path.to_owned(), &text);
        let mut diagnostic = Diagnostic::error(code, Path::default(), message);
        diagnostic.help = help;
        self.add_at(Span::new(number, text.len()..text.len()), diagnostic);
    }

    fn flaw(&mut self, flaw: Flaw) {
        let mut diagnostic = Diagnostic::error(flaw.code, Path::default(), flaw.message);
        diagnostic.help = flaw.help.or_else(|| self.cut_expression(flaw.span));
        self.add_at(flaw.span, diagnostic);
    }

    /// What to do where YAML fails in a line that holds code.
    fn cut_expression(&self, span: Span) -> Option<String> {
        let file = self.files.get(span.file);
        let (line, _) = file.position(span.start);
        let is_code = |line: usize| {
            let text = file.line(line);
            CODE_KEYS.iter().any(|key| text.contains(key)) || text.contains("${")
        };
        // A broken quote is often noticed in the next line.
        (is_code(line) || (line > 1 && is_code(line - 1))).then(|| crate::lint::QUOTE_IT.to_owned())
    }

    /// Adds a complaint whose path is in `tree`.
    pub(crate) fn add(&mut self, tree: &Node, diagnostic: Diagnostic) {
        let fault = self.fault(tree, diagnostic);
        self.faults.push(fault);
    }

    pub(crate) fn add_at(&mut self, span: Span, diagnostic: Diagnostic) {
        let fault = self.fault_at(span, diagnostic);
        self.faults.push(fault);
    }

    /// A complaint with its place, and not among the others.
    pub(crate) fn fault(&self, tree: &Node, diagnostic: Diagnostic) -> Fault {
        self.fault_at(span_of(&self.files, tree, &diagnostic), diagnostic)
    }

    fn fault_at(&self, span: Span, mut diagnostic: Diagnostic) -> Fault {
        let file = self.files.get(span.file);
        let (line, column) = file.position(span.start);
        let (end_line, end_column) = file.position(span.end.max(span.start));
        diagnostic.message = self.clean(&diagnostic.message);
        diagnostic.help = diagnostic.help.map(|help| self.clean(&help));
        let (path, source) = (file.path.clone(), Some(file.clone()));
        Fault { file: path, line, column, end_line, end_column, diagnostic, source }
    }

    /// Words without the value of any variable, and with paths from the project's folder.
    fn clean(&self, words: &str) -> String {
        let root = format!("{}/", self.root.display());
        self.variables.redact(&words.replace(&root, ""))
    }

    /// Adds a complaint about a script or a table.
    pub(crate) fn add_file(&mut self, found: FileDiagnostic) {
        let number = self.files.find(&found.file).unwrap_or_else(|| {
            let text = read(&self.root.join(&found.file)).unwrap_or_else(|_| String::new());
            self.files.add(found.file.clone(), &text)
        });
        let at = self.files.get(number).byte(found.line, found.column);
        self.add_at(Span::new(number, at..at), found.diagnostic);
    }

    /// How many errors and warnings there are from a place in the list on; notes are neither.
    pub(crate) fn count_from(&self, first: usize) -> (usize, usize) {
        let errors = self.faults[first..].iter().filter(|fault| fault.is_error()).count();
        let warnings = self.faults[first..].iter().filter(|fault| fault.is_warning()).count();
        (errors, warnings)
    }

    /// In the order of files and lines, each complaint once.
    pub(crate) fn sorted(&mut self, strict: bool) -> Vec<Fault> {
        if strict {
            for fault in self.faults.iter_mut().filter(|fault| fault.is_warning()) {
                fault.diagnostic.severity = Severity::Error;
            }
        }
        self.faults.sort_by(|one, other| {
            (&one.file, one.line, one.column, one.diagnostic.code, &one.diagnostic.message).cmp(&(
                &other.file,
                other.line,
                other.column,
                other.diagnostic.code,
                &other.diagnostic.message,
            ))
        });
        self.faults.dedup_by(|one, other| {
            one.file == other.file
                && (one.line, one.column) == (other.line, other.column)
                && one.diagnostic.message == other.diagnostic.message
        });
        std::mem::take(&mut self.faults)
    }
}

/// Where in the files a diagnostic points.
pub(crate) fn span_of(files: &Files, tree: &Node, diagnostic: &Diagnostic) -> Span {
    let at = &diagnostic.at;
    let span = match diagnostic.place {
        Place::Key => tree.locate_key(at),
        Place::Value | Place::Inside { .. } => tree.locate(at),
    };
    let Place::Inside { line, column } = diagnostic.place else { return first_line(files, span) };
    let Some(node) = tree.at(at) else { return span };
    match node.scalar() {
        // Where variables were put in, columns are not those of the file.
        Some(scalar) if scalar.written.is_none() && !scalar.is_absent() => {
            let byte = inside(files.get(node.span.file), scalar, node.span, line, column);
            Span { start: byte, end: byte, ..node.span }
        }
        _ => span,
    }
}

/// A block is shown by its first line.
fn first_line(files: &Files, span: Span) -> Span {
    let text = &files.get(span.file).text;
    let length = text.get(span.start..span.end).and_then(|shown| shown.find('\n'));
    length.map_or(span, |length| Span { end: span.start + length, ..span })
}
