//! One page of a search: its resources as they are compared and kept, and where the next one is.

use bytes::Bytes;
use engine::Hash;
use jiff::Timestamp;
use serde_json::Value;

/// A page that is whole.
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
    pub(super) resource: Value,
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
        let bundle: Value =
            serde_json::from_slice(body).map_err(|_| Unfit::Torn("its answer is no whole JSON"))?;
        let Value::Object(mut bundle) = bundle else { return Err(Unfit::Torn("its answer is no bundle")) };
        match bundle.get("resourceType").and_then(Value::as_str) {
            Some("Bundle") if bundle.get("type").is_some_and(|kind| kind == "searchset") => {}
            Some("OperationOutcome") => {
                return Err(Unfit::Torn("it answered an OperationOutcome in place of a page"));
            }
            _ => return Err(Unfit::Else("what it answers is no bundle of a search")),
        }
        let links = bundle.get("link").and_then(Value::as_array);
        let next = links.into_iter().flatten().find(|link| link["relation"] == "next");
        let next = next.and_then(|link| link["url"].as_str()).map(str::to_owned);
        let total = bundle.get("total").and_then(Value::as_u64);
        let mut page = Self { found: Vec::new(), rejected: Vec::new(), next, total };
        let entries = match bundle.remove("entry") {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        for mut entry in entries {
            let resource = entry.get_mut("resource").map(Value::take).unwrap_or_default();
            let name = resource["resourceType"].as_str();
            if name.is_some_and(|name| name != kind) {
                continue;
            }
            match Found::of(resource) {
                Ok(found) => page.found.push(found),
                Err((resource, why)) => page.rejected.push((resource.to_string(), why)),
            }
        }
        Ok(page)
    }
}

impl Found {
    pub(super) fn of(resource: Value) -> Result<Self, (Value, &'static str)> {
        if !resource["resourceType"].is_string() {
            return Err((resource, "an entry of a page holds no resource"));
        }
        let is_id = |id: &str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        };
        let Some(id) = resource["id"].as_str().filter(|id| is_id(id)).map(str::to_owned) else {
            return Err((resource, "an entry of a page has no id"));
        };
        let changed = resource["meta"]["lastUpdated"].as_str().and_then(|text| text.parse().ok());
        // Written as a text, or as a number.
        let number = match &resource["meta"]["versionId"] {
            Value::String(text) => text.parse().unwrap_or(0),
            Value::Number(number) => number.as_i64().unwrap_or(0),
            _ => 0,
        };
        let is_active = resource["active"] != false && resource["status"] != "inactive";
        let hash = content_hash(&resource);
        Ok(Self { id, changed, number, hash, is_active, resource })
    }

    pub(super) fn body(&self) -> Bytes {
        self.resource.to_string().into()
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
            "<html>",
            "{\"resourceType\": \"Bundle\",\"entry\": [",
            "{\"resourceType\":\"OperationOutcome\"}",
        ] {
            assert!(matches!(Page::read("Practitioner", torn.as_bytes()), Err(Unfit::Torn(_))), "{torn}");
        }
    }
}
