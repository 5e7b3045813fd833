//! A place in a JSON Schema, as the lint, the variables and the reading of values see it.

use engine::Path;
use serde_json::{Map, Number, Value};

use crate::{
    variables,
    yaml::{Kind, Node, Scalar, Style},
};

/// What may stand somewhere. References are followed; what stands beside a reference counts too.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'s> {
    root: &'s Value,
    outer: &'s Value,
    here: &'s Value,
}

/// What `${…}` with an expression means in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Template {
    /// An error.
    No,
    /// A setting of a destination: made of the message where it has an expression, else a plain text.
    Setting,
    /// A text of `set`, always read as a template.
    Always,
}

impl<'s> Shape<'s> {
    pub(crate) fn new(root: &'s Value) -> Self {
        Self::of(root, root)
    }

    fn of(root: &'s Value, outer: &'s Value) -> Self {
        let mut here = outer;
        while let Some(reference) = here.get("$ref").and_then(Value::as_str) {
            match root.pointer(reference.trim_start_matches('#')) {
                Some(followed) => here = followed,
                None => break,
            }
        }
        Self { root, outer, here }
    }

    fn within(self, value: &'s Value) -> Self {
        Self::of(self.root, value)
    }

    /// A keyword, wherever it stands: beside the reference or behind it.
    pub(crate) fn keyword(self, name: &str) -> Option<&'s Value> {
        self.outer.get(name).or_else(|| self.here.get(name))
    }

    /// Every form that is allowed here, the one itself if there is no choice.
    pub(crate) fn forms(self) -> Vec<Shape<'s>> {
        let choice = ["anyOf", "oneOf"].iter().find_map(|name| self.here.get(name)?.as_array());
        match choice {
            Some(forms) => forms
                .iter()
                .flat_map(|form| self.within(form).forms())
                .map(|form| if self.is_marked() { Shape { outer: self.outer, ..form } } else { form })
                .collect(),
            None => vec![self],
        }
    }

    fn is_marked(self) -> bool {
        ["x-template", "x-code"].iter().any(|mark| self.keyword(mark).is_some())
    }

    /// The types that are named: `string`, `null`… Empty: any.
    pub(crate) fn types(self) -> Vec<&'s str> {
        match self.here.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ if self.here.get("properties").is_some() => vec!["object"],
            _ if self.here.get("const").is_some() || self.here.get("enum").is_some() => vec!["string"],
            _ => Vec::new(),
        }
    }

    pub(crate) fn is_free(self) -> bool {
        self.types().is_empty() && self.forms().len() == 1
    }

    pub(crate) fn allows_nothing(self) -> bool {
        self.forms().iter().any(|form| form.types().contains(&"null") || form.is_free())
    }

    pub(crate) fn properties(self) -> Option<&'s Map<String, Value>> {
        self.here.get("properties")?.as_object()
    }

    pub(crate) fn required(self) -> impl Iterator<Item = &'s str> {
        self.here.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether a key that is not named is an error.
    pub(crate) fn is_closed(self) -> bool {
        self.here.get("additionalProperties") == Some(&Value::Bool(false))
    }

    /// What may stand under a key.
    pub(crate) fn field(self, key: &str) -> Option<Shape<'s>> {
        if let Some(named) = self.properties().and_then(|properties| properties.get(key)) {
            return Some(self.within(named));
        }
        match self.here.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(others) if others.is_object() => Some(self.within(others)),
            _ if self.is_closed() => None,
            _ => Some(Shape { root: self.root, outer: &Value::Bool(true), here: &Value::Bool(true) }),
        }
    }

    pub(crate) fn items(self) -> Option<Shape<'s>> {
        Some(self.within(self.here.get("items")?))
    }

    /// The words that are allowed, if only words are.
    pub(crate) fn words(self) -> Option<Vec<&'s str>> {
        if let Some(word) = self.here.get("const") {
            return Some(vec![word.as_str()?]);
        }
        self.here.get("enum")?.as_array()?.iter().map(Value::as_str).collect()
    }

    pub(crate) fn is_code(self) -> bool {
        self.keyword("x-code") == Some(&Value::Bool(true))
    }

    pub(crate) fn template(self) -> Template {
        match self.keyword("x-template") {
            Some(Value::Bool(true)) => Template::Setting,
            Some(Value::String(_)) => Template::Always,
            _ => Template::No,
        }
    }

    /// The form that a node is meant to have: of its kind, and among maps the one that knows most of its keys.
    pub(crate) fn meant(self, node: &Node) -> Option<Shape<'s>> {
        let mut forms: Vec<_> = self.forms().into_iter().filter(|form| form.takes(node)).collect();
        if let Kind::Map(entries) = &node.kind
            && forms.len() > 1
        {
            let known = |form: &Shape<'_>| {
                let named = entries.iter().filter(|entry| {
                    form.properties().is_some_and(|properties| properties.contains_key(&entry.key))
                });
                let missing = form.required().filter(|key| node.entry(key).is_none()).count();
                (named.count(), std::cmp::Reverse(missing))
            };
            // The first of equals: `max_by_key` would take the last.
            forms.reverse();
            return forms.into_iter().max_by_key(known);
        }
        forms.into_iter().next()
    }

    /// Whether a node has the kind that this form wants.
    pub(crate) fn takes(self, node: &Node) -> bool {
        let types = self.types();
        types.is_empty()
            || match &node.kind {
                Kind::Map(_) => types.contains(&"object"),
                Kind::List(_) => types.contains(&"array"),
                Kind::Scalar(scalar) if scalar.is_absent() => types.contains(&"null"),
                Kind::Scalar(scalar) => types.iter().any(|wanted| typed(scalar, wanted).is_some()),
            }
    }

    /// The value of a node, its scalars typed as the schema says. Leaves out what is not known here, what is
    /// absent, and what `is_faulty` names.
    pub(crate) fn value(self, node: &Node, at: &Path, is_faulty: &dyn Fn(&Path) -> bool) -> Value {
        let meant = self.meant(node).unwrap_or(self);
        match &node.kind {
            Kind::Scalar(scalar) => self.scalar(scalar),
            Kind::List(items) => {
                let of = meant.items().unwrap_or(meant);
                let item = |(place, item)| of.value(item, &at.join(place), is_faulty);
                Value::Array(items.iter().enumerate().map(item).collect())
            }
            Kind::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    let beneath = at.join(&entry.key);
                    if let Some(of) = meant.field(&entry.key)
                        && !entry.value.is_absent()
                        && !is_faulty(&beneath)
                    {
                        map.insert(entry.key.clone(), of.value(&entry.value, &beneath, is_faulty));
                    }
                }
                Value::Object(map)
            }
        }
    }

    fn scalar(self, scalar: &Scalar) -> Value {
        if self.is_free() {
            return free(scalar);
        }
        let forms = self.forms();
        let types = forms.iter().flat_map(|form| form.types());
        let other = types.filter(|wanted| *wanted != "string").find_map(|wanted| typed(scalar, wanted));
        match other {
            Some(value) => value,
            None if self.template() == Template::Setting && !variables::has_expression(&scalar.text) => {
                Value::String(scalar.text.replace("$${", "${"))
            }
            None => Value::String(scalar.text.clone()),
        }
    }
}

/// A scalar as a value of a type, if it is one.
pub(crate) fn typed(scalar: &Scalar, wanted: &str) -> Option<Value> {
    let bare = scalar.style == Style::Plain || scalar.written.is_some();
    match wanted {
        "string" => (!scalar.is_absent()).then(|| Value::String(scalar.text.clone())),
        "null" => scalar.is_absent().then_some(Value::Null),
        "boolean" if bare => scalar.text.parse().ok().map(Value::Bool),
        "integer" if bare => scalar.text.parse::<i64>().ok().map(Value::from),
        "number" if bare => number(&scalar.text).map(Value::Number),
        _ => None,
    }
}

/// Where nothing is said, a plain scalar that JSON would take for a number or a truth is one.
fn free(scalar: &Scalar) -> Value {
    if scalar.is_absent() {
        return Value::Null;
    }
    let plain = scalar.style == Style::Plain;
    match scalar.text.as_str() {
        "true" if plain => Value::Bool(true),
        "false" if plain => Value::Bool(false),
        "null" if plain => Value::Null,
        text => match number(text).filter(|_| plain) {
            Some(number) => Value::Number(number),
            None => Value::String(text.to_owned()),
        },
    }
}

fn number(text: &str) -> Option<Number> {
    let begins = text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
    if begins { serde_json::from_str(text).ok() } else { None }
}
