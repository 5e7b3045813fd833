//! Transactions and batches: entries that are done together, or each by itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::holdings::{Asked, Failure, Holdings, Place, Told};

/// Carries out a bundle.
pub(super) fn bundle(holdings: &mut Holdings, bundle: &Value) -> Result<Told, Failure> {
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let (kind, entries) = match bundle["type"].as_str() {
        Some("batch") => ("batch-response", batch(holdings, entries)),
        Some("transaction") => {
            // Nothing of it stands unless all of it does.
            let mut after = holdings.clone();
            let done = together(&mut after, entries)?;
            *holdings = after;
            ("transaction-response", done)
        }
        _ => return Err(Failure::new(400, "not-supported")),
    };
    let resource = json!({ "resourceType": "Bundle", "type": kind, "entry": entries });
    Ok(Told { status: 200, resource: Some(resource), location: None })
}

fn batch(holdings: &mut Holdings, entries: &[Value]) -> Vec<Value> {
    let one = |entry: &Value| match holdings.carry_out(asked(entry, entry.get("resource").cloned())) {
        Ok(told) => response(&told),
        Err(failure) => {
            json!({ "response": { "status": failure.status.to_string(), "outcome": failure.outcome() } })
        }
    };
    entries.iter().map(one).collect()
}

/// Gives each entry its place first, so that they may refer to each other in any order.
fn together(holdings: &mut Holdings, entries: &[Value]) -> Result<Vec<Value>, Failure> {
    let mut places: Vec<Option<Place>> = Vec::new();
    let mut named = BTreeMap::new();
    for entry in entries {
        let asked = asked(entry, None);
        let name = asked.path.split('/').next().unwrap_or_default().to_owned();
        let place =
            if ["POST", "PUT"].contains(&asked.method) { Some(holdings.place(&asked)?) } else { None };
        if let (Some(place), Some(url)) = (&place, entry["fullUrl"].as_str()) {
            named.insert(url.to_owned(), format!("{name}/{}", place.id()));
        }
        places.push(place);
    }
    let mut done = Vec::new();
    for (entry, place) in entries.iter().zip(places) {
        let mut resource = entry.get("resource").cloned();
        if let Some(resource) = &mut resource {
            refer(holdings, &named, resource)?;
        }
        let asked = asked(entry, resource);
        let told = match (place, asked.resource) {
            (Some(place), Some(resource)) => {
                let name = asked.path.split('/').next().unwrap_or_default();
                if resource["resourceType"] != name {
                    return Err(Failure::new(400, "invalid"));
                }
                holdings.write(name, place, resource)
            }
            (_, resource) => holdings.carry_out(Asked { resource, ..asked })?,
        };
        done.push(response(&told));
    }
    Ok(done)
}

fn asked(entry: &Value, resource: Option<Value>) -> Asked<'_> {
    let request = &entry["request"];
    let url = request["url"].as_str().unwrap_or_default().trim_start_matches('/');
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let method = request["method"].as_str().unwrap_or_default();
    Asked { method, path, query, unless: request["ifNoneExist"].as_str(), resource }
}

/// Puts the place of each resource where another one refers to it by its `fullUrl`, or by a search.
fn refer(holdings: &Holdings, named: &BTreeMap<String, String>, value: &mut Value) -> Result<(), Failure> {
    match value {
        Value::Array(all) => all.iter_mut().try_for_each(|one| refer(holdings, named, one)),
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("reference") {
                if let Some(place) = named.get(reference) {
                    reference.clone_from(place);
                } else if let Some((name, query)) = reference.split_once('?') {
                    let id = holdings.only(name, query)?.ok_or(Failure::new(412, "not-found"))?;
                    *reference = format!("{name}/{id}");
                }
            }
            fields.values_mut().try_for_each(|one| refer(holdings, named, one))
        }
        _ => Ok(()),
    }
}

fn response(told: &Told) -> Value {
    let mut response = json!({ "status": told.status.to_string() });
    if let Some(location) = &told.location {
        response["location"] = location.as_str().into();
    }
    let mut entry = json!({ "response": response });
    if told.location.is_none()
        && let Some(resource) = &told.resource
    {
        entry["resource"] = resource.clone();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(mark: &str) -> Value {
        json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "fullUrl": "urn:uuid:2", "resource": { "resourceType": "Observation", "subject": { "reference": "urn:uuid:1" } },
              "request": { "method": "POST", "url": "Observation", "ifNoneExist": format!("identifier=urn:m|{mark}") } },
            { "fullUrl": "urn:uuid:1", "resource": { "resourceType": "Patient", "identifier": [{ "system": "urn:p", "value": "1" }] },
              "request": { "method": "PUT", "url": "Patient?identifier=urn:p|1" } },
        ] })
    }

    fn search(holdings: &mut Holdings, path: &str) -> Vec<Value> {
        let asked = Asked { method: "GET", path, query: "", unless: None, resource: None };
        holdings.carry_out(asked).unwrap().resource.unwrap()["entry"].as_array().unwrap().clone()
    }

    #[test]
    fn a_transaction_refers_within_itself_and_finds_what_is_there() {
        let mut holdings = Holdings::default();
        for mark in ["1", "2"] {
            bundle(&mut holdings, &transaction(mark)).unwrap();
        }
        let patients = search(&mut holdings, "Patient");
        assert_eq!((patients.len(), &patients[0]["resource"]["meta"]["versionId"]), (1, &json!("2")));
        let patient = format!("Patient/{}", patients[0]["resource"]["id"].as_str().unwrap());
        let observations = search(&mut holdings, "Observation");
        assert_eq!(observations.len(), 2);
        assert!(observations.iter().all(|one| one["resource"]["subject"]["reference"] == patient.as_str()));
    }

    #[test]
    fn of_a_transaction_that_fails_nothing_stands_and_of_a_batch_the_rest() {
        let mut holdings = Holdings::default();
        let mut broken = transaction("1");
        broken["entry"][1]["resource"]["resourceType"] = "Observation".into();
        assert!(bundle(&mut holdings, &broken).is_err());
        assert!(search(&mut holdings, "Observation").is_empty());
        broken["type"] = "batch".into();
        let told = bundle(&mut holdings, &broken).unwrap().resource.unwrap();
        assert_eq!(told["entry"][0]["response"]["status"], "201");
        assert_eq!(told["entry"][1]["response"]["status"], "400");
        assert_eq!(search(&mut holdings, "Observation").len(), 1);
    }
}
