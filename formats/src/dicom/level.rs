//! The elements that stand side by side: of the instance itself, or of one item. What is in them is looked at when asked for.

use std::{
    collections::HashSet,
    io::{Read, Seek},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    dictionary,
    element::{Element, Within},
    error::{DicomError, Why},
    syntax::Encoding,
    tag::Tag,
    vr::Vr,
    walk::{Step, Walker},
    window::Window,
};

/// More elements than any instance has side by side.
const MOST: usize = 50_000;

/// Elements side by side, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub(crate) encoding: Encoding,
    pub(crate) nodes: Vec<Node>,
}

/// One element, as it stands or changed.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) tag: Tag,
    pub(crate) vr: Vr,
    pub(crate) held: Held,
}

#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// As it stands in the source, up to where all of it ends.
    Kept { element: Element, ends: u64 },
    /// A new value.
    Written(Bytes),
    /// Items of which one at least is another than it was. `is_open`: they are ended by marks.
    Items { items: Vec<Item>, is_open: bool },
}

/// One item of a sequence.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// As it stands: from its mark on, its elements, and where the next thing begins.
    Kept {
        at: u64,
        starts: u64,
        ends: u64,
        behind: u64,
    },
    Changed {
        level: Arc<Level>,
        is_open: bool,
    },
}

impl Level {
    /// Finds the elements between two places.
    pub(crate) fn index<R: Read + Seek>(
        window: &mut Window<R>,
        (from, to): (u64, u64),
        encoding: Encoding,
    ) -> Result<Self, DicomError> {
        let mut walker = Walker::new(window, from, to, encoding);
        let mut nodes: Vec<Node> = Vec::new();
        let mut depth = 0_usize;
        while let Some(step) = walker.next()? {
            match step {
                Step::Element(element) if depth == 0 => {
                    if nodes.len() == MOST {
                        return Err(DicomError::new(element.at, element.tag, Why::TooMany(MOST)));
                    }
                    let ends = element.end().unwrap_or(element.value);
                    nodes.push(Node {
                        tag: element.tag,
                        vr: kind_of(&element),
                        held: Held::Kept { element, ends },
                    });
                    depth += usize::from(element.within() != Within::Value);
                }
                Step::Element(element) => depth += usize::from(element.within() != Within::Value),
                Step::SequenceEnd { behind, .. } => {
                    depth -= 1;
                    if depth == 0
                        && let Some(Node { held: Held::Kept { ends, .. }, .. }) = nodes.last_mut()
                    {
                        *ends = behind;
                    }
                }
                _ => {}
            }
        }
        Self { encoding, nodes }.without_doubles()
    }

    fn without_doubles(self) -> Result<Self, DicomError> {
        if self.nodes.is_sorted_by(|one, next| one.tag < next.tag) {
            return Ok(self);
        }
        let mut seen = HashSet::new();
        for node in &self.nodes {
            if let (false, Held::Kept { element, .. }) = (seen.insert(node.tag), &node.held) {
                return Err(DicomError::new(element.at, node.tag, Why::Twice));
            }
        }
        Ok(self)
    }

    pub(crate) fn find(&self, tag: Tag) -> Option<&Node> {
        self.nodes.iter().find(|node| node.tag == tag)
    }

    pub(crate) fn place(&self, tag: Tag) -> Option<usize> {
        self.nodes.iter().position(|node| node.tag == tag)
    }

    /// Where an element of this tag is, or would be put.
    pub(crate) fn room_for(&mut self, tag: Tag, vr: Vr) -> &mut Node {
        let place = self.place(tag).unwrap_or_else(|| {
            let place = self.nodes.iter().position(|node| node.tag > tag).unwrap_or(self.nodes.len());
            self.nodes.insert(place, Node { tag, vr, held: Held::Written(Bytes::new()) });
            place
        });
        &mut self.nodes[place]
    }

    /// A group's own length is not true any more when one of its elements is another. It may be missing.
    pub(crate) fn forget_length(&mut self, group: u16) {
        let length = Tag::new(group, 0);
        self.nodes.retain(|node| node.tag != length);
    }
}

/// The kind of an element. One that came by way of somebody who did not know it has the kind that the standard gives it.
fn kind_of(element: &Element) -> Vr {
    let known = dictionary::vr_of(element.tag);
    let is_plain = element.vr == Vr::UN && element.length.is_some() && known != Vr::SQ;
    // What is unknown is little-endian, whatever stands around it.
    let is_readable = known.is_text() || !element.encoding.is_big;
    if is_plain && is_readable { known } else { element.vr }
}

impl Node {
    /// How its items are written, where it is a sequence.
    pub(crate) fn items_encoding(&self, level: Encoding) -> Option<Encoding> {
        match &self.held {
            Held::Kept { element, .. } => match element.within() {
                Within::Items(encoding) => Some(encoding),
                Within::Value | Within::Fragments => None,
            },
            Held::Items { .. } if self.vr == Vr::UN && level.is_explicit => Some(Encoding::IMPLICIT),
            Held::Items { .. } => Some(level),
            Held::Written(_) => (self.vr == Vr::SQ).then_some(level),
        }
    }

    /// The items of a sequence.
    pub(crate) fn items<R: Read + Seek>(&self, window: &mut Window<R>) -> Result<Vec<Item>, DicomError> {
        let (element, to) = match &self.held {
            Held::Items { items, .. } => return Ok(items.clone()),
            Held::Written(_) => return Ok(Vec::new()),
            Held::Kept { element, ends } => (element, *ends),
        };
        let mut walker = Walker::new(window, element.at, to, element.encoding);
        let (mut items, mut depth, mut open) = (Vec::new(), 0_usize, None);
        while let Some(step) = walker.next()? {
            match step {
                Step::Item { at, starts } => {
                    depth += 1;
                    if depth == 1 {
                        open = Some((at, starts));
                    }
                }
                Step::ItemEnd { ends, behind } => {
                    depth -= 1;
                    if depth == 0
                        && let Some((at, starts)) = open.take()
                    {
                        if items.len() == MOST {
                            return Err(DicomError::new(at, self.tag, Why::TooMany(MOST)));
                        }
                        items.push(Item::Kept { at, starts, ends, behind });
                    }
                }
                _ => {}
            }
        }
        Ok(items)
    }

    /// Whether marks end it.
    pub(crate) fn is_open(&self) -> bool {
        match &self.held {
            Held::Kept { element, .. } => element.length.is_none(),
            Held::Items { is_open, .. } => *is_open,
            Held::Written(_) => false,
        }
    }
}

impl Item {
    /// Its elements.
    pub(crate) fn level<R: Read + Seek>(
        &self,
        window: &mut Window<R>,
        encoding: Encoding,
    ) -> Result<Arc<Level>, DicomError> {
        match self {
            Self::Kept { starts, ends, .. } => Level::index(window, (*starts, *ends), encoding).map(Arc::new),
            Self::Changed { level, .. } => Ok(level.clone()),
        }
    }

    /// Whether a mark ends it.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Kept { ends, behind, .. } => behind > ends,
            Self::Changed { is_open, .. } => *is_open,
        }
    }
}
