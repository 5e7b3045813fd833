//! Another character set: every text of the instance is written anew in it.

use std::sync::Arc;

use super::{
    charset::{CharacterSet, Lacks},
    dictionary,
    instance::{AccessError, Instance},
    level::{Held, Item, Level},
    path::Path,
    tag::tags,
    value::ValueError,
};

impl Instance {
    /// Writes the instance's texts in another character set. One of an item alone is not changed.
    pub(crate) fn set_charset(&mut self, path: &Path, names: &str) -> Result<(), AccessError> {
        if path.steps.len() != 1 {
            return Err(AccessError::Reserved(path.clone()));
        }
        let new = CharacterSet::named(names);
        if !new.is_known() {
            return Err(AccessError::Value(path.clone(), ValueError::NotInCharset));
        }
        let old = self.charset(&self.level)?.unwrap_or_default();
        let mut level = Level::clone(&self.level);
        self.recode(&mut level, &old, &new)?;
        let vr = dictionary::vr_of(tags::CHARACTER_SET);
        let mut value = names.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(b' ');
        }
        level.room_for(tags::CHARACTER_SET, vr).held = Held::Written(value.into());
        level.forget_length(tags::CHARACTER_SET.group());
        self.level = Arc::new(level);
        self.is_changed = true;
        Ok(())
    }

    /// Tells whether anything is another than it was. Sequences are nested no deeper than a walk goes.
    fn recode(&self, level: &mut Level, old: &CharacterSet, new: &CharacterSet) -> Result<bool, AccessError> {
        let mut groups = Vec::new();
        for node in &mut level.nodes {
            if let Some(encoding) = node.items_encoding(level.encoding) {
                let (mut items, is_open) = (node.items(&mut self.window())?, node.is_open());
                let mut has_changed = false;
                for item in &mut items {
                    let mut inner = Level::clone(&*item.level(&mut self.window(), encoding)?);
                    let has_own = inner.find(tags::CHARACTER_SET).is_some();
                    if !has_own && self.recode(&mut inner, old, new)? {
                        let is_open = item.is_open();
                        *item = Item::Changed { level: Arc::new(inner), is_open };
                        has_changed = true;
                    }
                }
                if has_changed {
                    node.held = Held::Items { items, is_open };
                    groups.push(node.tag.group());
                }
            } else if node.vr.has_charset() {
                let bytes = self.value(node)?;
                let is_plain = bytes.iter().all(|byte| byte.is_ascii() && *byte != 0x1B);
                if is_plain {
                    continue;
                }
                let wrong = |error| AccessError::Value(Path::to(node.tag), error);
                let text = old.decode(&bytes).ok_or_else(|| wrong(ValueError::NotInCharset))?;
                let mut bytes = new.encode(&text).map_err(|Lacks(place)| wrong(ValueError::Lacks(place)))?;
                if bytes.len() % 2 == 1 {
                    bytes.push(b' ');
                }
                node.held = Held::Written(bytes.into());
                groups.push(node.tag.group());
            }
        }
        let is_changed = !groups.is_empty();
        for group in groups {
            level.forget_length(group);
        }
        Ok(is_changed)
    }
}
