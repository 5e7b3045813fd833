//! `msg` of a JSON channel: a handle on one document.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Array, Dynamic, Engine, INT, ImmutableString, Map};

use crate::{
    document::Document,
    functions::{Outcome, broke},
    json,
    language::LONGEST_TEXT,
    nested::DEEPEST,
    paths::{AnyPath, JsonPath},
    run,
};

/// The most values that a script may make a document of.
const LARGEST_DOCUMENT: usize = 2_000_000;

/// A document that scripts read and change as they would a map or a list. Its copies are the same
/// document; `copy()` makes another.
#[derive(Clone)]
pub(crate) struct Tree(Arc<Mutex<Dynamic>>);

impl Tree {
    pub(crate) fn new(root: Dynamic) -> Self {
        Self(Arc::new(Mutex::new(root)))
    }

    /// Looks at the document.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Dynamic) -> T) -> T {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Dynamic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plain(&self) -> Dynamic {
        self.lock().clone()
    }

    /// A member, or what stands at a path; nothing when absent.
    fn get(&mut self, key: &str) -> Outcome<Dynamic> {
        if let Some(member) = self.map(|map| map.get(key).cloned())? {
            return Ok(member);
        }
        let Some(path) = JsonPath::parse(key).ok().filter(|path| !path.is_simple()) else {
            return Ok(Dynamic::UNIT);
        };
        let document = json::from_dynamic(&self.lock())?;
        Ok(path.find(&document).map(json::to_dynamic).unwrap_or_default())
    }

    fn set(&mut self, key: &str, value: Dynamic) -> Outcome<()> {
        let value = self.fitting(value)?;
        let path = JsonPath::parse(key).ok().filter(|path| !path.is_simple());
        let is_member = self.map(|map| map.contains_key(key))?;
        match path {
            Some(path) if !is_member => {
                let mut document = json::from_dynamic(&self.lock())?;
                path.set(&mut document, json::from_dynamic(&value)?)?;
                *self.lock() = json::to_dynamic(&document);
            }
            _ => self.map(|map| map.insert(key.into(), value)).map(|_| ())?,
        }
        Ok(())
    }

    fn element(&mut self, place: INT) -> Outcome<Dynamic> {
        self.list(|list| usize::try_from(place).ok().and_then(|place| list.get(place).cloned()))?
            .map_or_else(|| out_of_bounds(place), Ok)
    }

    fn set_element(&mut self, place: INT, value: Dynamic) -> Outcome<()> {
        let value = self.fitting(value)?;
        self.list(|list| {
            let element = usize::try_from(place).ok().and_then(|place| list.get_mut(place));
            element.map(|element| *element = value).map_or_else(|| out_of_bounds(place), Ok)
        })?
    }

    /// A value of its own for the document, where the document does not grow too large with it.
    fn fitting(&self, value: Dynamic) -> Outcome<Dynamic> {
        let root = self.lock();
        let members = root.read_lock::<Map>().map(|map| map.len());
        let elements = root.read_lock::<Array>().map(|list| list.len());
        if members.or(elements).unwrap_or_default() >= LARGEST_DOCUMENT {
            return run::too_large("Size of document");
        }
        if let Some(text) = value.read_lock::<ImmutableString>() {
            run::count_written(text.len())?;
        }
        if !value.is_map() && !value.is_array() && !value.is::<Self>() {
            return Ok(value);
        }
        run::look_at_the_clock()?;
        let whole = size(&root);
        drop(root);
        let value = detached(value, DEEPEST)?;
        let part = size(&value);
        if whole.0 + part.0 > LARGEST_DOCUMENT || whole.1 + part.1 > 2 * LONGEST_TEXT {
            return run::too_large("Size of document");
        }
        Ok(value)
    }

    fn map<T>(&self, work: impl FnOnce(&mut Map) -> T) -> Outcome<T> {
        let mut root = self.lock();
        let mut map = root.write_lock::<Map>().ok_or("the document is a list, and has no names")?;
        Ok(work(&mut map))
    }

    fn list<T>(&self, work: impl FnOnce(&mut Array) -> T) -> Outcome<T> {
        let mut root = self.lock();
        let mut list = root.write_lock::<Array>().ok_or("the document is a map, and has no numbers")?;
        Ok(work(&mut list))
    }

    fn has(&mut self, path: &str) -> Outcome<bool> {
        let document = json::from_dynamic(&self.lock())?;
        let form = crate::form::Form::Json(Arc::new(Document::read(document)));
        AnyPath::new(path).is_there(&form).ok_or_else(|| format!("`{path}` is not a path").into())
    }

    fn len(&mut self) -> INT {
        let root = self.lock();
        let members = root.read_lock::<Map>().map(|map| map.len());
        members.or_else(|| root.read_lock::<Array>().map(|list| list.len())).unwrap_or_default() as INT
    }

    fn text(&mut self) -> Outcome<String> {
        Ok(json::from_dynamic(&self.lock())?.to_string())
    }
}

/// The elements of a list, or the names of a map.
impl IntoIterator for Tree {
    type Item = Dynamic;
    type IntoIter = std::vec::IntoIter<Dynamic>;

    fn into_iter(self) -> Self::IntoIter {
        let root = self.plain();
        if let Some(map) = root.read_lock::<Map>() {
            return map.keys().map(|key| Dynamic::from(key.to_string())).collect::<Array>().into_iter();
        }
        root.try_cast::<Array>().unwrap_or_default().into_iter()
    }
}

/// A value of its own: a document put into a document is copied, so that none holds itself.
fn detached(value: Dynamic, left: usize) -> Outcome<Dynamic> {
    if left == 0 {
        return broke(format!("JSON cannot be nested deeper than {DEEPEST}"));
    }
    if let Some(tree) = value.read_lock::<Tree>() {
        return detached(tree.plain(), left);
    }
    if let Some(list) = value.read_lock::<Array>() {
        let items = list.iter().map(|item| detached(item.clone(), left - 1));
        return items.collect::<Outcome<_>>().map(Dynamic::from_array);
    }
    if let Some(map) = value.read_lock::<Map>() {
        let members = map.iter().map(|(key, item)| Ok((key.clone(), detached(item.clone(), left - 1)?)));
        return members.collect::<Outcome<_>>().map(Dynamic::from_map);
    }
    Ok(value)
}

/// How many values stand in a value, and how long its text is. A document is nested so deep and no deeper.
fn size(value: &Dynamic) -> (usize, usize) {
    let sum = |all: (usize, usize), one: (usize, usize)| (all.0 + one.0, all.1 + one.1);
    if let Some(list) = value.read_lock::<Array>() {
        return list.iter().map(size).fold((1, 0), sum);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.iter().map(|(name, item)| sum((0, name.len()), size(item))).fold((1, 0), sum);
    }
    (1, value.read_lock::<ImmutableString>().map_or(0, |text| text.len()))
}

fn out_of_bounds<T>(place: INT) -> Outcome<T> {
    broke(format!("the list has no element {place}"))
}

/// Tells Rhai of the type: what a map and a list can do, it can do.
pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Tree>("document")
        .register_indexer_get(|tree: &mut Tree, key: &str| tree.get(key))
        .register_indexer_set(|tree: &mut Tree, key: &str, value: Dynamic| tree.set(key, value))
        .register_indexer_get(|tree: &mut Tree, place: INT| tree.element(place))
        .register_indexer_set(|tree: &mut Tree, place: INT, value: Dynamic| tree.set_element(place, value))
        .register_iterator::<Tree>()
        .register_fn("has", |tree: &mut Tree, path: &str| tree.has(path))
        .register_fn("copy", |tree: &mut Tree| Tree::new(tree.plain()))
        .register_fn("len", |tree: &mut Tree| tree.len())
        .register_fn("is_empty", |tree: &mut Tree| tree.len() == 0)
        .register_fn("contains", |tree: &mut Tree, key: &str| tree.map(|map| map.contains_key(key)))
        .register_fn("keys", |tree: &mut Tree| {
            tree.map(|map| map.keys().map(|key| Dynamic::from(key.to_string())).collect::<Array>())
        })
        .register_fn("values", |tree: &mut Tree| tree.map(|map| map.values().cloned().collect::<Array>()))
        .register_fn("remove", |tree: &mut Tree, key: &str| {
            tree.map(|map| map.remove(key).unwrap_or_default())
        })
        .register_fn("push", |tree: &mut Tree, value: Dynamic| {
            let value = tree.fitting(value)?;
            tree.list(|list| list.push(value))
        })
        .register_fn("to_map", |tree: &mut Tree| tree.plain())
        .register_fn("to_string", |tree: &mut Tree| tree.text())
        .register_fn("to_debug", |tree: &mut Tree| tree.text())
        .register_fn("to_json", |tree: &mut Tree| tree.text())
        .register_fn("==", |left: Tree, right: Tree| -> Outcome<bool> {
            Ok(json::from_dynamic(&left.plain())? == json::from_dynamic(&right.plain())?)
        });
}
