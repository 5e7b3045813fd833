//! Patients that were merged into another one: what still comes under an old number goes to the patient that stands.

use bytes::Bytes;
use engine::SendError;
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::request::{Answers, Request, refused};
use crate::{
    fhir::server::{FHIR, Server},
    web::{
        AnswerBody, Client, Draft, Payload,
        meaning::{self, Asked, Statuses},
    },
};

/// So often one patient may have been merged into the next.
const MOST: usize = 8;

const PATIENT: &str = "Patient";

/// What becomes of entries about a patient whom the server has merged into another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Merged {
    #[default]
    Follow,
    Leave,
}

/// A patient of a bundle who may have been merged.
#[derive(Debug)]
pub(super) struct Follow {
    entry: usize,
    /// What the other entries call the patient.
    address: Option<String>,
    /// The query by which the server finds the patient.
    condition: String,
}

impl Follow {
    /// The patient of an entry with a condition. One that says itself what the patient is linked to, or whether the number
    /// is in use, is the word of whoever merges and parts patients: it stands.
    pub(super) fn of(place: usize, entry: &Value, condition: &str) -> Option<Self> {
        let resource = &entry["resource"];
        let is_told = !resource["active"].is_null() || !resource["link"].is_null();
        if resource["resourceType"] != PATIENT || is_told || condition.is_empty() {
            return None;
        }
        let address = entry["fullUrl"].as_str().map(str::to_owned);
        // Servers that keep to the letter of URLs take none as it is.
        Some(Self { entry: place, address, condition: condition.replace('|', "%7C") })
    }
}

/// Asks the server for each patient of a request, and lets it be about those that stand; gives these.
pub(super) async fn follow(
    server: &Server,
    request: &mut Request,
    deadline: Instant,
) -> Result<Vec<String>, SendError> {
    let mut moved = Vec::new();
    for patient in &request.follows {
        if let Some(standing) = standing(server, &patient.condition, deadline).await? {
            moved.push((patient, standing));
        }
    }
    if moved.is_empty() {
        return Ok(Vec::new());
    }
    let mut bundle: Value = serde_json::from_slice(&request.body)
        .map_err(|_| refused("the payload is no resource: it is no JSON"))?;
    for (patient, standing) in &moved {
        if let Some(address) = &patient.address {
            refer(&mut bundle, address, standing);
        }
    }
    let left = leave_out(&mut bundle, moved.iter().map(|(patient, _)| patient.entry));
    let standing: Vec<String> = moved.into_iter().map(|(_, standing)| standing).collect();
    if left == 0 {
        let into = standing.join(", ");
        return Err(refused(format!("the patient was merged into {into}, and it is about nobody else")));
    }
    request.body = Bytes::from(bundle.to_string());
    request.answers = match request.answers {
        Answers::Entries(_) => Answers::Entries(left),
        _ => Answers::Together(left),
    };
    Ok(standing)
}

/// The patient that took the place of the one that a query finds; none where it stands itself, or is not known.
async fn standing(server: &Server, query: &str, deadline: Instant) -> Result<Option<String>, SendError> {
    let found = ask(server, PATIENT, query, deadline).await?.unwrap_or_default();
    let found = found["entry"].as_array().into_iter().flatten().map(|entry| &entry["resource"]);
    let mut found = found.filter(|resource| resource["resourceType"] == PATIENT);
    // Of several the server says itself that they are too many.
    let (Some(patient), None) = (found.next(), found.next()) else { return Ok(None) };
    let mut next = replaced_by(patient)?;
    let mut last = None;
    for _ in 0..MOST {
        let Some(patient) = next else { return Ok(last) };
        let Some(read) = ask(server, &patient, "", deadline).await? else {
            return Err(refused(format!("the patient was merged into {patient}, which is not there")));
        };
        next = replaced_by(&read)?;
        last = Some(patient);
    }
    Err(refused("the patient was merged in a circle, or more than eight times"))
}

/// Whom a patient was replaced by: `Patient/ID`.
fn replaced_by(patient: &Value) -> Result<Option<String>, SendError> {
    let links = patient["link"].as_array().into_iter().flatten();
    let Some(link) = links.into_iter().find(|link| link["type"] == "replaced-by") else { return Ok(None) };
    let reference = link["other"]["reference"].as_str().unwrap_or_default();
    let reference = reference.split("/_history/").next().unwrap_or_default();
    let mut parts = reference.rsplit('/');
    let (id, name) = (parts.next().unwrap_or_default(), parts.next());
    if name != Some(PATIENT) || !super::request::is_id(id) {
        return Err(refused("the patient was merged into one that is not of this server"));
    }
    Ok(Some(format!("{PATIENT}/{id}")))
}

/// Reads or searches; nothing where there is no such resource. Whatever goes wrong, nothing of the message has left.
async fn ask(
    server: &Server,
    path: &str,
    query: &str,
    deadline: Instant,
) -> Result<Option<Value>, SendError> {
    let lost = |why: &str| format!("cannot ask whether the patient was merged: {why}");
    let target = server.target(path, query).map_err(SendError::refused)?;
    let draft =
        Draft { method: Method::GET, target, headers: Client::headers(FHIR), body: Payload::default() };
    let answer = server.client.ask(draft, &[Statuses::SUCCESS], deadline).await;
    let answer = answer.map_err(|error| SendError::not_delivered(meaning::hindered(&error).worded(lost)))?;
    if [404, 410].contains(&answer.status.as_u16()) && query.is_empty() {
        return Ok(None);
    }
    let body = match &answer.body {
        AnswerBody::Whole(body) => body.clone(),
        AnswerBody::Long(_) | AnswerBody::Cut(_) => Bytes::new(),
    };
    match meaning::judge(answer, &[Statuses::SUCCESS], Asked::OfAll) {
        Ok(_) => {}
        Err(SendError::Refused { why, .. }) => {
            return Err(refused(format!("{} (`merged: leave` asks nothing)", lost(&why))));
        }
        Err(error) => return Err(SendError::not_delivered(meaning::hindered(&error).worded(lost))),
    }
    let read = serde_json::from_slice(&body).map_err(|_| SendError::not_delivered(lost("no JSON came")))?;
    Ok(Some(read))
}

/// Lets every reference to an address be one to a patient.
fn refer(value: &mut Value, address: &str, patient: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "reference" && text == address => {
                        patient.clone_into(text);
                    }
                    _ => refer(member, address, patient),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| refer(item, address, patient)),
        _ => {}
    }
}

/// Takes entries out of a bundle; says how many are left.
fn leave_out(bundle: &mut Value, places: impl Iterator<Item = usize>) -> usize {
    let places: Vec<usize> = places.collect();
    let Some(Value::Array(entries)) = bundle.get_mut("entry") else { return 0 };
    let mut place = 0..;
    entries.retain(|_| place.next().is_some_and(|place| !places.contains(&place)));
    entries.len()
}
