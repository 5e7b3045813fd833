//! What connectors of one server share: a connection that several channels use.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::Hash;

/// Finds what somebody else has open already. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Shares(Arc<Mutex<HashMap<Hash, Weak<dyn Any + Send + Sync>>>>);

impl Shares {
    /// What goes by this identity, or a new one. It lives as long as somebody uses it.
    pub fn of<T: Any + Send + Sync>(&self, identity: Hash, make: impl FnOnce() -> T) -> Arc<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = all.get(&identity).and_then(Weak::upgrade).and_then(|shared| shared.downcast().ok());
        if let Some(shared) = there {
            return shared;
        }
        all.retain(|_, shared| shared.strong_count() > 0);
        let new = Arc::new(make());
        let any: Arc<dyn Any + Send + Sync> = new.clone();
        all.insert(identity, Arc::downgrade(&any));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_shared_and_what_nobody_uses_is_made_anew() {
        let shares = Shares::default();
        let identity = Hash::of(&[b"server"]);
        let first = shares.of(identity, || 1);
        assert!(Arc::ptr_eq(&first, &shares.clone().of(identity, || 2)));
        drop(first);
        assert_eq!(*shares.of(identity, || 3), 3);
    }
}
