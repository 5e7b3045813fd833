//! One page of what a search found.

use engine::{Facts, Hash};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use serde_json::{Map, Value};

use crate::web::Answer;

/// A page, as the server answered it.
pub(super) struct Page {
    /// When the server answered, by its own clock.
    pub(super) date: Option<Timestamp>,
    pub(super) found: Vec<Found>,
    /// Where the next page is.
    pub(super) next: Option<String>,
}

/// One version of a resource.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) version: String,
    pub(super) changed: Option<Timestamp>,
    /// Whether the search fits it, and did not only include it.
    pub(super) fits: bool,
    pub(super) resource: Value,
}

impl Page {
    pub(super) fn read(answer: &Answer, body: &[u8]) -> Result<Self, String> {
        let bundle: Value =
            serde_json::from_slice(body).map_err(|_| "what it answers is no JSON".to_owned())?;
        if bundle["resourceType"] != "Bundle" || bundle["type"] != "searchset" {
            return Err("what it answers is no bundle of a search".to_owned());
        }
        let date = date(answer).or_else(|| timestamp(&bundle["meta"]["lastUpdated"]));
        let next = bundle["link"].as_array().into_iter().flatten();
        let next = next.into_iter().find(|link| link["relation"] == "next");
        let next = next.and_then(|link| link["url"].as_str()).map(str::to_owned);
        let Value::Object(mut bundle) = bundle else { return Err("what it answers is no bundle".to_owned()) };
        let entries = match bundle.remove("entry") {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        Ok(Self { date, found: entries.into_iter().filter_map(Found::read).collect(), next })
    }
}

impl Found {
    /// `None` of what the server has to say of the search itself.
    fn read(mut entry: Value) -> Option<Self> {
        let mode = entry["search"]["mode"].as_str().unwrap_or("match").to_owned();
        let resource = entry.get_mut("resource").map(Value::take)?;
        let name = resource["resourceType"].as_str()?.to_owned();
        if mode == "outcome" || name == "OperationOutcome" {
            return None;
        }
        let id = resource["id"].as_str()?.to_owned();
        let changed = timestamp(&resource["meta"]["lastUpdated"]);
        // A server without versions changes the time with each; one without either is known by what it holds.
        let version = [&resource["meta"]["versionId"], &resource["meta"]["lastUpdated"]];
        let version = version.into_iter().find_map(Value::as_str).map(str::to_owned);
        let version = version.unwrap_or_else(|| Hash::of(&[resource.to_string().as_bytes()]).to_string());
        Some(Self { name, id, version, changed, fits: mode == "match", resource })
    }

    /// What makes this version itself, the same whenever it is found.
    pub(super) fn identity(&self, base: &str) -> Hash {
        let parts = ["fhir", base, &self.name, &self.id, &self.version];
        Hash::of(&parts.map(str::as_bytes))
    }

    pub(super) fn facts(&self, base: &str) -> Facts {
        let mut facts = Map::new();
        let mut fact = |name: &str, value: &str| facts.insert(name.to_owned(), value.into());
        fact("connector", "fhir");
        fact("base", base);
        fact("type", &self.name);
        fact("id", &self.id);
        fact("version", &self.version);
        fact("mode", if self.fits { "match" } else { "include" });
        if let Some(changed) = self.changed {
            fact("changed", &changed.to_string());
        }
        facts
    }
}

fn date(answer: &Answer) -> Option<Timestamp> {
    let text = answer.headers.get(hyper::header::DATE)?.to_str().ok()?;
    DateTimeParser::new().parse_timestamp(text).ok()
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}
