//! A JSON document as a message: the text that a script made goes on at once, its tree is read again only where somebody looks into it.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::Value;

/// A document: its tree, or the text that the tree is read from once somebody asks.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    tree: OnceLock<Value>,
    text: Bytes,
}

impl Document {
    /// One that was read.
    pub(crate) fn read(tree: Value) -> Self {
        Self { tree: OnceLock::from(tree), text: Bytes::new() }
    }

    /// One that was written as JSON just now. Mostly nobody looks into it again: it is kept and sent.
    pub(crate) fn written(text: Bytes) -> Self {
        Self { tree: OnceLock::new(), text }
    }

    pub(crate) fn tree(&self) -> &Value {
        self.tree.get_or_init(|| {
            serde_json::from_slice(&self.text).expect("what was written as JSON is read as JSON")
        })
    }

    /// The tree, to be changed.
    pub(crate) fn tree_mut(&mut self) -> &mut Value {
        self.tree();
        self.text = Bytes::new();
        self.tree.get_mut().expect("it was read just now")
    }

    pub(crate) fn into_tree(mut self) -> Value {
        std::mem::take(self.tree_mut())
    }
}
