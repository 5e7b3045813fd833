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
pub(crate) struct Tree(Arc<Mutex<Root>>);

/// As it was read, or as Rhai's own values once somebody needs more than a few of its places: to make them takes longer
/// than all else that a short step does.
struct Root {
    read: Option<Arc<Document>>,
    own: Dynamic,
}

impl Root {
    fn own(&mut self) -> &mut Dynamic {
        if let Some(document) = self.read.take() {
            self.own = json::to_dynamic(document.tree());
        }
        &mut self.own
    }
}

impl Tree {
    pub(crate) fn new(own: Dynamic) -> Self {
        Self(Arc::new(Mutex::new(Root { read: None, own })))
    }

    pub(crate) fn of(document: Arc<Document>) -> Self {
        Self(Arc::new(Mutex::new(Root { read: Some(document), own: Dynamic::UNIT })))
    }

    /// Looks at the document.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Dynamic) -> T) -> T {
        look(self.lock().own())
    }

    fn lock(&self) -> MutexGuard<'_, Root> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plain(&self) -> Dynamic {
        self.with(Clone::clone)
    }

    /// A member, or what stands at a path; nothing when absent.
    fn get(&mut self, key: &str) -> Outcome<Dynamic> {
        let document = self.lock().read.clone();
        let Some(document) = document.filter(|document| document.is_map()) else {
            return self.get_own(key);
        };
        let member = document.find(&JsonPath::member_named(key));
        let found = member.or_else(|| path(key).and_then(|path| document.find(&path)));
        Ok(found.map(|value| json::to_dynamic(&value)).unwrap_or_default())
    }

    fn get_own(&mut self, key: &str) -> Outcome<Dynamic> {
        if let Some(member) = self.map(|map| map.get(key).cloned())? {
            return Ok(member);
        }
        let found = path(key).and_then(|path| self.with(|root| path.find_own(root)));
        Ok(found
            .map(|found| json::from_dynamic(&found))
            .transpose()?
            .as_ref()
            .map(json::to_dynamic)
            .unwrap_or_default())
    }

    fn set(&mut self, key: &str, value: Dynamic) -> Outcome<()> {
        let value = self.fitting(value)?;
        let is_member = self.map(|map| map.contains_key(key))?;
        match path(key) {
            Some(path) if !is_member => {
                let mut root = self.lock();
                let mut document = json::from_dynamic(root.own())?;
                path.set(&mut document, json::from_dynamic(&value)?)?;
                *root.own() = json::to_dynamic(&document);
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
        let mut root = self.lock();
        let own = root.own();
        let members = own.read_lock::<Map>().map(|map| map.len());
        let elements = own.read_lock::<Array>().map(|list| list.len());
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
        let whole = size(own);
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
        let mut map = root.own().write_lock::<Map>().ok_or("the document is a list, and has no names")?;
        Ok(work(&mut map))
    }

    fn list<T>(&self, work: impl FnOnce(&mut Array) -> T) -> Outcome<T> {
        let mut root = self.lock();
        let mut list = root.own().write_lock::<Array>().ok_or("the document is a map, and has no numbers")?;
        Ok(work(&mut list))
    }

    fn has(&mut self, path: &str) -> Outcome<bool> {
        let document = self.lock().read.clone();
        let document = match document {
            Some(document) => document,
            None => Arc::new(Document::read(self.with(json::from_dynamic)?)),
        };
        let form = crate::form::Form::Json(document);
        AnyPath::new(path).is_there(&form).ok_or_else(|| format!("`{path}` is not a path").into())
    }

    fn len(&mut self) -> INT {
        self.with(|root| {
            let members = root.read_lock::<Map>().map(|map| map.len());
            members.or_else(|| root.read_lock::<Array>().map(|list| list.len())).unwrap_or_default() as INT
        })
    }

    fn text(&mut self) -> Outcome<String> {
        Ok(self.with(json::from_dynamic)?.to_string())
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

/// A path of more than a name.
fn path(key: &str) -> Option<JsonPath> {
    JsonPath::parse(key).ok().filter(|path| !path.is_simple())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_whether_the_document_was_read_or_made_or_is_in_values_of_its_own() {
        let text = r#"{"resourceType":"Bundle","a.b":1,"entry":[{"fullUrl":"urn:x","resource":{"value":1.50,"none":null}},[7,[8]]],"0":"zero"}"#;
        let document = Arc::new(Document::read(json::read(text).unwrap()));
        let places = "a.b entry entry.0.fullUrl entry[0].resource.value entry.0.resource.none entry.1.1.0 entry[1][1][0] entry.7.x \
                      entry.x 0 0.1 resourceType.x missing missing.too";
        for place in places.split_whitespace() {
            let made = Document::written(text.into(), json::to_dynamic(document.tree()));
            let mut read = Tree::of(Arc::clone(&document));
            let mut own = Tree::new(json::to_dynamic(document.tree()));
            let mut made = Tree::of(Arc::new(made));
            let [first, second, third] = [&mut read, &mut own, &mut made].map(|tree| {
                (json::from_dynamic(&tree.get(place).unwrap()).unwrap(), tree.has(place).unwrap())
            });
            assert_eq!((&first, &first), (&second, &third), "{place}");
            for tree in [read, made] {
                assert!(tree.lock().read.is_some(), "{place}: nothing was made for one place");
            }
        }
        let list = Arc::new(Document::read(json::read("[1]").unwrap()));
        assert!(Tree::of(list).get("0.1").is_err(), "a list has no names");
        let made = Document::written("[1]".into(), json::to_dynamic(&json::read("[1]").unwrap()));
        assert!(Tree::of(Arc::new(made)).get("0.1").is_err(), "nor has one that was made");
    }

    #[test]
    fn a_place_of_what_was_made_is_found_in_its_values_and_as_json_says_it() {
        let values = Map::from([
            ("part".into(), Dynamic::from(crate::part::ScriptPart(formats::hl7::Part::of("A^B")))),
            ("letter".into(), Dynamic::from('x')),
            (
                "tree".into(),
                Dynamic::from(Tree::new(json::to_dynamic(&json::read(r#"{"a":[1.50]}"#).unwrap()))),
            ),
        ]);
        // The text is another one, so that it shows where a place was found.
        let made = Arc::new(Document::written(r#"{"part":"of the text"}"#.into(), Dynamic::from_map(values)));
        let at = |place: &str| json::from_dynamic(&Tree::of(Arc::clone(&made)).get(place).unwrap()).unwrap();
        assert_eq!(
            ["part", "letter", "tree.a[0]"].map(|place| at(place).to_string()),
            ["\"A^B\"", "\"x\"", "1.50"]
        );
        assert_eq!(at("tree").to_string(), r#"{"a":[1.50]}"#);
        let mut changed = Arc::unwrap_or_clone(made);
        assert_eq!(changed.tree_mut().to_string(), r#"{"part":"of the text"}"#);
        let part = JsonPath::parse("part").unwrap();
        *changed.tree_mut() = json::read(r#"{"part":2}"#).unwrap();
        assert_eq!(
            changed.find(&part).unwrap().to_string(),
            "2",
            "what was made is forgotten once it is changed"
        );
    }

    #[test]
    fn what_a_script_changed_is_what_it_reads() {
        let document = Arc::new(Document::read(json::read(r#"{"a":{"b":1}}"#).unwrap()));
        let mut tree = Tree::of(Arc::clone(&document));
        tree.set("a.c", 2.into()).unwrap();
        assert_eq!(tree.get("a.c").unwrap().as_int().unwrap(), 2);
        assert_eq!(tree.get("a.b").unwrap().as_int().unwrap(), 1);
        assert_eq!(document.tree().to_string(), r#"{"a":{"b":1}}"#, "others see it as it was");
    }
}
