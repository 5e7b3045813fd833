//! What the mapping knows of the site and of the sender: options, and whose numbers those without an owner are.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use rhai::{Dynamic, Map};

use super::{Parts, systems};

/// The options of a mapping, and the sender of the message.
pub(crate) struct Site {
    pub(crate) options: Map,
    /// MSH-4, else MSH-3: it owns the numbers and codes that name no owner.
    pub(crate) sender: String,
    /// The zone of times without an offset.
    pub(crate) zone: TimeZone,
}

impl Site {
    /// An option by name; nothing where the site does not set it.
    pub(crate) fn option(&self, name: &str) -> Dynamic {
        self.options.get(name).cloned().unwrap_or_default()
    }

    /// The URI of who gave a number (HD: a name, or a universal ID and its kind); empty where nobody is named.
    pub(crate) fn authority(&self, hd: &Parts<'_>) -> String {
        let (name, universal, kind) = (hd.text(1), hd.text(2), hd.text(3));
        if let Some(system) = self.renamed(&name).or_else(|| self.renamed(&universal)) {
            return system;
        }
        match kind.to_ascii_uppercase().as_str() {
            "UUID" | "GUID" if systems::is_uuid(&universal) => {
                return format!("urn:uuid:{}", universal.to_ascii_lowercase());
            }
            "DNS" if !universal.is_empty() && !universal.contains(char::is_whitespace) => {
                return format!("http://{universal}");
            }
            _ => {}
        }
        if let Some(uri) = systems::uri(&universal).or_else(|| systems::uri(&name)) {
            return uri;
        }
        let own = if name.is_empty() { universal } else { name };
        if own.is_empty() { String::new() } else { systems::own(&own) }
    }

    /// Where a number comes from that nobody is named for: the sender.
    pub(crate) fn sender_authority(&self) -> String {
        if let Some(system) = self.renamed(&self.sender) {
            return system;
        }
        if self.sender.is_empty() { String::new() } else { systems::own(&self.sender) }
    }

    /// Whose wards the messages name: the option `places`, else the sender's.
    pub(crate) fn places(&self) -> String {
        let named = self.option("places").into_string().unwrap_or_default();
        if named.is_empty() {
            return self.sender_authority();
        }
        self.renamed(&named).or_else(|| systems::uri(&named)).unwrap_or_else(|| systems::own(&named))
    }

    /// The URI of a code system. `L` and what begins with 99 is the sender's own.
    pub(crate) fn codes(&self, name: &str) -> Cow<'static, str> {
        if name.is_empty() {
            return Cow::Borrowed("");
        }
        if let Some(system) = self.renamed(name) {
            return Cow::Owned(system);
        }
        if let Some(system) = systems::code_system(name) {
            return system;
        }
        let is_local = name == "L" || name.starts_with("99");
        if is_local && !self.sender.is_empty() {
            return Cow::Owned(format!("{}/{}", systems::own(&self.sender), &systems::own(name)[7..]));
        }
        Cow::Owned(systems::own(name))
    }

    /// What the site itself calls an authority or a code system.
    fn renamed(&self, name: &str) -> Option<String> {
        let systems = self.options.get("systems")?.read_lock::<Map>()?;
        super::text_at(&systems, name).map(String::from)
    }
}
