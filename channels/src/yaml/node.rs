//! A value of a file, with where it stands.

use engine::Path;

use crate::files::Span;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// One text.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    /// As it counts: unquoted, with its variables put in.
    pub(crate) text: String,
    pub(crate) style: Style,
    /// Where variables were put in: the text as it stands, the only one that may be shown.
    pub(crate) written: Option<String>,
    /// It holds a secret that was only taken as present, or nobody knows what stood here: the text was no YAML.
    pub(crate) unknown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Single,
    Double,
    /// A `|` block.
    Literal,
    /// A `>` block.
    Folded,
    /// Nothing stands there.
    Absent,
}

impl Scalar {
    pub(crate) fn new(text: String, style: Style) -> Self {
        Self { text, style, written: None, unknown: false }
    }

    /// The text that may be shown to a person.
    pub(crate) fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.style == Style::Absent
    }
}

impl Node {
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_absent)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value under a key of a map, or at a place of a list.
    pub(crate) fn get(&self, part: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(_) => self.entry(part).map(|entry| &entry.value),
            Kind::List(items) => items.get(part.parse::<usize>().ok()?),
            Kind::Scalar(_) => None,
        }
    }

    pub(crate) fn at(&self, path: &Path) -> Option<&Node> {
        path.parts().iter().try_fold(self, |node, part| node.get(part))
    }

    /// Where `path` stands; of what is not there, where it would be. A map or a list is shown by its key.
    pub(crate) fn locate(&self, path: &Path) -> Span {
        let mut here = self;
        let mut span = self.head();
        for part in path.parts() {
            let Some(next) = here.get(part) else { break };
            span = match (here.entry(part), &next.kind) {
                (Some(entry), Kind::Map(_) | Kind::List(_)) => entry.key_span,
                (Some(entry), Kind::Scalar(scalar)) if scalar.is_absent() => entry.key_span,
                _ => next.head(),
            };
            here = next;
        }
        span
    }

    /// Where the key stands that `path` ends with.
    pub(crate) fn locate_key(&self, path: &Path) -> Span {
        let Some((last, above)) = path.parts().split_last() else { return self.head() };
        let above = above.iter().fold(Path::default(), |path, part| path.join(part));
        match self.at(&above).and_then(|node| node.entry(last)) {
            Some(entry) => entry.key_span,
            None => self.locate(path),
        }
    }

    /// The first thing of a collection, the whole of a scalar: what a person is shown.
    fn head(&self) -> Span {
        match &self.kind {
            Kind::Map(entries) => entries.first().map_or(self.span, |entry| entry.key_span),
            Kind::List(items) => items.first().map_or(self.span, Node::head),
            Kind::Scalar(_) => self.span,
        }
    }
}
