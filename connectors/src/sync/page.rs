//! One page of a search: its resources as they are compared and kept, and where the next one is.

use std::fmt;

use bytes::Bytes;
use engine::Hash;
use jiff::Timestamp;
use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A page that is whole.
#[derive(Default)]
pub(super) struct Page {
    pub(super) found: Vec<Found>,
    /// Entries that cannot be used, as they came, and why.
    pub(super) rejected: Vec<(String, &'static str)>,
    pub(super) next: Option<String>,
    pub(super) total: Option<u64>,
}

/// One version of a resource.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) changed: Option<Timestamp>,
    pub(super) number: i64,
    pub(super) hash: Hash,
    pub(super) is_active: bool,
    /// The resource.
    pub(super) body: Bytes,
}

/// Why a text is no page.
pub(super) enum Unfit {
    /// It was cut, or is of somebody in between: it may be there when asked again.
    Torn(&'static str),
    /// The server says something else.
    Else(&'static str),
}

impl Page {
    /// Reads the page of one type; entries of others are none of ours.
    pub(super) fn read(kind: &str, body: &[u8]) -> Result<Self, Unfit> {
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'<') {
            return Err(Unfit::Torn("it answered HTML in place of JSON"));
        }
        let mut bundle =
            Bundle { kind, page: Self::default(), resource_type: Value::Null, form: Value::Null };
        let mut reading = serde_json::Deserializer::from_slice(body);
        let read = reading.deserialize_any(&mut bundle).and_then(|()| reading.end());
        read.map_err(|error| {
            Unfit::Torn(if error.is_data() {
                "its answer is no bundle"
            } else {
                "its answer is no whole JSON"
            })
        })?;
        match bundle.resource_type.as_str() {
            Some("Bundle") if bundle.form == "searchset" => Ok(bundle.page),
            Some("OperationOutcome") => {
                Err(Unfit::Torn("it answered an OperationOutcome in place of a page"))
            }
            _ => Err(Unfit::Else("what it answers is no bundle of a search")),
        }
    }

    /// Takes what of an entry is kept.
    fn take(&mut self, kind: &str, mut entry: Value) {
        let resource = entry.get_mut("resource").map(Value::take).unwrap_or_default();
        if resource["resourceType"].as_str().is_some_and(|name| name != kind) {
            return;
        }
        match Found::of(&resource) {
            Ok(found) => self.found.push(found),
            Err(why) => self.rejected.push((resource.to_string(), why)),
        }
    }
}

/// A page on its way: of each entry is made what is kept before the next one is read, since a resource that is taken
/// apart takes ten times the memory of its text.
struct Bundle<'k> {
    kind: &'k str,
    page: Page,
    resource_type: Value,
    form: Value,
}

/// The entries of a bundle.
struct Entries<'b, 'k>(&'b mut Bundle<'k>);

impl<'de> Visitor<'de> for &mut Bundle<'_> {
    type Value = ();

    fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
        words.write_str("a bundle")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "resourceType" => self.resource_type = fields.next_value()?,
                "type" => self.form = fields.next_value()?,
                "total" => self.page.total = fields.next_value::<Value>()?.as_u64(),
                "link" => self.page.next = next(&fields.next_value()?),
                "entry" => fields.next_value_seed(Entries(self))?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
        words.write_str("the entries of a bundle")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element()? {
            self.0.page.take(self.0.kind, entry);
        }
        Ok(())
    }
}

fn next(links: &Value) -> Option<String> {
    let next = links.as_array().into_iter().flatten().find(|link| link["relation"] == "next");
    next.and_then(|link| link["url"].as_str()).map(str::to_owned)
}

impl Found {
    /// What is kept of a resource; else why it cannot be used.
    pub(super) fn of(resource: &Value) -> Result<Self, &'static str> {
        if !resource["resourceType"].is_string() {
            return Err("an entry of a page holds no resource");
        }
        let is_id = |id: &str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        };
        let Some(id) = resource["id"].as_str().filter(|id| is_id(id)).map(str::to_owned) else {
            return Err("an entry of a page has no id");
        };
        let changed = resource["meta"]["lastUpdated"].as_str().and_then(|text| text.parse().ok());
        // Written as a text, or as a number.
        let number = match &resource["meta"]["versionId"] {
            Value::String(text) => text.parse().unwrap_or(0),
            Value::Number(number) => number.as_i64().unwrap_or(0),
            _ => 0,
        };
        let is_active = resource["active"] != false && resource["status"] != "inactive";
        let (hash, body) = (content_hash(resource), resource.to_string().into());
        Ok(Self { id, changed, number, hash, is_active, body })
    }
}

/// Names the content of a resource, whatever the order of its keys, without its server's version and time.
pub(super) fn content_hash(resource: &Value) -> Hash {
    let mut text = Vec::with_capacity(2048);
    canonical(resource, 0, &mut text);
    Hash::of(&[&text])
}

fn canonical(value: &Value, depth: usize, text: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            text.push(b'{');
            for (name, field) in fields {
                if depth == 0 && name == "meta" {
                    text.extend_from_slice(b"\"meta\":");
                    meta(field, text);
                } else {
                    text.extend_from_slice(Value::String(name.clone()).to_string().as_bytes());
                    text.push(b':');
                    canonical(field, depth + 1, text);
                }
                text.push(b',');
            }
            text.push(b'}');
        }
        Value::Array(all) => {
            text.push(b'[');
            for one in all {
                canonical(one, depth + 1, text);
                text.push(b',');
            }
            text.push(b']');
        }
        leaf => text.extend_from_slice(leaf.to_string().as_bytes()),
    }
}

fn meta(meta: &Value, text: &mut Vec<u8>) {
    let mut meta = meta.clone();
    if let Value::Object(fields) = &mut meta {
        fields.retain(|name, _| name != "versionId" && name != "lastUpdated");
    }
    canonical(&meta, 1, text);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_is_the_same_whatever_the_order_of_keys_the_version_and_the_time() {
        let one = json!({ "id": "1", "meta": { "versionId": "2", "lastUpdated": "x", "source": "s" }, "a": [1.50] });
        let same = json!({ "a": [1.50], "meta": { "source": "s", "versionId": 7 }, "id": "1" });
        assert_eq!(content_hash(&one), content_hash(&same));
        for other in
            [json!({ "id": "1", "a": [1.50] }), json!({ "id": "1", "meta": { "source": "s" }, "a": [1.51] })]
        {
            assert_ne!(content_hash(&one), content_hash(&other));
        }
    }

    #[test]
    fn a_page_tells_its_own_from_others_and_from_what_cannot_be_used() {
        let bundle = json!({ "resourceType": "Bundle", "type": "searchset", "total": 3, "entry": [
            { "resource": { "resourceType": "Practitioner", "id": "1", "active": false, "meta": { "versionId": 2 } } },
            { "resource": { "resourceType": "Organization", "id": "9" } },
            { "resource": { "resourceType": "Practitioner" } },
        ], "link": [{ "relation": "self", "url": "x" }, { "relation": "next", "url": "y" }] });
        let page = Page::read("Practitioner", bundle.to_string().as_bytes()).ok().unwrap();
        assert_eq!((page.found.len(), page.rejected.len(), page.next.as_deref()), (1, 1, Some("y")));
        assert_eq!((page.found[0].number, page.found[0].is_active), (2, false));
        for torn in [
            "",
            "[]",
            "<html>",
            "{\"resourceType\": \"Bundle\",\"entry\": [",
            "{\"resourceType\":\"OperationOutcome\"}",
        ] {
            assert!(matches!(Page::read("Practitioner", torn.as_bytes()), Err(Unfit::Torn(_))), "{torn}");
        }
        let other = "{\"entry\": [], \"resourceType\": \"Bundle\", \"type\": \"history\"}";
        assert!(matches!(Page::read("Practitioner", other.as_bytes()), Err(Unfit::Else(_))));
    }
}
