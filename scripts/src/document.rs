//! A JSON document as a message: the text that a script made goes on at once, its tree is read again only where somebody looks into it.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use rhai::Dynamic;
use serde_json::Value;

use crate::{json, paths::JsonPath};

/// What is longer is not kept as values too, which take many times as much: its text is read again where somebody asks.
const LONGEST_MADE: usize = 1 << 20;

/// A document: its tree, or the text that the tree is read from once somebody asks.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    tree: OnceLock<Value>,
    text: Bytes,
    /// What the text was written of: a place that names a file or a key is found there without all of it being read again.
    made: Option<Arc<Dynamic>>,
}

impl Document {
    /// One that was read.
    pub(crate) fn read(tree: Value) -> Self {
        Self { tree: OnceLock::from(tree), text: Bytes::new(), made: None }
    }

    /// One that was written as JSON just now. Mostly nobody looks into more than a place of it: it is kept and sent.
    pub(crate) fn written(text: Bytes, made: Dynamic) -> Self {
        let is_kept = made.is_map() && text.len() <= LONGEST_MADE;
        Self { tree: OnceLock::new(), text, made: is_kept.then(|| Arc::new(made)) }
    }

    pub(crate) fn tree(&self) -> &Value {
        self.tree.get_or_init(|| {
            serde_json::from_slice(&self.text).expect("what was written as JSON is read as JSON")
        })
    }

    /// What stands at a place.
    pub(crate) fn find(&self, path: &JsonPath) -> Option<Cow<'_, Value>> {
        match &self.made {
            Some(made) if self.tree.get().is_none() => {
                let found = path.find_own(made)?;
                Some(Cow::Owned(json::from_dynamic(&found).expect("what was written as JSON is JSON")))
            }
            _ => path.find(self.tree()).map(Cow::Borrowed),
        }
    }

    /// Whether it has names.
    pub(crate) fn is_map(&self) -> bool {
        self.made.is_some() || self.tree().is_object()
    }

    /// The tree, to be changed.
    pub(crate) fn tree_mut(&mut self) -> &mut Value {
        self.tree();
        self.text = Bytes::new();
        self.made = None;
        self.tree.get_mut().expect("it was read just now")
    }

    pub(crate) fn into_tree(mut self) -> Value {
        std::mem::take(self.tree_mut())
    }
}
