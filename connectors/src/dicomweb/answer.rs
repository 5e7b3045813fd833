//! What a STOW answer says of the one instance that was sent.

use engine::{Hindered, SendError};
use hyper::StatusCode;
use serde_json::Value;

use crate::{
    dimse::{self, Verdict},
    web::meaning::{self, Asked, Meaning},
};

const FAILED: &str = "00081198";
const STORED: &str = "00081199";
const INSTANCE: &str = "00081155";
const FAILURE: &str = "00081197";
const WARNING: &str = "00081196";

/// What became of the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// Stored, with the code of a warning.
    Stored(Option<u16>),
    /// The server has an instance of that name.
    There,
    /// Not stored, with the reason's code.
    Failed(u16),
    /// The answer does not name it.
    Unnamed,
}

/// Looks up the one instance that was sent; what names none means it.
pub(super) fn told(body: &[u8], instance: &str) -> Told {
    looked_up(body, |items| {
        let alone = || items.first().filter(|item| items.len() == 1 && name(item).is_none_or(str::is_empty));
        named(items, instance).or_else(alone)
    })
}

/// Looks up one of several instances that were sent.
pub(super) fn told_of(body: &[u8], instance: &str) -> Told {
    looked_up(body, |items| named(items, instance))
}

/// What an answer says; one that is no list says nothing.
fn looked_up(body: &[u8], find: impl Fn(&[Value]) -> Option<&Value>) -> Told {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return Told::Unnamed };
    // Some answer with a list of one.
    let answer = if answer.is_array() { &answer[0] } else { &answer };
    let item = |list: &str| find(answer[list]["Value"].as_array()?);
    if let Some(failure) = item(FAILED) {
        return match code(failure, FAILURE) {
            Some(dimse::DUPLICATE) => Told::There,
            code => Told::Failed(code.unwrap_or(dimse::PROCESSING_FAILURE)),
        };
    }
    item(STORED).map_or(Told::Unnamed, |stored| Told::Stored(code(stored, WARNING)))
}

fn named<'a>(items: &'a [Value], instance: &str) -> Option<&'a Value> {
    items.iter().find(|item| name(item).is_some_and(|name| name.trim_end_matches('\0') == instance))
}

fn name(item: &Value) -> Option<&str> {
    item[INSTANCE]["Value"][0].as_str()
}

fn code(item: &Value, attribute: &str) -> Option<u16> {
    item[attribute]["Value"][0].as_u64().and_then(|code| u16::try_from(code).ok())
}

/// What a failed instance permits: by its reason where the answer gives one, else by the status.
pub(super) fn failed(status: StatusCode, told: &Told, body: Option<bytes::Bytes>) -> SendError {
    let says = format!("the server answered {}", status.as_u16());
    let Told::Failed(reason) = told else {
        return match meaning::meaning(status, Asked::OfThisMessage) {
            Meaning::NotNow => {
                SendError::not_delivered(Hindered { words: says, by: meaning::hindrance(status) })
            }
            Meaning::Unknown => SendError::unknown(says),
            Meaning::Refused => {
                SendError::Refused { why: says, code: Some(status.as_u16().to_string()), response: body }
            }
        };
    };
    let why = format!("{says}, and for the instance {}", dimse::words(*reason));
    match dimse::verdict(*reason) {
        Verdict::NotNow => SendError::not_delivered(why),
        Verdict::Stored | Verdict::Refused => {
            SendError::Refused { why, code: Some(format!("{reason:04X}")), response: body }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_instance_is_looked_up_by_its_name() {
        let body = json!({
            "00081198": { "vr": "SQ", "Value": [
                { "00081155": { "vr": "UI", "Value": ["1.1"] }, "00081197": { "vr": "US", "Value": [49442] } },
                { "00081155": { "vr": "UI", "Value": ["1.2"] }, "00081197": { "vr": "US", "Value": [273] } },
            ] },
            "00081199": { "vr": "SQ", "Value": [
                { "00081155": { "vr": "UI", "Value": ["1.3"] }, "00081196": { "vr": "US", "Value": [45056] } },
            ] },
        });
        let body = body.to_string();
        let of = |name| told(body.as_bytes(), name);
        assert_eq!(of("1.1"), Told::Failed(49442));
        assert_eq!(of("1.2"), Told::There);
        assert_eq!(of("1.3"), Told::Stored(Some(45056)));
        assert_eq!(of("1.4"), Told::Unnamed);
        assert_eq!(told(b"<xml/>", "1.1"), Told::Unnamed);
    }

    #[test]
    fn a_reason_permits_what_its_group_says() {
        let failed = |reason| failed(StatusCode::CONFLICT, &Told::Failed(reason), None);
        assert!(matches!(failed(0xA700), SendError::NotDelivered { .. }));
        assert!(matches!(failed(0xC122), SendError::Refused { .. }));
        assert!(matches!(failed(0x0122), SendError::Refused { .. }));
        let by_status = |status| super::failed(status, &Told::Unnamed, None);
        assert!(matches!(by_status(StatusCode::SERVICE_UNAVAILABLE), SendError::NotDelivered { .. }));
        assert!(matches!(by_status(StatusCode::BAD_REQUEST), SendError::Refused { .. }));
        assert!(matches!(by_status(StatusCode::BAD_GATEWAY), SendError::Unknown { .. }));
    }
}
