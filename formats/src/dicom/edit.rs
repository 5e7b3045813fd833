//! Changes of an instance: only what lies on the way to a change is taken apart.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    charset::CharacterSet,
    dictionary,
    error::DicomError,
    instance::{AccessError, Instance},
    level::{Held, Item, Level, Node},
    path::{Name, Path, PathStep},
    syntax::Encoding,
    tag::{Tag, tags},
    value::{Manner, ValueError},
    vr::Vr,
};

/// A private element of no known kind takes so much text as one of kind LO.
const SHORT_TEXT: usize = 64;

impl Instance {
    /// Writes text to a path, several values with `\` between. What is missing on the way is added.
    pub fn set(&mut self, path: &Path, text: &str) -> Result<(), AccessError> {
        self.write(path, None, New::Text(text))
    }

    /// The same, of a kind: for private elements, whose kind nobody knows.
    pub fn set_as(&mut self, path: &Path, vr: Vr, text: &str) -> Result<(), AccessError> {
        self.write(path, Some(vr), New::Text(text))
    }

    /// Writes bytes to a path.
    pub fn set_bytes(&mut self, path: &Path, bytes: Bytes) -> Result<(), AccessError> {
        self.write(path, None, New::Bytes(bytes))
    }

    fn write(&mut self, path: &Path, vr: Option<Vr>, new: New<'_>) -> Result<(), AccessError> {
        refuse_reserved(path)?;
        if let (New::Text(text), Some(tags::CHARACTER_SET)) = (&new, path.tag()) {
            return self.set_charset(path, text);
        }
        let before = self.find(path)?;
        if let (New::Text(text), Some(before)) = (&new, &before)
            && before.node.items_encoding(before.encoding).is_none()
            && vr.is_none()
            && self.get(path).is_ok_and(|same| same == *text)
        {
            return Ok(());
        }
        let mut instance = self.clone();
        let place = path.steps.last().and_then(|last| last.place);
        let (level, charset) = instance.enter(path)?;
        let last = path.steps.last().expect("a path has a step");
        let tag = self.claim(level, path, &last.name)?;
        let encoding = level.encoding;
        let node = level.find(tag).cloned();
        if node.as_ref().is_some_and(|node| node.items_encoding(encoding).is_some()) {
            return Err(AccessError::Value(path.clone(), ValueError::Sequence));
        }
        let vr = vr.or(node.map(|node| node.vr)).unwrap_or_else(|| new_vr(tag, &new));
        let value = match new {
            New::Bytes(bytes) => even(bytes),
            New::Text(text) => {
                let text = match place {
                    Some(place) => self.with_value(path, place, text)?,
                    None => text.to_owned(),
                };
                let manner = Manner { vr, encoding, charset: &charset };
                manner.write(&text).map_err(|error| AccessError::Value(path.clone(), error))?.into()
            }
        };
        let node = level.room_for(tag, vr);
        (node.vr, node.held) = (vr, Held::Written(value.clone()));
        level.forget_length(tag.group());
        if path.steps.len() == 1 {
            instance.tell_meta(tag, &value);
        }
        instance.is_changed = true;
        *self = instance;
        Ok(())
    }

    /// The whole value with one of its several replaced.
    fn with_value(&self, path: &Path, place: usize, text: &str) -> Result<String, AccessError> {
        let mut whole = path.clone();
        if let Some(last) = whole.steps.last_mut() {
            last.place = None;
        }
        let before = self.get(&whole)?;
        let mut values: Vec<&str> = if before.is_empty() { Vec::new() } else { before.split('\\').collect() };
        values.resize(values.len().max(place), "");
        values[place - 1] = text;
        Ok(values.join("\\"))
    }

    /// Takes apart what lies on the way, and adds what is missing there.
    fn enter(&mut self, path: &Path) -> Result<(&mut Level, CharacterSet), AccessError> {
        let snapshot = self.clone();
        let mut charset = snapshot.charset(&self.level)?.unwrap_or_default();
        let mut level = Arc::make_mut(&mut self.level);
        let (_, way) = path.steps.split_last().expect("a path has a step");
        for step in way {
            let tag = snapshot.claim(level, path, &step.name)?;
            let encoding = level.encoding;
            level.forget_length(tag.group());
            let vr = dictionary::vr_of(tag);
            let node = level.room_for(tag, if vr == Vr::UN { Vr::SQ } else { vr });
            let items = snapshot.open(node, encoding, path)?;
            let place = step.place.unwrap_or(1) - 1;
            if place > items.count {
                return Err(AccessError::Gap { path: path.clone(), count: items.count });
            }
            level = items.item(place, &snapshot)?;
            charset = snapshot.charset(level)?.unwrap_or(charset);
        }
        Ok((level, charset))
    }

    /// Makes a list of a sequence, so that its items can be changed.
    fn open<'n>(
        &self,
        node: &'n mut Node,
        encoding: Encoding,
        path: &Path,
    ) -> Result<Opened<'n>, AccessError> {
        let is_new = matches!(&node.held, Held::Written(value) if value.is_empty());
        let within = match node.items_encoding(encoding) {
            Some(within) => within,
            None if is_new => encoding,
            None => return Err(AccessError::NoSequence(path.clone())),
        };
        if is_new && node.vr != Vr::SQ {
            return Err(AccessError::NoSequence(path.clone()));
        }
        if !matches!(node.held, Held::Items { .. }) {
            let (items, is_open) = (node.items(&mut self.window())?, node.is_open());
            node.held = Held::Items { items, is_open };
        }
        let Held::Items { items, .. } = &mut node.held else {
            return Err(AccessError::NoSequence(path.clone()));
        };
        Ok(Opened { count: items.len(), items, encoding: within })
    }

    /// The tag of a name; a private one gets a block of its maker's where there is none.
    fn claim(&self, level: &mut Level, path: &Path, name: &Name) -> Result<Tag, AccessError> {
        if let Some(tag) = self.tag_of(level, name)? {
            return Ok(tag);
        }
        let Name::Private { group, creator, number } = name else {
            return Err(AccessError::NoBlock(path.clone()));
        };
        let is_free = |block: &u16| {
            let in_block =
                |tag: Tag| tag.group() == *group && (tag.number() == *block || tag.number() >> 8 == *block);
            !level.nodes.iter().any(|node| in_block(node.tag))
        };
        let block = (0x10..=0xFF).find(is_free).ok_or_else(|| AccessError::NoBlock(path.clone()))?;
        let manner = Manner { vr: Vr::LO, encoding: level.encoding, charset: &CharacterSet::default() };
        let value = manner.write(creator).map_err(|error| AccessError::Value(path.clone(), error))?;
        level.room_for(Tag::new(*group, block), Vr::LO).held = Held::Written(value.into());
        Ok(Tag::new(*group, block << 8 | u16::from(*number)))
    }

    /// The file's own group says which instance it is, too.
    pub(crate) fn tell_meta(&mut self, tag: Tag, value: &Bytes) {
        let told = match tag {
            tags::SOP_CLASS => tags::MEDIA_SOP_CLASS,
            tags::SOP_INSTANCE => tags::MEDIA_SOP_INSTANCE,
            _ => return,
        };
        let meta = Arc::make_mut(&mut self.meta);
        meta.room_for(told, Vr::UI).held = Held::Written(value.clone());
        let mut pieces = Vec::new();
        let behind = Level { encoding: meta.encoding, nodes: meta.nodes.clone() };
        let behind = Level {
            nodes: behind.nodes.into_iter().filter(|node| node.tag != tags::META_LENGTH).collect(),
            ..behind
        };
        super::written::level(&behind, &mut pieces);
        let length: u64 = pieces.iter().map(super::source::Piece::length).sum();
        meta.room_for(tags::META_LENGTH, Vr::UL).held =
            Held::Written(Bytes::from((length as u32).to_le_bytes().to_vec()));
    }

    /// Takes an element away, or one item of a sequence. Tells whether there was one.
    pub fn remove(&mut self, path: &Path) -> Result<bool, AccessError> {
        refuse_reserved(path)?;
        let Some(found) = self.find(path)? else { return Ok(false) };
        let is_sequence = found.node.items_encoding(found.encoding).is_some();
        if let (Some(place), false) = (found.place, is_sequence) {
            return self.remove_value(path, place);
        }
        let mut instance = self.clone();
        let (level, _) = instance.enter(path)?;
        let tag = found.node.tag;
        let encoding = level.encoding;
        level.forget_length(tag.group());
        match found.place {
            None => level.nodes.retain(|node| node.tag != tag),
            Some(place) => {
                let node = level.room_for(tag, found.node.vr);
                let opened = self.open(node, encoding, path)?;
                if place > opened.count {
                    return Ok(false);
                }
                opened.items.remove(place - 1);
            }
        }
        instance.is_changed = true;
        *self = instance;
        Ok(true)
    }

    fn remove_value(&mut self, path: &Path, place: usize) -> Result<bool, AccessError> {
        let mut whole = path.clone();
        if let Some(last) = whole.steps.last_mut() {
            last.place = None;
        }
        let before = self.get(&whole)?;
        let mut values: Vec<&str> = before.split('\\').collect();
        if place > values.len() {
            return Ok(false);
        }
        values.remove(place - 1);
        self.set(&whole, &values.join("\\"))?;
        Ok(true)
    }

    /// Adds an item at the end of a sequence, which is made where there is none. Gives its place.
    pub fn add(&mut self, path: &Path) -> Result<usize, AccessError> {
        refuse_reserved(path)?;
        let place = self.count_or_none(path)? + 1;
        let mut instance = self.clone();
        // On the way to an element of the item, the item is added.
        let within = path.item(place).and(&Path::to(tags::SOP_CLASS));
        instance.enter(&within)?;
        instance.is_changed = true;
        *self = instance;
        Ok(place)
    }

    fn count_or_none(&self, path: &Path) -> Result<usize, AccessError> {
        match self.find(path)? {
            Some(_) => self.count(path),
            None => Ok(0),
        }
    }
}

/// What is written to a place.
enum New<'a> {
    Text(&'a str),
    Bytes(Bytes),
}

/// A sequence whose items can be changed.
struct Opened<'n> {
    items: &'n mut Vec<Item>,
    count: usize,
    encoding: Encoding,
}

impl<'n> Opened<'n> {
    /// The elements of an item; of the next one, none yet.
    fn item(self, place: usize, of: &Instance) -> Result<&'n mut Level, DicomError> {
        if place == self.count {
            self.items.push(Item::empty(self.encoding));
        }
        let item = &mut self.items[place];
        if matches!(item, Item::Kept { .. }) {
            let (level, is_open) = (item.level(&mut of.window(), self.encoding)?, item.is_open());
            *item = Item::Changed { level, is_open };
        }
        match item {
            Item::Changed { level, .. } => Ok(Arc::make_mut(level)),
            Item::Kept { .. } => unreachable!("it was changed above"),
        }
    }
}

/// Of which kind a new element is.
fn new_vr(tag: Tag, new: &New<'_>) -> Vr {
    match (dictionary::vr_of(tag), new) {
        (Vr::UN, New::Text(text)) if text.chars().count() <= SHORT_TEXT => Vr::LO,
        (Vr::UN, New::Text(_)) => Vr(*b"UT"),
        (vr, _) => vr,
    }
}

fn even(bytes: Bytes) -> Bytes {
    if bytes.len().is_multiple_of(2) {
        return bytes;
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    longer.into()
}

/// What describes the file or only its structure is nobody's to change.
fn refuse_reserved(path: &Path) -> Result<(), AccessError> {
    let is_reserved = |step: &PathStep| {
        let Name::Tag(tag) = &step.name else { return false };
        tag.group() <= 2 || tag.group() == tags::ITEM.group() || tag.number() == 0
    };
    if path.steps.iter().any(is_reserved) {
        return Err(AccessError::Reserved(path.clone()));
    }
    Ok(())
}
