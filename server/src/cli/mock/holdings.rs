//! What the server in memory holds, and each thing that can be done with it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::search::{self, Search, TYPES, number};

/// Resources by type and id.
#[derive(Clone, Default)]
pub(super) struct Holdings {
    resources: BTreeMap<(String, String), Value>,
    made: u64,
}

/// Something to be done.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    /// Beneath the base: `Patient/7`.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// `If-None-Exist`.
    pub(super) unless: Option<&'a str>,
    pub(super) resource: Option<Value>,
}

/// What became of it.
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) resource: Option<Value>,
    /// The version that was written: `Patient/7/_history/2`.
    pub(super) location: Option<String>,
}

/// Why it was not done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) status: u16,
    code: &'static str,
}

impl Failure {
    pub(super) fn new(status: u16, code: &'static str) -> Self {
        Self { status, code }
    }

    pub(super) fn outcome(self) -> Value {
        json!({ "resourceType": "OperationOutcome", "issue": [{ "severity": "error", "code": self.code }] })
    }
}

impl Holdings {
    pub(super) fn carry_out(&mut self, asked: Asked<'_>) -> Result<Told, Failure> {
        let (name, id) = asked.path.split_once('/').map_or((asked.path, None), |(name, id)| (name, Some(id)));
        if !TYPES.contains(&name) {
            return Err(Failure::new(404, "not-supported"));
        }
        match (asked.method, id) {
            ("GET", Some(id)) => {
                let found = self.resources.get(&(name.to_owned(), id.to_owned())).cloned();
                let resource = Some(found.ok_or(Failure::new(404, "not-found"))?);
                Ok(Told { status: 200, resource, location: None })
            }
            ("GET", None) => {
                Ok(Told { status: 200, resource: Some(self.page(name, asked.query)?), location: None })
            }
            ("DELETE", Some(id)) => {
                self.resources.remove(&(name.to_owned(), id.to_owned()));
                Ok(Told { status: 204, resource: None, location: None })
            }
            ("POST", None) | ("PUT", _) => {
                let place = self.place(&asked)?;
                let resource = asked.resource.ok_or(Failure::new(400, "required"))?;
                if resource["resourceType"] != name {
                    return Err(Failure::new(400, "invalid"));
                }
                Ok(self.write(name, place, resource))
            }
            _ => Err(Failure::new(405, "not-supported")),
        }
    }

    /// Where something is to be written.
    pub(super) fn place(&mut self, asked: &Asked<'_>) -> Result<Place, Failure> {
        let (name, id) = asked.path.split_once('/').map_or((asked.path, None), |(name, id)| (name, Some(id)));
        let condition = if asked.method == "PUT" { Some(asked.query) } else { asked.unless };
        match (id, condition.filter(|condition| !condition.is_empty())) {
            (Some(id), _) => Ok(Place::At(id.to_owned())),
            (None, None) if asked.method == "PUT" => Err(Failure::new(400, "required")),
            (None, None) => Ok(Place::At(self.fresh())),
            (None, Some(condition)) => match (self.only(name, condition)?, asked.method) {
                (Some(id), "PUT") => Ok(Place::At(id)),
                (Some(id), _) => Ok(Place::Stays(id)),
                (None, _) => Ok(Place::At(self.fresh())),
            },
        }
    }

    /// The id of the only resource that a search fits; more than one is a failure.
    pub(super) fn only(&self, name: &str, query: &str) -> Result<Option<String>, Failure> {
        let search = Search::read(query)?;
        let mut found = self.of(name).filter(|resource| search.fits(resource));
        let first = found.next().and_then(|resource| resource["id"].as_str()).map(str::to_owned);
        if found.next().is_some() { Err(Failure::new(412, "multiple-matches")) } else { Ok(first) }
    }

    pub(super) fn write(&mut self, name: &str, place: Place, mut resource: Value) -> Told {
        let (id, is_kept) = match place {
            Place::At(id) => (id, false),
            Place::Stays(id) => (id, true),
        };
        let key = (name.to_owned(), id.clone());
        let before = self.resources.get(&key);
        let version = before.and_then(|before| before["meta"]["versionId"].as_str()?.parse::<u64>().ok());
        if let (true, Some(before)) = (is_kept, before) {
            let location = format!("{name}/{id}/_history/{}", version.unwrap_or(1));
            return Told { status: 200, resource: Some(before.clone()), location: Some(location) };
        }
        let number = version.unwrap_or(0) + 1;
        resource["id"] = id.as_str().into();
        resource["meta"]["versionId"] = number.to_string().into();
        resource["meta"]["lastUpdated"] = Timestamp::now().to_string().into();
        self.resources.insert(key, resource.clone());
        let status = if version.is_some() { 200 } else { 201 };
        Told { status, resource: Some(resource), location: Some(format!("{name}/{id}/_history/{number}")) }
    }

    fn fresh(&mut self) -> String {
        self.made += 1;
        format!("demo-{}", self.made)
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.resources.iter().filter(move |((known, _), _)| known == name).map(|(_, resource)| resource)
    }

    /// What a reference means: `Patient/7`.
    fn at(&self, reference: &str) -> Option<&Value> {
        let (name, id) = reference.split_once('/')?;
        self.resources.get(&(name.to_owned(), id.to_owned()))
    }

    /// What a search finds, the oldest change first.
    fn page(&self, name: &str, query: &str) -> Result<Value, Failure> {
        let search = Search::read(query)?;
        let mut found: Vec<&Value> = self.of(name).filter(|resource| search.fits(resource)).collect();
        found.sort_by_key(|resource| {
            resource["meta"]["lastUpdated"].as_str().and_then(|text| text.parse::<Timestamp>().ok())
        });
        let (offset, count) = (number(query, "_offset").unwrap_or(0), number(query, "_count").unwrap_or(100));
        let mut links = Vec::new();
        if offset + count < found.len() && count > 0 {
            let rest = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("_offset="));
            let query: Vec<&str> = rest.collect();
            let url = format!("{name}?{}&_offset={}", query.join("&"), offset + count);
            links.push(json!({ "relation": "next", "url": url }));
        }
        let shown = found.iter().skip(offset).take(count);
        let beside: BTreeSet<String> =
            shown.clone().flat_map(|resource| search::included(query, resource)).collect();
        let beside = beside.iter().filter_map(|reference| self.at(reference)).map(|one| (one, "include"));
        let entries = shown.map(|resource| (*resource, "match")).chain(beside);
        let entry = |(resource, mode)| json!({ "resource": resource, "search": { "mode": mode } });
        let entries: Vec<Value> = entries.map(entry).collect();
        Ok(json!({
            "resourceType": "Bundle", "type": "searchset", "total": found.len(), "link": links, "entry": entries,
        }))
    }
}

/// Where something is written.
pub(super) enum Place {
    At(String),
    /// It is there already, and stays as it is.
    Stays(String),
}

impl Place {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::At(id) | Self::Stays(id) => id,
        }
    }
}
