//! An instance that steps read and change: what they do not touch leaves byte for byte as it came.

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use thiserror::Error;

use super::{
    charset::CharacterSet,
    error::{DicomError, Why},
    inflate::{Inflated, LONGEST_INFLATED},
    level::{Held, Item, Level, Node},
    meta::Meta,
    path::{Name, Path, PathStep},
    source::{Piece, Reader, Source},
    syntax::{Encoding, TransferSyntax},
    tag::{Tag, tags},
    value::{Manner, ValueError},
    vr::Vr,
    window::Window,
};

/// A value that is longer is not read into memory.
const LONGEST: u64 = 16 << 20;

/// An instance. Its copies share what was not changed.
#[derive(Clone)]
pub struct Instance {
    pub(crate) source: Arc<dyn Source>,
    /// The source as it came, where its data set was deflated.
    deflated: Option<Arc<dyn Source>>,
    syntax: TransferSyntax,
    pub(crate) meta: Arc<Level>,
    pub(crate) level: Arc<Level>,
    pub(crate) is_changed: bool,
    /// Whether the 128 bytes before the head leave as they came.
    pub(crate) has_preamble: bool,
}

/// Why something in an instance cannot be read or changed as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccessError {
    /// The instance itself is broken there.
    #[error(transparent)]
    Broken(#[from] DicomError),
    /// The value is not what was asked for.
    #[error("`{0}` {1}")]
    Value(Path, ValueError),
    /// A way through something that is no sequence.
    #[error("`{0}` goes through an element that is no sequence")]
    NoSequence(Path),
    /// An item that would leave a hole before it.
    #[error("`{path}` cannot be added: there are {count} items")]
    Gap {
        /// What was asked for.
        path: Path,
        /// How many there are.
        count: usize,
    },
    /// What the engine writes itself.
    #[error("`{0}` is written by the engine: it says how the file is written")]
    Reserved(Path),
    /// No private block is left.
    #[error("`{0}` finds no free block for its maker")]
    NoBlock(Path),
}

/// An element as the walk through a level shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub tag: Tag,
    pub vr: Vr,
    /// Whether it has items.
    pub is_sequence: bool,
}

/// What a path leads to.
pub(crate) struct Found {
    pub(crate) node: Node,
    pub(crate) encoding: Encoding,
    pub(crate) charset: CharacterSet,
    /// Which of its values or items was asked for.
    pub(crate) place: Option<usize>,
}

impl Instance {
    /// Reads a file that is in memory.
    pub fn of_bytes(bytes: Bytes) -> Result<Self, DicomError> {
        Self::read(Arc::new(bytes))
    }

    /// Reads a file.
    pub fn read(source: Arc<dyn Source>) -> Result<Self, DicomError> {
        let mut window = Window::new(Reader::new(source.clone()))?;
        let meta = Meta::read(&mut window)?;
        let group = Level::index(&mut window, (super::meta::STARTS, meta.ends), Encoding::META)?;
        let (source, deflated) = if meta.syntax.is_deflated() {
            (inflate(&source, meta.ends)?, Some(source))
        } else {
            (source, None)
        };
        let mut window = Window::new(Reader::new(source.clone()))?;
        let ends = source.length();
        let level = Level::index(&mut window, (meta.ends, ends), meta.syntax.encoding())?;
        Ok(Self {
            source,
            deflated,
            syntax: meta.syntax,
            meta: Arc::new(group),
            level: Arc::new(level),
            is_changed: false,
            has_preamble: true,
        })
    }

    /// A new one, of a class and with a UID: little-endian, with its kinds.
    pub fn new(sop_class: &str, sop_instance: &str) -> Result<Self, DicomError> {
        for uid in [sop_class, sop_instance] {
            if !super::is_uid(uid) {
                return Err(DicomError::new(0, None, Why::BadUid));
            }
        }
        let text = |tag: Tag, text: &str| {
            let mut value = text.as_bytes().to_vec();
            value.resize(value.len().next_multiple_of(2), 0);
            Node { tag, vr: Vr::UI, held: Held::Written(value.into()) }
        };
        let written = |nodes: Vec<Node>| {
            let mut pieces = Vec::new();
            super::written::level(&Level { encoding: Encoding::META, nodes }, &mut pieces);
            join(&(Arc::new(Bytes::new()) as Arc<dyn Source>), &pieces)
        };
        let version =
            Node { held: Held::Written(Bytes::from_static(&[0, 1])), vr: Vr::OB, tag: tags::META_VERSION };
        let group = written(vec![
            version,
            text(tags::MEDIA_SOP_CLASS, sop_class),
            text(tags::MEDIA_SOP_INSTANCE, sop_instance),
            text(tags::TRANSFER_SYNTAX, super::syntax::EXPLICIT),
            text(tags::IMPLEMENTATION, super::IMPLEMENTATION),
        ])?;
        let length = Bytes::from((group.len() as u32).to_le_bytes().to_vec());
        let length = written(vec![Node { tag: tags::META_LENGTH, vr: Vr::UL, held: Held::Written(length) }])?;
        let instance =
            written(vec![text(tags::SOP_CLASS, sop_class), text(tags::SOP_INSTANCE, sop_instance)])?;
        Self::of_bytes([vec![0; 128], b"DICM".to_vec(), length, group, instance].concat().into())
    }

    /// Whether both were read from the same bytes.
    pub fn has_same_source(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
    }

    /// How it is written.
    pub fn syntax(&self) -> &TransferSyntax {
        &self.syntax
    }

    /// Where the bytes lie that [`Self::pieces`] keeps; of a deflated one, what was inflated.
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// Whether something in it is another than it was.
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    pub(crate) fn window(&self) -> Window<Reader> {
        Window::of_length(Reader::new(self.source.clone()), self.source.length())
    }

    /// The text at a path, several values with `\` between; empty where nothing stands.
    pub fn get(&self, path: &Path) -> Result<String, AccessError> {
        let Some(found) = self.find(path)? else { return Ok(String::new()) };
        if found.node.items_encoding(found.encoding).is_some() {
            return Err(AccessError::Value(path.clone(), ValueError::Sequence));
        }
        let text = self.text(&found).map_err(|error| error.at(path))?;
        let Some(place) = found.place else { return Ok(text) };
        if found.node.vr.has_several() || found.node.vr.width().is_some() {
            return Ok(text.split('\\').nth(place - 1).unwrap_or_default().to_owned());
        }
        Ok(if place == 1 { text } else { String::new() })
    }

    pub(crate) fn text(&self, found: &Found) -> Result<String, Unread> {
        let vr = self.vr_of(found)?;
        let manner = Manner { vr, encoding: found.encoding, charset: &found.charset };
        if !vr.is_text() && vr.width().is_none() && vr != Vr::UN {
            return Err(Unread::Value(ValueError::Bytes));
        }
        manner.read(&self.value(&found.node)?).map_err(Unread::Value)
    }

    /// Of which kind it is: numbers whose sign nobody wrote down have the pixels'.
    fn vr_of(&self, found: &Found) -> Result<Vr, DicomError> {
        let is_open = !found.encoding.is_explicit && super::dictionary::may_have_sign(found.node.tag);
        if !is_open {
            return Ok(found.node.vr);
        }
        let Some(node) = self.level.find(tags::PIXEL_REPRESENTATION) else { return Ok(found.node.vr) };
        let is_signed =
            self.value(node)?.first_chunk().is_some_and(|bytes| self.level.encoding.u16(*bytes) == 1);
        Ok(if is_signed { Vr::SS } else { found.node.vr })
    }

    /// The bytes of the value at a path; none where nothing stands. Pixels are not read.
    pub fn bytes(&self, path: &Path) -> Result<Option<Bytes>, AccessError> {
        let Some(found) = self.find(path)? else { return Ok(None) };
        if found.node.items_encoding(found.encoding).is_some() {
            return Err(AccessError::Value(path.clone(), ValueError::Sequence));
        }
        Ok(Some(self.value(&found.node)?))
    }

    pub(crate) fn value(&self, node: &Node) -> Result<Bytes, DicomError> {
        match &node.held {
            Held::Written(value) => Ok(value.clone()),
            Held::Items { .. } => Ok(Bytes::new()),
            Held::Kept { element, .. } => {
                let length = u64::from(element.length.unwrap_or(u32::MAX));
                if length > LONGEST {
                    return Err(DicomError::new(element.at, element.tag, Why::Oversized(length)));
                }
                self.window().bytes(element.value, length).map(Bytes::from)
            }
        }
    }

    /// Whether something stands at a path: a value, an item.
    pub fn has(&self, path: &Path) -> Result<bool, AccessError> {
        let Some(found) = self.find(path)? else { return Ok(false) };
        if found.node.items_encoding(found.encoding).is_some() {
            return Ok(found.node.items(&mut self.window())?.len() >= found.place.unwrap_or(1));
        }
        if found.place.is_some_and(|place| place > 1) {
            return Ok(!self.get(path)?.is_empty());
        }
        Ok(match &found.node.held {
            Held::Kept { element, .. } => element.length != Some(0),
            Held::Written(value) => !value.is_empty(),
            Held::Items { .. } => true,
        })
    }

    /// How many items a sequence has.
    pub fn count(&self, path: &Path) -> Result<usize, AccessError> {
        let Some(found) = self.find(path)? else { return Ok(0) };
        if found.node.items_encoding(found.encoding).is_none() {
            return Err(AccessError::NoSequence(path.clone()));
        }
        Ok(found.node.items(&mut self.window())?.len())
    }

    /// The elements of the instance, or of the item at a path.
    pub fn list(&self, item: Option<&Path>) -> Result<Vec<Listed>, AccessError> {
        let level = match item {
            None => Some(self.level.clone()),
            Some(path) => self.item(path)?,
        };
        let listed = |node: &Node, encoding: Encoding| Listed {
            tag: node.tag,
            vr: node.vr,
            is_sequence: node.items_encoding(encoding).is_some(),
        };
        Ok(level
            .map(|level| level.nodes.iter().map(|node| listed(node, level.encoding)).collect())
            .unwrap_or_default())
    }

    fn item(&self, path: &Path) -> Result<Option<Arc<Level>>, AccessError> {
        let Some(found) = self.find(path)? else { return Ok(None) };
        let Some(encoding) = found.node.items_encoding(found.encoding) else {
            return Err(AccessError::NoSequence(path.clone()));
        };
        let mut window = self.window();
        let items = found.node.items(&mut window)?;
        let item = items.get(found.place.unwrap_or(1) - 1);
        Ok(item.map(|item| item.level(&mut window, encoding)).transpose()?)
    }

    /// Follows a path.
    pub(crate) fn find(&self, path: &Path) -> Result<Option<Found>, AccessError> {
        let Some((last, way)) = path.steps.split_last() else { return Ok(None) };
        let is_meta = matches!(&path.steps[0].name, Name::Tag(tag) if tag.group() == 2);
        let mut level = if is_meta { self.meta.clone() } else { self.level.clone() };
        let mut charset = self.charset(&level)?.unwrap_or_default();
        let mut window = self.window();
        for step in way {
            let Some(node) = self.node(&level, step)? else { return Ok(None) };
            let Some(encoding) = node.items_encoding(level.encoding) else {
                return Err(AccessError::NoSequence(path.clone()));
            };
            let items = node.items(&mut window)?;
            let Some(item) = items.get(step.place.unwrap_or(1) - 1) else { return Ok(None) };
            level = item.level(&mut window, encoding)?;
            charset = self.charset(&level)?.unwrap_or(charset);
        }
        let Some(node) = self.node(&level, last)?.cloned() else { return Ok(None) };
        Ok(Some(Found { node, encoding: level.encoding, charset, place: last.place }))
    }

    fn node<'l>(&self, level: &'l Level, step: &PathStep) -> Result<Option<&'l Node>, DicomError> {
        Ok(self.tag_of(level, &step.name)?.and_then(|tag| level.find(tag)))
    }

    /// The tag that a name has among these elements.
    pub(crate) fn tag_of(&self, level: &Level, name: &Name) -> Result<Option<Tag>, DicomError> {
        let (group, creator, number) = match name {
            Name::Tag(tag) => return Ok(Some(*tag)),
            Name::Private { group, creator, number } => (*group, creator, *number),
        };
        for node in level.nodes.iter().filter(|node| node.tag.group() == group && node.tag.is_creator()) {
            let value = self.value(node)?;
            if value.trim_ascii_end().strip_suffix(b"\0").unwrap_or(value.trim_ascii_end())
                == creator.as_bytes()
            {
                return Ok(Some(Tag::new(group, node.tag.number() << 8 | u16::from(number))));
            }
        }
        Ok(None)
    }

    /// The character set that these elements say they have.
    pub(crate) fn charset(&self, level: &Level) -> Result<Option<CharacterSet>, DicomError> {
        let Some(node) = level.find(tags::CHARACTER_SET) else { return Ok(None) };
        Ok(Some(CharacterSet::named(&String::from_utf8_lossy(&self.value(node)?))))
    }

    /// What is to be written, in stretches: all of the source where nothing was changed.
    pub fn pieces(&self) -> Vec<Piece> {
        let as_it_came = self.deflated.as_ref().unwrap_or(&self.source);
        if !self.is_changed {
            return vec![Piece::Kept(0..as_it_came.length())];
        }
        let mut pieces = Vec::new();
        if !self.has_preamble {
            Piece::push(&mut pieces, Piece::Written(Bytes::from_static(&[0; 128])));
        }
        Piece::push(&mut pieces, Piece::Kept(if self.has_preamble { 0 } else { 128 }..super::meta::STARTS));
        super::written::level(&self.meta, &mut pieces);
        super::written::level(&self.level, &mut pieces);
        pieces
    }

    /// The whole as it shall be written, in memory.
    pub fn written(&self) -> Result<Bytes, DicomError> {
        let pieces = self.pieces();
        let source =
            if self.is_changed { &self.source } else { self.deflated.as_ref().unwrap_or(&self.source) };
        let mut whole = join(source, &pieces)?;
        if self.is_changed && self.deflated.is_some() {
            let meta: u64 = self.meta_length();
            let data_set = whole.split_off(meta as usize);
            whole.extend(deflate(&data_set));
        }
        Ok(whole.into())
    }

    /// How long all before the data set is.
    fn meta_length(&self) -> u64 {
        let mut pieces = Vec::new();
        super::written::level(&self.meta, &mut pieces);
        super::meta::STARTS + pieces.iter().map(Piece::length).sum::<u64>()
    }
}

/// Why a value could not be read, before it is known by which path.
pub(crate) enum Unread {
    Broken(DicomError),
    Value(ValueError),
}

impl Unread {
    fn at(self, path: &Path) -> AccessError {
        match self {
            Self::Broken(error) => error.into(),
            Self::Value(error) => AccessError::Value(path.clone(), error),
        }
    }
}

impl From<DicomError> for Unread {
    fn from(error: DicomError) -> Self {
        Self::Broken(error)
    }
}

/// The head as it is, and the rest inflated behind it.
fn inflate(source: &Arc<dyn Source>, starts: u64) -> Result<Arc<dyn Source>, DicomError> {
    let failed = |error| DicomError::read(starts, error);
    let mut reader = Reader::new(source.clone());
    let mut whole = vec![0; starts as usize];
    reader.read_exact(&mut whole).map_err(failed)?;
    let mut inflated = Inflated::new(&mut reader, starts).map_err(failed)?;
    (&mut inflated).take(LONGEST_INFLATED + 1).read_to_end(&mut whole).map_err(failed)?;
    if whole.len() as u64 > starts + LONGEST_INFLATED {
        return Err(DicomError::new(starts, None, Why::Inflated(LONGEST_INFLATED)));
    }
    Ok(Arc::new(Bytes::from(whole)))
}

fn deflate(data_set: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::bufread::DeflateEncoder::new(data_set, flate2::Compression::default());
    let mut deflated = Vec::new();
    encoder.read_to_end(&mut deflated).expect("memory can be read");
    // By the standard its length is even.
    if deflated.len() % 2 == 1 {
        deflated.push(0);
    }
    deflated
}

fn join(source: &Arc<dyn Source>, pieces: &[Piece]) -> Result<Vec<u8>, DicomError> {
    let mut whole = Vec::with_capacity(pieces.iter().map(Piece::length).sum::<u64>() as usize);
    let mut window = Window::of_length(Reader::new(source.clone()), source.length());
    for piece in pieces {
        match piece {
            Piece::Written(bytes) => whole.extend_from_slice(bytes),
            Piece::Kept(range) => whole.extend(window.bytes(range.start, range.end - range.start)?),
        }
    }
    Ok(whole)
}

impl Item {
    /// One without elements.
    pub(crate) fn empty(encoding: Encoding) -> Self {
        let level = Level { encoding, nodes: Vec::new() };
        Self::Changed { level: Arc::new(level), is_open: false }
    }
}
