//! `msg` of an XML channel: a handle on one document, and handles on its elements.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use formats::xml::{Document, ElementId, Path};
use rhai::{Array, Dynamic, Engine, ImmutableString};

use crate::{
    functions::{Outcome, broke},
    part,
    pieces::list_of,
    run,
    sheet::kept,
};

/// A document that scripts read and change. Its copies are the same document; `copy()` makes another.
#[derive(Clone)]
pub(crate) struct XmlHandle(Arc<Mutex<Document>>);

/// One element of a document.
#[derive(Clone)]
pub(crate) struct ElementHandle {
    document: XmlHandle,
    element: ElementId,
}

impl XmlHandle {
    pub(crate) fn new(document: Document) -> Self {
        Self(Arc::new(Mutex::new(document)))
    }

    /// The document as it now is.
    pub(crate) fn document(&self) -> Document {
        self.lock().clone()
    }

    /// The document that a value is, or that an element makes by itself; none for any other value.
    pub(crate) fn document_of(value: &Dynamic) -> Result<Option<Document>, String> {
        if let Some(handle) = value.read_lock::<Self>() {
            return Ok(Some(handle.document()));
        }
        let Some(element) = value.read_lock::<ElementHandle>() else { return Ok(None) };
        let text = element.document.lock().outer(element.element);
        Document::parse(text).map(Some).map_err(|error| error.to_string())
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lock(&self) -> MutexGuard<'_, Document> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn root(&self) -> ElementHandle {
        ElementHandle { document: self.clone(), element: self.lock().root() }
    }

    pub(crate) fn get(&self, path: &str) -> Outcome<ImmutableString> {
        let path = read_path(path)?;
        Ok(self.lock().get(&path).unwrap_or_default().into())
    }

    pub(crate) fn has(&self, path: &str) -> Outcome<bool> {
        let path = read_path(path)?;
        Ok(self.lock().get(&path).is_some_and(|value| !value.is_empty()))
    }

    pub(crate) fn set(&self, path: &str, value: &Dynamic) -> Outcome<()> {
        let (path, text) = (read_path(path)?, text_for(value)?);
        self.lock().set(&path, &text).or_else(broke)
    }

    pub(crate) fn all(&self, path: &str) -> Outcome<Array> {
        let path = read_path(path)?;
        let found = self.lock().all(&path);
        self.handles(found)
    }

    fn handles(&self, found: Vec<ElementId>) -> Outcome<Array> {
        let handle = |element| Dynamic::from(ElementHandle { document: self.clone(), element });
        list_of(found.into_iter().map(handle))
    }

    pub(crate) fn text(&self) -> ImmutableString {
        self.lock().text().into()
    }
}

impl ElementHandle {
    fn is(&self, other: &Self) -> bool {
        self.document.is(&other.document) && self.element == other.element
    }

    pub(crate) fn name(&self) -> ImmutableString {
        self.document.lock().name(self.element).into()
    }

    pub(crate) fn value(&self) -> ImmutableString {
        self.document.lock().value(self.element).into()
    }

    pub(crate) fn get(&self, path: &str) -> Outcome<ImmutableString> {
        let path = read_path(path)?;
        Ok(self.document.lock().get_in(self.element, &path).unwrap_or_default().into())
    }

    pub(crate) fn set(&self, path: &str, value: &Dynamic) -> Outcome<()> {
        let (path, text) = (read_path(path)?, text_for(value)?);
        self.document.lock().set_in(self.element, &path, &text).or_else(broke)
    }

    pub(crate) fn set_value(&self, value: &Dynamic) -> Outcome<()> {
        let text = text_for(value)?;
        let mut document = self.document.lock();
        let parent = Path::default();
        document.set_in(self.element, &parent, &text).or_else(broke)
    }

    pub(crate) fn all(&self, path: &str) -> Outcome<Array> {
        let path = read_path(path)?;
        let found = self.document.lock().all_in(self.element, &path);
        self.document.handles(found)
    }

    pub(crate) fn children(&self) -> Outcome<Array> {
        let found = self.document.lock().children(self.element);
        self.document.handles(found)
    }

    pub(crate) fn add(&self, name: &str) -> Outcome<Self> {
        run::count_written(name.len())?;
        let element = self.document.lock().add(self.element, name).or_else(broke)?;
        Ok(Self { document: self.document.clone(), element })
    }

    pub(crate) fn remove(&self) -> Outcome<()> {
        self.document.lock().remove(self.element).or_else(broke)
    }

    pub(crate) fn text(&self) -> ImmutableString {
        self.document.lock().outer(self.element).into()
    }
}

/// Names both types for error messages; takes back what properties gave, as [`crate::sheet::register`] does.
pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<XmlHandle>("document")
        .register_type_with_name::<ElementHandle>("element")
        .register_set("root", |document: &mut XmlHandle, root: ElementHandle| {
            kept(document.root().is(&root), "root", "its elements can be")
        })
        .register_set("children", |element: &mut ElementHandle, children: Array| {
            let is_ours = |child: &Dynamic| {
                child.read_lock::<ElementHandle>().is_some_and(|child| child.document.is(&element.document))
            };
            kept(children.iter().all(is_ours), "children", "`add` and `remove` change them")
        });
}

fn read_path(path: &str) -> Outcome<Path> {
    Path::parse(path).or_else(broke)
}

fn text_for(value: &Dynamic) -> Outcome<String> {
    let text = match value.as_bool() {
        Ok(flag) => flag.to_string(),
        Err(_) => part::for_field(value)?.into_text(),
    };
    run::count_written(text.len())?;
    Ok(text)
}
