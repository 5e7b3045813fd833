//! One page of a search: its resources as they are compared and kept, and where the next one is.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use bytes::Bytes;
use engine::Hash;
use jiff::Timestamp;
use serde::{
    Deserializer, Serialize,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// A page that is whole.
#[derive(Default)]
pub(super) struct Page {
    pub(super) found: Vec<Found>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) next: Option<String>,
    pub(super) total: Option<u64>,
}

/// An entry that cannot be used.
pub(super) struct Rejected {
    /// As it came.
    pub(super) text: String,
    pub(super) why: &'static str,
    /// Which resource it is of, where its address or what can be read of it says so.
    pub(super) id: Option<String>,
}

/// What an answer is to the question for one resource.
pub(super) enum One {
    Found(Box<Found>),
    /// It is whole, and no resource that can be used.
    Unusable,
    /// It was cut, or is of somebody in between.
    Torn,
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
        let text = String::from_utf8_lossy(body);
        if text.trim_start().starts_with('<') {
            return Err(Unfit::Torn("it answered HTML in place of JSON"));
        }
        // Bytes that are no text spoil the entry that has them, and no other.
        let is_text = matches!(text, Cow::Borrowed(_));
        let mut bundle =
            Bundle { kind, is_text, page: Self::default(), resource_type: Value::Null, form: Value::Null };
        let mut reading = serde_json::Deserializer::from_str(&text);
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
    fn take(&mut self, kind: &str, text: &str, is_text: bool) {
        let entry = Entry(serde_json::from_str(text).unwrap_or_default());
        let resource = entry.0.get("resource").map_or("", |resource| resource.get());
        let read = if is_text || !resource.contains(char::REPLACEMENT_CHARACTER) {
            serde_json::from_str::<Value>(resource).map_err(|_| "an entry of a page cannot be read as JSON")
        } else {
            Err("an entry of a page holds bytes that are no UTF-8")
        };
        if read.as_ref().is_ok_and(|read| read["resourceType"].as_str().is_some_and(|name| name != kind)) {
            return;
        }
        match read.as_ref().map_err(|why| *why).and_then(|read| Found::of(read, resource)) {
            Ok(found) => self.found.push(found),
            Err(why) => {
                let told = read.as_ref().ok().and_then(|read| read["id"].as_str()).filter(|id| is_id(id));
                let id = told.map(str::to_owned).or_else(|| entry.address(kind));
                self.rejected.push(Rejected { text: text.to_owned(), why, id });
            }
        }
    }
}

/// An entry, not looked into yet: one that cannot be read leaves the others as they are.
struct Entry<'e>(BTreeMap<String, &'e RawValue>);

impl Entry<'_> {
    /// The id that its address ends with.
    fn address(&self, kind: &str) -> Option<String> {
        let address: String = serde_json::from_str(self.0.get("fullUrl")?.get()).ok()?;
        let (before, id) = address.rsplit_once('/')?;
        let is_its = before == kind || before.ends_with(&format!("/{kind}"));
        (is_its && is_id(id)).then(|| id.to_owned())
    }
}

impl One {
    /// Reads the answer to the question for one resource.
    pub(super) fn read(kind: &str, id: &str, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        if serde_json::from_str::<&RawValue>(&text).is_err() {
            return Self::Torn;
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(resource) if resource["resourceType"] == "OperationOutcome" => Self::Torn,
            Ok(resource) if resource["resourceType"] == kind => match Found::of(&resource, &text) {
                Ok(found) if found.id == id => Self::Found(Box::new(found)),
                _ => Self::Unusable,
            },
            _ => Self::Unusable,
        }
    }
}

/// A page on its way: of each entry is made what is kept before the next one is read, since a resource that is taken
/// apart takes ten times the memory of its text.
struct Bundle<'k> {
    kind: &'k str,
    is_text: bool,
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
        while let Some(entry) = entries.next_element::<&RawValue>()? {
            self.0.page.take(self.0.kind, entry.get(), self.0.is_text);
        }
        Ok(())
    }
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn next(links: &Value) -> Option<String> {
    let next = links.as_array().into_iter().flatten().find(|link| link["relation"] == "next");
    next.and_then(|link| link["url"].as_str()).map(str::to_owned)
}

impl Found {
    /// What is kept of a resource, whose text is kept as it came; else why it cannot be used.
    fn of(resource: &Value, text: &str) -> Result<Self, &'static str> {
        if !resource["resourceType"].is_string() {
            return Err("an entry of a page holds no resource");
        }
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
        let (hash, body) = (content_hash(resource), Bytes::copy_from_slice(text.as_bytes()));
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
                    written(name, text);
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
        leaf => written(leaf, text),
    }
}

fn meta(meta: &Value, text: &mut Vec<u8>) {
    let mut meta = meta.clone();
    if let Value::Object(fields) = &mut meta {
        fields.retain(|name, _| name != "versionId" && name != "lastUpdated");
    }
    canonical(&meta, 1, text);
}

fn written(leaf: &(impl Serialize + ?Sized), text: &mut Vec<u8>) {
    serde_json::to_writer(text, leaf).expect("a leaf is written into memory");
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

    #[test]
    fn an_entry_that_cannot_be_read_leaves_the_others_and_says_which_one_it_is_where_it_can() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let at =
            |id: &str, resource: &str| format!(r#"{{"fullUrl":"http://h/P/{id}","resource":{resource}}}"#);
        let whole = |id: &str| at(id, &format!(r#"{{"resourceType":"P","id":"{id}"}}"#));
        let entries = [
            whole("1"),
            at("2", r#"{"resourceType":"P","id":"2","name":"\ud800"}"#),
            at("3", &format!(r#"{{"resourceType":"P","id":"3","name":{deep}}}"#)),
            at("4", r#"{"resourceType":"P","id":4}"#),
            at("5", r#"{"resourceType":7,"id":"five"}"#),
            at("6", "[]"),
            r#"{"fullUrl":"http://h/P/7"}"#.to_owned(),
            r#"{"fullUrl":"http://h/O/8","resource":{"resourceType":"P"}}"#.to_owned(),
            at("9?", r#"{"resourceType":"P"}"#),
            "7".to_owned(),
            at("10", "{\"resourceType\":\"P\",\"id\":\"10\",\"name\":\"@\"}"),
            whole("11"),
        ];
        let text =
            format!(r#"{{"resourceType":"Bundle","type":"searchset","entry":[{}]}}"#, entries.join(","));
        let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'@' { 0xe9 } else { byte }).collect();
        let page = Page::read("P", &bytes).ok().unwrap();
        let found: Vec<&str> = page.found.iter().map(|found| found.id.as_str()).collect();
        assert_eq!(found, ["1", "11"]);
        let named: Vec<_> = page.rejected.iter().map(|rejected| rejected.id.as_deref()).collect();
        let of = |id| Some(id);
        assert_eq!(
            named,
            [of("2"), of("3"), of("4"), of("five"), of("6"), of("7"), None, None, None, of("10")]
        );
        assert_eq!(page.rejected[0].text, entries[1]);
    }

    #[test]
    fn an_answer_for_one_resource_is_it_or_of_no_use_or_was_cut() {
        let one = |body: &str| One::read("P", "1", body.as_bytes());
        assert!(matches!(one(r#"{"resourceType":"P","id":"1"}"#), One::Found(_)));
        for unusable in [
            r#"{"resourceType":"P"}"#,
            r#"{"resourceType":"P","id":"2"}"#,
            r#"{"resourceType":"O","id":"1"}"#,
            r#"{"resourceType":"P","id":"1","name":"\ud800"}"#,
            "[]",
        ] {
            assert!(matches!(one(unusable), One::Unusable), "{unusable}");
        }
        for torn in
            ["", "<html>", r#"{"resourceType":"P","id":"1""#, r#"{"resourceType":"OperationOutcome"}"#]
        {
            assert!(matches!(one(torn), One::Torn), "{torn}");
        }
    }
}
