//! `${NAME}`, `${NAME:-default}` and `${file:…}`: values that stand outside the channel file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path as FilePath, PathBuf},
    sync::{Mutex, PoisonError},
};

use engine::{Diagnostic, Path};

use crate::{
    Options, Secrets,
    near::nearest,
    shape::{Shape, Template},
    yaml::{Kind, Node, Scalar},
};

/// Where the values come from. Never printed.
pub(crate) struct Variables {
    process: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    root: PathBuf,
    secrets: Secrets,
    /// What was put in, with how it is written: no output may hold the first.
    used: Mutex<BTreeSet<(String, String)>>,
}

/// What stands in a text, from its first `$` on.
enum Piece<'t> {
    Text(&'t str),
    /// `$${`
    Escaped,
    Variable {
        written: &'t str,
        name: &'t str,
        default: Option<&'t str>,
    },
    Secret {
        written: &'t str,
        path: &'t str,
    },
    Expression(&'t str),
}

/// A text with its values in place.
#[derive(Default)]
struct Filled {
    text: String,
    changed: bool,
    unknown: bool,
}

impl Variables {
    pub(crate) fn new(root: &FilePath, options: &Options) -> Self {
        Self {
            process: options.variables.clone(),
            environment: BTreeMap::new(),
            root: root.to_owned(),
            secrets: options.secrets,
            used: Mutex::default(),
        }
    }

    /// Takes the variables of a file of `environments/`.
    pub(crate) fn set_environment(&mut self, variables: BTreeMap<String, String>) {
        self.environment = variables;
    }

    /// Puts values into every text that `shape` knows and that is no code.
    pub(crate) fn fill(&self, node: &mut Node, shape: Shape<'_>, at: &Path, found: &mut Vec<Diagnostic>) {
        let meant = shape.meant(node).unwrap_or(shape);
        match &mut node.kind {
            Kind::Scalar(_) if shape.is_code() => {}
            Kind::Scalar(scalar) => self.fill_scalar(scalar, shape.template(), at, found),
            Kind::List(items) => {
                let Some(of) = meant.items() else { return };
                for (place, item) in items.iter_mut().enumerate() {
                    self.fill(item, of, &at.join(place), found);
                }
            }
            Kind::Map(entries) => {
                for entry in entries {
                    if let Some(of) = meant.field(&entry.key) {
                        self.fill(&mut entry.value, of, &at.join(&entry.key), found);
                    }
                }
            }
        }
    }

    fn fill_scalar(&self, scalar: &mut Scalar, template: Template, at: &Path, found: &mut Vec<Diagnostic>) {
        if !scalar.text.contains("${") {
            return;
        }
        let mut filled = Filled::default();
        for piece in pieces(&scalar.text) {
            if let Err(mut complaint) = self.put(&piece, template, &mut filled) {
                complaint.at = at.clone();
                filled.unknown = true;
                found.push(complaint);
            }
        }
        if filled.changed {
            scalar.written = Some(std::mem::replace(&mut scalar.text, filled.text));
        } else {
            scalar.text = filled.text;
        }
        scalar.unknown |= filled.unknown;
    }

    fn put(&self, piece: &Piece<'_>, template: Template, filled: &mut Filled) -> Result<(), Diagnostic> {
        match piece {
            Piece::Text(text) => filled.text.push_str(text),
            Piece::Escaped if template == Template::No => filled.text.push_str("${"),
            Piece::Escaped => filled.text.push_str("$${"),
            Piece::Expression(text) if template != Template::No => filled.text.push_str(text),
            Piece::Expression(text) => return Err(template_not_here(text)),
            Piece::Variable { written, name, default } => {
                filled.changed = true;
                let value = self.variable(name).or_else(|| default.map(str::to_owned));
                let value = value.ok_or_else(|| self.unknown_variable(name))?;
                self.take(&value, written, template, filled);
            }
            Piece::Secret { written, path } => {
                filled.changed = true;
                match self.secret(path)? {
                    Some(value) => self.take(&value, written, template, filled),
                    None => filled.unknown = true,
                }
            }
        }
        Ok(())
    }

    /// A value is text, whatever stands in it: it opens no template.
    fn take(&self, value: &str, written: &str, template: Template, filled: &mut Filled) {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((value.to_owned(), written.to_owned()));
        match template {
            Template::No => filled.text.push_str(value),
            Template::Setting | Template::Always => filled.text.push_str(&value.replace("${", "$${")),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.process.get(name).or_else(|| self.environment.get(name)).cloned()
    }

    fn unknown_variable(&self, name: &str) -> Diagnostic {
        let fault = Diagnostic::error(
            "variable-missing",
            Path::default(),
            format!("the variable `{name}` is not set"),
        );
        let known = self.environment.keys().chain(self.process.keys()).map(String::as_str);
        match nearest(name, known) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!(
                "set it in the process's environment or in the file of `--environment`, or give a default: `${{{name}:-…}}`"
            )),
        }
    }

    /// A secret's text without its last line break; `None` where it is only taken as present.
    fn secret(&self, path: &str) -> Result<Option<String>, Diagnostic> {
        match fs::read(self.root.join(path)) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| secret_missing(path, "it is not UTF-8"))?;
                let bare = text.strip_suffix('\n').unwrap_or(&text);
                Ok(Some(bare.strip_suffix('\r').unwrap_or(bare).to_owned()))
            }
            Err(_) if self.secrets == Secrets::TakenAsPresent => Ok(None),
            Err(error) => Err(secret_missing(path, &error.to_string())),
        }
    }

    /// A text without any value that was put in.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used: Vec<_> = used.iter().filter(|(value, _)| value.chars().count() > 2).collect();
        used.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        for (value, written) in used {
            let escaped = format!("{value:?}");
            clean = clean.replace(value, written).replace(escaped.trim_matches('"'), written);
        }
        clean
    }
}

/// Whether a text has a `${…}` that is an expression.
pub(crate) fn has_expression(text: &str) -> bool {
    text.contains("${") && pieces(text).iter().any(|piece| matches!(piece, Piece::Expression(_)))
}

fn template_not_here(text: &str) -> Diagnostic {
    let message = match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        Some(name) if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
            format!("`${{{name}}}` is an expression, and this value is not made of the message")
        }
        _ => "an expression stands here, and this value is not made of the message".to_owned(),
    };
    Diagnostic::error("template-not-here", Path::default(), message).help(
        "a variable's name is of capitals, digits and `_`; `$${` writes a plain `${`; expressions stand in `set` and in the texts of `to:` that the reference marks",
    )
}

fn secret_missing(path: &str, why: &str) -> Diagnostic {
    let message = format!("cannot read the secret in `{path}`: {why}");
    Diagnostic::error("secret-missing", Path::default(), message)
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            pieces.push(Piece::Text(&rest[..at - 1]));
            pieces.push(Piece::Escaped);
            rest = &rest[at + 2..];
            continue;
        }
        pieces.push(Piece::Text(&rest[..at]));
        let (piece, length) = opened(&rest[at..]);
        pieces.push(piece);
        rest = &rest[at + length..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// What a text that begins with `${` begins with, and how long that is.
fn opened(text: &str) -> (Piece<'_>, usize) {
    let inner = &text[2..];
    if let Some(end) = inner.find('}') {
        let (written, inside) = (&text[..end + 3], &inner[..end]);
        if let Some(path) = inside.strip_prefix("file:") {
            return (Piece::Secret { written, path }, written.len());
        }
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if is_name(name) {
            return (Piece::Variable { written, name, default }, written.len());
        }
    }
    let length = expression(inner).map_or(text.len(), |end| end + 3);
    (Piece::Expression(&text[..length]), length)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Where the `}` stands that ends a Rhai expression.
fn expression(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let options = Options {
            variables: [("HOST".to_owned(), "h1".to_owned()), ("TRICK".to_owned(), "a${msg}".to_owned())]
                .into(),
            ..Options::default()
        };
        Variables::new(FilePath::new("/nowhere"), &options)
    }

    fn filled(text: &str, template: Template) -> Result<String, &'static str> {
        let mut scalar = Scalar::new(text.to_owned(), crate::yaml::Style::Plain);
        let mut found = Vec::new();
        variables().fill_scalar(&mut scalar, template, &Path::default(), &mut found);
        found.first().map_or(Ok(scalar.text), |fault| Err(fault.code))
    }

    #[test]
    fn a_variable_is_put_in_and_an_unknown_one_is_an_error() {
        assert_eq!(filled("${HOST}:2575", Template::No), Ok("h1:2575".into()));
        assert_eq!(filled("${PORT:-2575}", Template::No), Ok("2575".into()));
        assert_eq!(filled("${PORT:-}", Template::No), Ok(String::new()));
        assert_eq!(filled("${HOTS}", Template::No), Err("variable-missing"));
        assert_eq!(filled("${file:secret}", Template::No), Err("secret-missing"));
    }

    #[test]
    fn a_dollar_twice_is_a_plain_one_and_a_template_keeps_it_for_later() {
        assert_eq!(filled("$${HOST}", Template::No), Ok("${HOST}".into()));
        assert_eq!(filled("$${HOST}", Template::Setting), Ok("$${HOST}".into()));
        assert_eq!(filled("costs $5 {x}", Template::No), Ok("costs $5 {x}".into()));
    }

    #[test]
    fn an_expression_stays_where_templates_are_and_is_an_error_elsewhere() {
        let text = "${HOST}-${msg[\"MSH-10\"] + \"}\"}.hl7";
        assert_eq!(filled(text, Template::Setting), Ok("h1-${msg[\"MSH-10\"] + \"}\"}.hl7".into()));
        assert_eq!(filled("${msg}", Template::No), Err("template-not-here"));
        assert_eq!(filled("${open", Template::No), Err("template-not-here"));
        assert_eq!(filled("${`${HOST}`}", Template::Always), Ok("${`${HOST}`}".into()));
    }

    #[test]
    fn the_value_of_a_variable_opens_no_template() {
        assert_eq!(filled("${TRICK}", Template::Always), Ok("a$${msg}".into()));
        assert_eq!(filled("${TRICK}", Template::No), Ok("a${msg}".into()));
    }

    #[test]
    fn what_was_put_in_is_taken_out_of_words() {
        let variables = variables();
        let mut filled = Filled::default();
        variables.take("s3cr\"et", "${file:x}", Template::No, &mut filled);
        assert_eq!(variables.redact("bad `s3cr\"et`, \"s3cr\\\"et\""), "bad `${file:x}`, \"${file:x}\"");
    }
}
