//! From the events of the YAML parser to a tree, with every trap of YAML closed on the way.

use std::collections::HashMap;

use serde_yaml::granit_parser::{
    self, ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Tag, options,
};

use super::{Entry, Kind, Node, Scalar, Style};
use crate::files::Span;

/// More values than any file needs: stops what multiplies by aliases.
const MOST_NODES: usize = 20_000;
/// Deeper than any file needs.
const DEEPEST: usize = 64;

/// Why a text is no YAML that is taken here.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) code: &'static str,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Flaw {
    fn new(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { code, span, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Reads the one document of a file. Complaints that leave a tree are put into `flaws`; nobody knows what stood at `gaps`.
pub(super) fn parse(
    file: usize,
    text: &str,
    gaps: &[usize],
    flaws: &mut Vec<Flaw>,
) -> Result<Option<Node>, Flaw> {
    let mut tree = Tree {
        file,
        text,
        gaps,
        parser: Parser::new_from_str_with_options(text, limits()),
        anchors: HashMap::new(),
        nodes: 0,
        flaws: Vec::new(),
    };
    let read = tree.document();
    flaws.append(&mut tree.flaws);
    read
}

fn limits() -> Options {
    options! {
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    }
}

struct Tree<'t> {
    file: usize,
    text: &'t str,
    gaps: &'t [usize],
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    /// Each anchored value, with how many nodes it has.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    flaws: Vec<Flaw>,
}

impl<'t> Tree<'t> {
    fn document(&mut self) -> Result<Option<Node>, Flaw> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => {
                    return Err(Flaw::new("empty-file", Span::new(self.file, 0..0), "the file is empty"));
                }
                (event, span) => {
                    let node = self.value(event, span, 0)?;
                    return self.nothing_follows().map(|()| Some(node));
                }
            }
        }
    }

    fn nothing_follows(&mut self) -> Result<(), Flaw> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), span) => {
                    return Err(Flaw::new("several-documents", span, "a second document begins here")
                        .help("one file is one document: put what follows `---` into a file of its own"));
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Flaw> {
        match self.parser.next() {
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or(0..0);
                Ok((event, Span::new(self.file, range)))
            }
            Some(Err(error)) => Err(self.broken(&error)),
            None => Ok((Event::StreamEnd, Span::new(self.file, self.text.len()..self.text.len()))),
        }
    }

    fn value(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Flaw> {
        self.count(1, span)?;
        if depth > DEEPEST {
            return Err(too_deep(span));
        }
        let before = self.nodes;
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                (anchor, self.scalar(&text, style, span))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                (anchor, self.list(span, depth)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                (anchor, self.map(span, depth)?)
            }
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => return Err(Flaw::new("not-yaml", span, "a value is missing here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    /// An alias stands for its value, whose places are those of the value.
    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Flaw> {
        let Some((node, size)) = self.anchors.get(&anchor).map(|(node, size)| (node.clone(), *size)) else {
            return Err(Flaw::new("not-yaml", span, "this alias stands for a value that holds it"));
        };
        self.count(size, span)?;
        Ok(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, span: Span) -> Node {
        let style = match style {
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
            ScalarStyle::Plain if text.is_empty() => Style::Absent,
            // `~` stands for nothing in YAML when the parser made it up; where it is written it is text.
            ScalarStyle::Plain if span.start == span.end => Style::Absent,
            ScalarStyle::Plain => Style::Plain,
        };
        let is_gap = self.gaps.contains(&span.start);
        let text = if style == Style::Absent || is_gap { String::new() } else { text.to_owned() };
        let scalar = Scalar { unknown: is_gap, ..Scalar::new(text, style) };
        Node { span: self.tight(span, style), kind: Kind::Scalar(scalar) }
    }

    /// Ends a block before the blank that follows it.
    fn tight(&self, span: Span, style: Style) -> Span {
        let Some(text) = self.text.get(span.start..span.end) else { return span };
        match style {
            Style::Literal | Style::Folded | Style::Plain => {
                Span { end: span.start + text.trim_end().len(), ..span }
            }
            _ => span,
        }
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, Flaw> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    let span = Span { end: end.end.max(start.end), ..start };
                    return Ok(Node { span, kind: Kind::List(items) });
                }
                (event, span) => items.push(self.value(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, Flaw> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    merge(&mut entries, merged);
                    let span = Span { end: key_span.end.max(start.end), ..start };
                    return Ok(Node { span, kind: Kind::Map(entries) });
                }
                Event::Scalar(key, style, ..) => (key, style),
                Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                    return Err(Flaw::new("not-yaml", key_span, "a key is one word, not a list or a map"));
                }
                _ => return Err(Flaw::new("not-yaml", key_span, "a key is missing here")),
            };
            let (event, span) = self.next()?;
            let value = self.value(event, span, depth + 1)?;
            if key.0 == "<<" && key.1 == ScalarStyle::Plain {
                self.take_merged(value, key_span, &mut merged);
                continue;
            }
            self.put(&mut entries, Entry { key: key.0.into_owned(), key_span, value });
        }
    }

    fn put(&mut self, entries: &mut Vec<Entry>, entry: Entry) {
        let Some(first) = entries.iter().find(|known| known.key == entry.key) else {
            entries.push(entry);
            return;
        };
        let line = self.text[..first.key_span.start].matches('\n').count() + 1;
        let message = format!("`{}` stands here a second time", entry.key);
        self.flaws.push(
            Flaw::new("duplicate-key", entry.key_span, message)
                .help(format!("the first is in line {line}: keep one of them")),
        );
    }

    fn take_merged(&mut self, value: Node, key_span: Span, merged: &mut Vec<Entry>) {
        match value.kind {
            Kind::Map(entries) => merged.extend(entries),
            Kind::List(items) => items.into_iter().for_each(|item| self.take_merged(item, key_span, merged)),
            Kind::Scalar(_) => {
                self.flaws.push(Flaw::new("not-yaml", key_span, "`<<` takes a map, or a list of maps"));
            }
        }
    }

    /// A tag changes what a value is: nothing here has a use for that, and `!` before an expression reads as one.
    fn refuse_tag(&mut self, tag: Option<&Tag>, span: Span) {
        if tag.is_some() {
            self.flaws.push(
                Flaw::new("yaml-tag", span, "YAML takes the word that begins with `!` for a tag")
                    .help("put an expression that begins with `!` in single quotes: '!msg.has(\"ZPD\")'"),
            );
        }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Flaw> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            let message = format!("the file has more than {MOST_NODES} values, aliases counted");
            return Err(Flaw::new("file-too-big", span, message));
        }
        Ok(())
    }

    fn broken(&self, error: &ScanError) -> Flaw {
        let at = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        let at = self.text.floor_char_boundary(at);
        let end = self.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        let span = Span::new(self.file, at..end);
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(span),
            ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabNotAllowed
            | ErrorKind::TabAtBlockScalarStart => Flaw::new("tab", span, "a tab cannot indent")
                .help("YAML is indented by spaces: put two for each tab"),
            ErrorKind::UnknownAnchor => Flaw::new("not-yaml", span, "no anchor of this name stands before"),
            kind => self.not_yaml(span, &kind.to_string()),
        }
    }

    fn not_yaml(&self, span: Span, why: &str) -> Flaw {
        let start = self.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let indent = self.text[start..].chars().take_while(|c| c.is_whitespace() && *c != '\n');
        if indent.into_iter().any(|c| c == '\t') {
            return Flaw::new("tab", span, "a tab cannot indent")
                .help("YAML is indented by spaces: put two for each tab");
        }
        Flaw::new("not-yaml", span, format!("this is not YAML: {why}"))
    }
}

/// What a map has itself goes before what it takes over; of those, the first.
fn merge(entries: &mut Vec<Entry>, merged: Vec<Entry>) {
    for entry in merged {
        if !entries.iter().any(|known| known.key == entry.key) {
            entries.push(entry);
        }
    }
}

fn too_deep(span: Span) -> Flaw {
    Flaw::new("too-deep", span, format!("nested deeper than {DEEPEST} levels"))
}
