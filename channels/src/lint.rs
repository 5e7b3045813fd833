//! Every complaint that the schema has about a file, in one pass.

use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
};

use engine::{Diagnostic, Path, Place};
use regex::Regex;
use serde_json::Value;

use crate::{
    near::nearest,
    shape::{Shape, Template},
    variables,
    yaml::{Entry, Kind, Node, Scalar, Style},
};

/// What `check` says where YAML may have cut an expression or read it as something else.
pub(crate) const QUOTE_IT: &str = "an expression that begins with `!`, a quote, `[`, `{` or `#`, or holds `: ` or ` #`, stands in single quotes or in a `|` block; so does one within `{ }`";

/// More complaints about one file help nobody.
const MOST: usize = 200;

/// Looks through `node`, which stands at `at` of its file.
pub(crate) fn lint(node: &Node, shape: Shape<'_>, at: &Path) -> Vec<Diagnostic> {
    let mut lint = Lint { found: Vec::new() };
    lint.visit(node, shape, at);
    let more = lint.found.len().saturating_sub(MOST);
    if more > 0 {
        lint.found.truncate(MOST);
        lint.found.push(Diagnostic::error(
            "too-many-faults",
            at.clone(),
            format!("and {more} more like these"),
        ));
    }
    lint.found
}

struct Lint {
    found: Vec<Diagnostic>,
}

impl Lint {
    fn error(&mut self, code: &'static str, at: &Path, message: impl Into<String>) -> &mut Diagnostic {
        self.found.push(Diagnostic::error(code, at.clone(), message));
        self.found.last_mut().expect("one was pushed")
    }

    fn visit(&mut self, node: &Node, shape: Shape<'_>, at: &Path) {
        if shape.is_code() && self.is_cut(node, shape, at) {
            return;
        }
        if node.is_absent() && shape.allows_nothing() {
            return;
        }
        match &node.kind {
            Kind::Scalar(scalar) => self.visit_scalar(scalar, shape, at),
            Kind::List(items) => match shape.meant(node) {
                Some(meant) => self.visit_list(items, meant, at),
                None => self.wrong_type(node, shape, at),
            },
            Kind::Map(entries) => match shape.meant(node) {
                Some(meant) => self.visit_map(node, entries, (shape, meant), at),
                None => self.wrong_type(node, shape, at),
            },
        }
    }

    /// Whether YAML made something else of an expression than the text that was meant.
    fn is_cut(&mut self, node: &Node, shape: Shape<'_>, at: &Path) -> bool {
        let what = match &node.kind {
            Kind::Scalar(scalar) if scalar.style == Style::Folded => {
                let fault = self.error("folded-code", at, "a `>` block joins the lines of code");
                fault.help = Some("write a `|` block, which keeps them".into());
                return true;
            }
            Kind::Scalar(scalar) if scalar.is_absent() => "nothing",
            Kind::Scalar(_) => return false,
            _ if shape.meant(node).is_some() => return false,
            Kind::List(_) => "a list",
            Kind::Map(_) => "a set of fields",
        };
        let fault = self.error("code-cut", at, format!("an expression belongs here; YAML reads {what}"));
        fault.help = Some(QUOTE_IT.into());
        true
    }

    fn visit_list(&mut self, items: &[Node], shape: Shape<'_>, at: &Path) {
        let least = shape.keyword("minItems").and_then(Value::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            self.error("wrong-value", at, "the list is empty");
        }
        let Some(of) = shape.items() else { return };
        for (place, item) in items.iter().enumerate() {
            self.visit(item, of, &at.join(place));
        }
    }

    fn visit_map(&mut self, node: &Node, entries: &[Entry], (all, meant): (Shape<'_>, Shape<'_>), at: &Path) {
        if let Some(Value::String(side)) = meant.keyword("x-connectors") {
            self.one_connector(entries, side, at);
        }
        let mut misspelt = Vec::new();
        for entry in entries {
            let beneath = at.join(&entry.key);
            match meant.field(&entry.key) {
                Some(of) => self.visit(&entry.value, of, &beneath),
                None => misspelt.extend(self.unknown_field(entry, (all, meant), &beneath)),
            }
        }
        // `requires:` means another kind of step than the one that was taken to be meant, whose fields are not missed.
        let other = misspelt.iter().any(|key| meant.field(key).is_none());
        let missing = |key: &&str| !other && node.entry(key).is_none() && !misspelt.contains(key);
        for key in meant.required().filter(missing) {
            let fault = self.error("missing-field", at, format!("`{key}` is missing"));
            fault.help = description(meant.field(key));
        }
    }

    /// Exactly one protocol stands under `source:` and `to:`.
    fn one_connector(&mut self, entries: &[Entry], side: &str, at: &Path) {
        match entries {
            [] => {
                self.error("no-connector", at, format!("no protocol stands under `{side}`"));
            }
            [_] => {}
            [first, others @ ..] => {
                for other in others {
                    let message = format!("`{side}` has `{}` already: it takes one protocol", first.key);
                    let fault = self.error("two-connectors", &at.join(&other.key), message);
                    fault.place = Place::Key;
                }
            }
        }
    }

    /// Gives the field that was probably meant.
    fn unknown_field<'s>(
        &mut self,
        entry: &Entry,
        (all, meant): (Shape<'s>, Shape<'s>),
        at: &Path,
    ) -> Option<&'s str> {
        let side = meant.keyword("x-connectors").and_then(Value::as_str);
        let known: Vec<&str> = match side {
            Some(_) => keys(meant),
            None => all.forms().iter().flat_map(|form| keys(*form)).collect(),
        };
        let message = match side {
            Some("source") => format!("no source is called `{}`", entry.key),
            Some(_) => format!("no destination is called `{}`", entry.key),
            None => format!("unknown field `{}`", entry.key),
        };
        let near = nearest(&entry.key, known.iter().copied());
        let help = match near {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => None,
            None => Some(format!("known here: {}", listed(&known))),
        };
        let code = if side.is_some() { "unknown-connector" } else { "unknown-field" };
        let fault = self.error(code, at, message);
        fault.help = help;
        fault.place = Place::Key;
        near
    }

    fn visit_scalar(&mut self, scalar: &Scalar, shape: Shape<'_>, at: &Path) {
        if scalar.unknown || shape.is_free() {
            return;
        }
        let is_template = shape.template() != Template::No && variables::has_expression(&scalar.text);
        if is_template && shape.forms().iter().any(|form| form.types().contains(&"string")) {
            return;
        }
        let node = Node { span: crate::files::Span::default(), kind: Kind::Scalar(scalar.clone()) };
        let forms: Vec<_> = shape.forms().into_iter().filter(|form| form.takes(&node)).collect();
        if forms.is_empty() {
            return self.wrong_type(&node, shape, at);
        }
        let complaints: Vec<_> = forms.iter().map(|form| complaint(scalar, *form)).collect();
        if complaints.iter().any(Option::is_none) {
            return;
        }
        let words: Vec<&str> = forms.iter().filter_map(|form| form.words()).flatten().collect();
        if words.is_empty() {
            let message = complaints.into_iter().flatten().next().expect("every form complains");
            let help = example(shape).or_else(|| description(Some(shape)));
            self.error("wrong-value", at, message).help = help;
        } else {
            self.unknown_word(scalar, &words, at);
        }
    }

    fn unknown_word(&mut self, scalar: &Scalar, words: &[&str], at: &Path) {
        let help = match nearest(&scalar.text, words.iter().copied()) {
            Some(near) if scalar.written.is_none() => {
                format!("did you mean `{near}`? Known: {}", listed(words))
            }
            _ => format!("known: {}", listed(words)),
        };
        self.error("unknown-word", at, format!("`{}` is not known here", scalar.shown())).help = Some(help);
    }

    fn wrong_type(&mut self, node: &Node, shape: Shape<'_>, at: &Path) {
        let mut wanted: Vec<String> = Vec::new();
        for name in shape.forms().iter().flat_map(|form| form.types()).filter(|name| *name != "null") {
            let words = in_words(name).to_owned();
            if !wanted.contains(&words) {
                wanted.push(words);
            }
        }
        let message = format!("expected {}, found {}", wanted.join(" or "), found(node));
        let help = example(shape).or_else(|| description(Some(shape)));
        self.error("wrong-type", at, message).help = help;
    }
}

/// Why a scalar of the right type does not fit a form.
fn complaint(scalar: &Scalar, form: Shape<'_>) -> Option<String> {
    let shown = scalar.shown();
    if form.words().is_some_and(|words| !words.contains(&scalar.text.as_str())) {
        return Some(format!("`{shown}` is not known here"));
    }
    if let Some(pattern) = form.keyword("pattern").and_then(Value::as_str)
        && !matches(pattern, &scalar.text)
    {
        return Some(match form.keyword("title").and_then(Value::as_str) {
            Some(title) => format!("`{shown}` is not {title}"),
            None => format!("`{shown}` does not fit here"),
        });
    }
    if scalar.text.is_empty() && form.keyword("minLength").and_then(Value::as_u64).unwrap_or(0) > 0 {
        return Some("the text is empty".into());
    }
    let number = scalar.text.parse::<f64>().ok()?;
    let bound = |name: &str| form.keyword(name).and_then(Value::as_f64);
    if bound("minimum").is_some_and(|least| number < least) {
        return Some(format!("`{shown}` is too small: {} is the least", form.keyword("minimum")?));
    }
    if bound("maximum").is_some_and(|most| number > most) {
        return Some(format!("`{shown}` is too large: {} is the most", form.keyword("maximum")?));
    }
    None
}

/// Whether a text fits a pattern of the schema. Each pattern is compiled once: that takes longer than reading a channel.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<RwLock<HashMap<String, Option<Regex>>>> = LazyLock::new(RwLock::default);
    let fits = |regex: &Option<Regex>| regex.as_ref().is_none_or(|regex| regex.is_match(text));
    if let Some(regex) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return fits(regex);
    }
    let mut compiled = COMPILED.write().unwrap_or_else(PoisonError::into_inner);
    fits(compiled.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok()))
}

fn keys(shape: Shape<'_>) -> Vec<&str> {
    shape.properties().into_iter().flat_map(|properties| properties.keys().map(String::as_str)).collect()
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The first sentence of what the schema says of a value.
fn description(shape: Option<Shape<'_>>) -> Option<String> {
    let text = shape?.keyword("description")?.as_str()?;
    let first = text.split("\n\n").next().unwrap_or(text).replace('\n', " ");
    Some(first.split(". ").next().unwrap_or(&first).trim_end_matches('.').to_owned())
}

fn example(shape: Shape<'_>) -> Option<String> {
    let forms = shape.forms();
    let examples = forms.iter().chain([&shape]).find_map(|form| form.keyword("examples")?.as_array())?;
    let texts: Vec<_> = examples.iter().filter_map(Value::as_str).collect();
    (!texts.is_empty()).then(|| format!("such as {}", listed(&texts)))
}

fn in_words(kind: &str) -> &str {
    match kind {
        "array" => "a list",
        "object" => "a set of fields",
        "string" => "a text",
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        "number" => "a number",
        other => other,
    }
}

fn found(node: &Node) -> String {
    match &node.kind {
        Kind::Map(_) => "a set of fields".into(),
        Kind::List(_) => "a list".into(),
        Kind::Scalar(scalar) if scalar.is_absent() => "nothing".into(),
        Kind::Scalar(scalar) if scalar.shown().chars().count() > 40 => "a text".into(),
        Kind::Scalar(scalar) if scalar.style == Style::Plain => format!("`{}`", scalar.shown()),
        Kind::Scalar(scalar) => format!("the text `{}`", scalar.shown()),
    }
}
