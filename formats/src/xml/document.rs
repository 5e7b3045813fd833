//! One document: its text, and the elements in it.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use super::{Path, XmlError, escape, parse, path::Step, tag};

/// A document that can be read and changed by path. Cloning shares the text and copies the tree.
#[derive(Clone)]
pub struct Document {
    pub(super) source: Arc<str>,
    pub(super) elements: Vec<Element>,
    /// Where the root element stood; what is before and behind it stays.
    pub(super) root: Range<usize>,
}

/// One element of a document, for the functions that take one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ElementId(pub(super) usize);

/// An element: its tags, and what stands between them.
#[derive(Clone)]
pub(super) struct Element {
    pub(super) parent: Option<usize>,
    pub(super) open: Piece,
    pub(super) children: Vec<Child>,
    /// Empty where the element is empty and written so.
    pub(super) close: Piece,
    pub(super) is_removed: bool,
}

#[derive(Clone)]
pub(super) enum Child {
    /// Text, CDATA, a comment, an instruction.
    Raw(Piece),
    Element(usize),
}

/// Text that stands in the source, or that was written since.
#[derive(Clone)]
pub(super) enum Piece {
    Original(Range<usize>),
    Written(Arc<str>),
}

impl Piece {
    pub(super) fn text<'a>(&'a self, source: &'a str) -> &'a str {
        match self {
            Self::Original(range) => &source[range.clone()],
            Self::Written(text) => text,
        }
    }
}

impl Element {
    pub(super) fn new(parent: Option<usize>, open: Piece) -> Self {
        Self { parent, open, children: Vec::new(), close: Piece::Original(0..0), is_removed: false }
    }
}

impl Document {
    /// Reads a document. Document types are refused: they can name files and grow without end.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Document, XmlError> {
        parse::parse(&text.into())
    }

    pub(super) fn new(source: Arc<str>, elements: Vec<Element>, root: Range<usize>) -> Self {
        Self { source, elements, root }
    }

    /// The whole text; what was not touched is as it came.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.source.len() + 64);
        text.push_str(&self.source[..self.root.start]);
        self.write(0, &mut text);
        text.push_str(&self.source[self.root.end..]);
        text
    }

    /// The element that holds all others.
    pub fn root(&self) -> ElementId {
        ElementId(0)
    }

    /// The text of an element with its tags.
    pub fn outer(&self, element: ElementId) -> String {
        let mut text = String::new();
        self.write(element.0, &mut text);
        text
    }

    fn write(&self, element: usize, text: &mut String) {
        let Element { open, children, close, .. } = &self.elements[element];
        text.push_str(open.text(&self.source));
        self.write_content(children, text);
        text.push_str(close.text(&self.source));
    }

    fn write_content(&self, children: &[Child], text: &mut String) {
        for child in children {
            match child {
                Child::Raw(piece) => text.push_str(piece.text(&self.source)),
                Child::Element(id) => self.write(*id, text),
            }
        }
    }

    /// The element's name, with its prefix.
    pub fn name(&self, element: ElementId) -> &str {
        tag::name(self.elements[element.0].open.text(&self.source))
    }

    /// A leaf decoded, comments left out; an element with others in it as it stands between its tags.
    pub fn value(&self, element: ElementId) -> String {
        let children = &self.elements[element.0].children;
        let mut text = String::new();
        if children.iter().any(|child| matches!(child, Child::Element(_))) {
            self.write_content(children, &mut text);
            return text;
        }
        for child in children {
            if let Child::Raw(piece) = child {
                text.push_str(&plain(piece.text(&self.source)));
            }
        }
        text
    }

    /// An attribute, decoded.
    pub fn attribute(&self, element: ElementId, name: &str) -> Option<Cow<'_, str>> {
        let open = self.elements[element.0].open.text(&self.source);
        let found =
            tag::attributes(open).ok()?.into_iter().find(|one| is_called(&open[one.name.clone()], name))?;
        escape::decoded(&open[found.value]).ok()
    }

    /// What stands at a path, from the document's own element on; none when absent.
    pub fn get(&self, path: &Path) -> Option<String> {
        let [root, rest @ ..] = path.steps.as_slice() else {
            return Some(self.attribute(self.root(), path.attribute.as_ref()?)?.into_owned());
        };
        if !self.is_named(0, root) {
            return None;
        }
        self.at(self.root(), rest, path.attribute.as_deref())
    }

    /// What stands at a path from an element on; none when absent.
    pub fn get_in(&self, element: ElementId, path: &Path) -> Option<String> {
        self.at(element, &path.steps, path.attribute.as_deref())
    }

    fn at(&self, element: ElementId, steps: &[Step], attribute: Option<&str>) -> Option<String> {
        let element = self.first(element, steps)?;
        match attribute {
            Some(name) => self.attribute(element, name).map(Cow::into_owned),
            None => Some(self.value(element)),
        }
    }

    /// All elements at a path, from the document's own element on.
    pub fn all(&self, path: &Path) -> Vec<ElementId> {
        match path.steps.as_slice() {
            [root, rest @ ..] if self.is_named(0, root) => self.every(self.root(), rest),
            _ => Vec::new(),
        }
    }

    /// All elements at a path from an element on.
    pub fn all_in(&self, element: ElementId, path: &Path) -> Vec<ElementId> {
        self.every(element, &path.steps)
    }

    /// The elements in an element.
    pub fn children(&self, element: ElementId) -> Vec<ElementId> {
        let of = |child: &Child| match child {
            Child::Element(id) => Some(ElementId(*id)),
            Child::Raw(_) => None,
        };
        self.elements[element.0].children.iter().filter_map(of).collect()
    }

    pub(super) fn first(&self, element: ElementId, steps: &[Step]) -> Option<ElementId> {
        steps.iter().try_fold(element, |element, step| {
            self.named(element, step).nth(step.occurrence.unwrap_or(1) - 1)
        })
    }

    fn every(&self, element: ElementId, steps: &[Step]) -> Vec<ElementId> {
        steps.iter().fold(vec![element], |found, step| {
            let beneath = |element: ElementId| {
                let number = step.occurrence;
                let named = self.named(element, step).enumerate();
                named
                    .filter(move |(at, _)| number.is_none_or(|number| at + 1 == number))
                    .map(|(_, id)| id)
                    .collect::<Vec<_>>()
            };
            found.into_iter().flat_map(beneath).collect()
        })
    }

    /// The elements in an element that have the name of a step.
    pub(super) fn named<'a>(
        &'a self,
        element: ElementId,
        step: &'a Step,
    ) -> impl Iterator<Item = ElementId> + 'a {
        self.children(element).into_iter().filter(|id| self.is_named(id.0, step))
    }

    pub(super) fn is_named(&self, element: usize, step: &Step) -> bool {
        is_called(self.name(ElementId(element)), &step.name)
    }
}

/// Whether a name is the one that is meant: without a prefix any will do.
pub(super) fn is_called(name: &str, meant: &str) -> bool {
    name == meant || (!meant.contains(':') && name.split_once(':').is_some_and(|(_, local)| local == meant))
}

/// The text of what stands between tags: references decoded, CDATA as it is, comments and instructions left out.
fn plain(raw: &str) -> Cow<'_, str> {
    if let Some(inside) = raw.strip_prefix("<![CDATA[") {
        return Cow::Borrowed(inside.strip_suffix("]]>").unwrap_or(inside));
    }
    if raw.starts_with('<') {
        return Cow::Borrowed("");
    }
    escape::decoded(raw).unwrap_or(Cow::Borrowed(raw))
}

/// Shows the size only: a document is about a patient, and debug output ends in logs.
impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Document({} elements)", self.elements.len())
    }
}
