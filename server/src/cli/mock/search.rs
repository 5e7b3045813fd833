//! What the server in memory can be searched for.

use jiff::Timestamp;
use serde_json::Value;

use super::holdings::Failure;

/// The types it knows.
pub(super) const TYPES: &[&str] = &[
    "Account",
    "AllergyIntolerance",
    "Basic",
    "Binary",
    "Bundle",
    "CareTeam",
    "Condition",
    "Coverage",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Endpoint",
    "Flag",
    "HealthcareService",
    "ImagingStudy",
    "Location",
    "MessageHeader",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "RelatedPerson",
    "ServiceRequest",
    "Specimen",
    "Task",
];

/// The search parameters it knows, for every type.
pub(super) const PARAMETERS: &[&str] = &[
    "_id",
    "_lastUpdated",
    "_tag",
    "identifier",
    "status",
    "code",
    "category",
    "subject",
    "patient",
    "encounter",
    "based-on",
    "result",
    "specimen",
];

/// How a search's answer is laid out, which is no part of what is searched for.
const LAYOUT: &[&str] = &["_count", "_sort", "_offset", "_format", "_summary", "_total", INCLUDE];

/// What is found beside what fits: `ServiceRequest:subject`.
const INCLUDE: &str = "_include";

/// A search: every one of these must fit.
pub(super) struct Search(Vec<(String, String)>);

impl Search {
    pub(super) fn read(query: &str) -> Result<Self, Failure> {
        let pairs = pairs(query).filter(|(name, _)| !LAYOUT.contains(&name.as_str()));
        let pairs: Vec<(String, String)> = pairs.collect();
        match pairs.iter().find(|(name, _)| !PARAMETERS.contains(&name.as_str())) {
            Some(_) => Err(Failure::new(400, "not-supported")),
            None => Ok(Self(pairs)),
        }
    }

    pub(super) fn fits(&self, resource: &Value) -> bool {
        self.0.iter().all(|(name, wanted)| wanted.split(',').any(|one| fits(resource, name, one)))
    }
}

/// A number that says how the answer is laid out.
pub(super) fn number(query: &str, name: &str) -> Option<usize> {
    pairs(query).find(|(known, _)| known == name)?.1.parse().ok()
}

/// What a resource refers to by the members that a search includes: `Patient/7`.
pub(super) fn included(query: &str, resource: &Value) -> Vec<String> {
    let named = pairs(query).filter(|(name, _)| name == INCLUDE);
    let members = named.filter_map(|(_, path)| path.split(':').nth(1).map(str::to_owned));
    let of = |member: String| {
        let references = each(&resource[member.as_str()]).filter_map(|one| one["reference"].as_str());
        references.map(str::to_owned).collect::<Vec<_>>()
    };
    members.flat_map(of).collect()
}

fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    let decoded = reqwest::Url::parse(&format!("http://x/?{query}"));
    let pairs = decoded.map(|url| url.query_pairs().into_owned().collect::<Vec<_>>());
    pairs.unwrap_or_default().into_iter()
}

fn fits(resource: &Value, name: &str, wanted: &str) -> bool {
    match name {
        "_id" => resource["id"] == wanted,
        "_lastUpdated" => is_changed(&resource["meta"]["lastUpdated"], wanted),
        "_tag" => each(&resource["meta"]["tag"]).any(|tag| is_token(tag, "code", wanted)),
        "identifier" => each(&resource["identifier"]).any(|identifier| is_token(identifier, "value", wanted)),
        "status" => resource["status"] == wanted,
        "code" => each(&resource["code"]["coding"]).any(|coding| is_token(coding, "code", wanted)),
        "category" => each(&resource["category"])
            .flat_map(|concept| each(&concept["coding"]))
            .any(|coding| is_token(coding, "code", wanted)),
        "patient" => ["subject", "patient"].iter().any(|field| refers(&resource[field], wanted)),
        "based-on" => refers(&resource["basedOn"], wanted),
        field => refers(&resource[field], wanted),
    }
}

/// The value, or each of a list.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

/// `system|value`, `|value` (without a system), `system|`, or a value of any system.
fn is_token(token: &Value, field: &str, wanted: &str) -> bool {
    let (system, value) = (token["system"].as_str(), token[field].as_str());
    match wanted.split_once('|') {
        None => value == Some(wanted),
        Some(("", wanted)) => system.is_none() && value == Some(wanted),
        Some((wanted, "")) => system == Some(wanted),
        Some((of, wanted)) => system == Some(of) && value == Some(wanted),
    }
}

fn refers(references: &Value, wanted: &str) -> bool {
    each(references).filter_map(|reference| reference["reference"].as_str()).any(|reference| {
        reference == wanted || reference.rsplit_once('/').is_some_and(|(_, id)| id == wanted)
    })
}

fn is_changed(changed: &Value, wanted: &str) -> bool {
    let (how, when) = wanted.split_at(wanted.find(|letter: char| letter.is_ascii_digit()).unwrap_or(0));
    let changed = changed.as_str().and_then(|changed| changed.parse::<Timestamp>().ok());
    let (Some(changed), Ok(when)) = (changed, when.parse::<Timestamp>()) else { return false };
    match how {
        "ge" => changed >= when,
        "gt" => changed > when,
        "le" => changed <= when,
        "lt" => changed < when,
        _ => changed == when,
    }
}
