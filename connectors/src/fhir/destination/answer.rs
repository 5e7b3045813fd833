//! What a FHIR server's answer means: its status, its OperationOutcome, and the outcome of each entry of a bundle.

use bytes::Bytes;
use engine::{Hindered, Response, SendError};
use hyper::StatusCode;
use serde_json::Value;

use super::request::Answers;
use crate::{
    fhir::outcome::Outcome,
    web::{
        Answer, AnswerBody,
        meaning::{self, Asked, Meaning, Statuses},
    },
};

/// So many entries that were not done are told of.
const TOLD: usize = 5;

/// Statuses by which either one resource is missing or the whole server.
pub(super) const NO_PATH: [u16; 2] = [404, 405];

/// What an answer permits.
pub(super) fn judged(answer: Answer, answers: Answers) -> Result<Response, SendError> {
    let status = answer.status;
    let body = match &answer.body {
        AnswerBody::Whole(body) => body.clone(),
        AnswerBody::Long(_) | AnswerBody::Cut(_) => Bytes::new(),
    };
    match meaning::judge(answer, &[Statuses::SUCCESS], Asked::OfThisMessage) {
        Ok(response) if answers == Answers::Found && response.facts.contains_key("cut") => {
            Err(SendError::refused("what was found is longer than `max_size`"))
        }
        Ok(response) => done(response, &body, answers),
        Err(error) => Err(explained(error, status, &body)),
    }
}

/// Adds what the server found to what it answered.
fn explained(error: SendError, status: StatusCode, body: &[u8]) -> SendError {
    let found = Outcome::read(body).and_then(|outcome| outcome.words());
    let found = found.map(|words| format!(" ({words})")).unwrap_or_default();
    let hint = hint(status).map(|hint| format!(": {hint}")).unwrap_or_default();
    let more = |why: String| format!("{why}{found}{hint}");
    match error {
        SendError::NotDelivered { why, by, not_before } => {
            SendError::NotDelivered { why: more(why), by, not_before }
        }
        SendError::Unknown { why, by } => SendError::Unknown { why: more(why), by },
        SendError::Refused { why, code, response } => SendError::Refused { why: more(why), code, response },
    }
}

fn hint(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        409 => Some("another write to the same resource came in between, or something refers to it"),
        410 => Some("the resource was deleted"),
        412 => {
            Some("several resources fit the condition, or the version is no longer the one that was expected")
        }
        _ => None,
    }
}

/// A success that may still say of something that it was not done.
fn done(response: Response, body: &Bytes, answers: Answers) -> Result<Response, SendError> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return match answers {
            // Of each entry nothing is known.
            Answers::Entries(count) if count > 0 => {
                Err(SendError::unknown("the server answered the batch without a bundle"))
            }
            _ => Ok(response),
        };
    };
    if let Some(outcome) = Outcome::of_value(&value).filter(Outcome::is_fault) {
        let words = outcome.words().unwrap_or_default();
        let why = format!("the server answered {}, and said {words}", response.facts["status"]);
        return Err(SendError::Refused { why, code: None, response: response.body });
    }
    match answers {
        Answers::Resource | Answers::Found => Ok(response),
        // Done together, all of it was done, whether it is told or not.
        Answers::Together(_) if value["entry"].is_null() => Ok(response),
        Answers::Entries(count) | Answers::Together(count) => entries(response, &value, count),
        Answers::Message => message(response, &value),
    }
}

/// What became of each entry. What may be done at another time is told before what is refused: a second try finds what
/// the first one made.
fn entries(response: Response, bundle: &Value, count: usize) -> Result<Response, SendError> {
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    if entries.len() != count {
        let why = format!("the server answered {} of {count} entries", entries.len());
        return Err(SendError::unknown(why));
    }
    let failed: Vec<(usize, Option<StatusCode>, &Value)> = entries
        .iter()
        .enumerate()
        .map(|(place, entry)| (place, status(entry), &entry["response"]["outcome"]))
        .filter(|(_, status, _)| !status.is_some_and(|status| status.is_success() || status == 304))
        .collect();
    if failed.is_empty() {
        return Ok(response);
    }
    let why = told(&failed, count);
    let means = |meaning: Meaning| {
        let of = |status: &Option<StatusCode>| {
            status.map_or(Meaning::Unknown, |status| meaning::meaning(status, Asked::OfThisMessage))
        };
        failed.iter().any(|(_, status, _)| of(status) == meaning)
    };
    if means(Meaning::Unknown) {
        Err(SendError::unknown(why))
    } else if means(Meaning::NotNow) {
        let by = failed.iter().find_map(|(_, status, _)| status.and_then(meaning::hindrance));
        Err(SendError::not_delivered(Hindered { words: why, by }))
    } else {
        let code = failed[0].1.map(|status| status.as_u16().to_string());
        Err(SendError::Refused { why, code, response: response.body })
    }
}

fn status(entry: &Value) -> Option<StatusCode> {
    let text = entry["response"]["status"].as_str()?;
    StatusCode::from_bytes(text.split(' ').next()?.as_bytes()).ok()
}

fn told(failed: &[(usize, Option<StatusCode>, &Value)], count: usize) -> String {
    let one = |(place, status, outcome): &(usize, Option<StatusCode>, &Value)| {
        let status = status.map_or("no status".to_owned(), |status| status.as_u16().to_string());
        let found = Outcome::of_value(outcome).and_then(|outcome| outcome.words());
        let found = found.map(|words| format!(" ({words})")).unwrap_or_default();
        format!("entry {}: {status}{found}", place + 1)
    };
    let mut words: Vec<String> = failed.iter().take(TOLD).map(one).collect();
    if failed.len() > TOLD {
        words.push(format!("and {} more", failed.len() - TOLD));
    }
    format!("{} of {count} entries were not done: {}", failed.len(), words.join("; "))
}

/// What the receiver of a message says of it.
fn message(response: Response, bundle: &Value) -> Result<Response, SendError> {
    let header = |resource: &&Value| resource["resourceType"] == "MessageHeader";
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let header = entries.map(|entry| &entry["resource"]).find(header);
    match header.and_then(|header| header["response"]["code"].as_str()) {
        Some("transient-error") => {
            Err(SendError::not_delivered("the receiver of the message answered `transient-error`"))
        }
        Some("fatal-error") => Err(SendError::Refused {
            why: "the receiver of the message answered `fatal-error`".to_owned(),
            code: Some("fatal-error".to_owned()),
            response: response.body,
        }),
        _ => Ok(response),
    }
}
