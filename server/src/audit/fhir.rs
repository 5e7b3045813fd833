//! The audit log as FHIR R4 `AuditEvent`s, for the systems that gather those of a hospital.

use serde_json::{Value, json};

use super::Entry;

const TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";

/// What stands around the entries of a bundle, and between two of them.
pub(super) const BUNDLE: [&str; 3] =
    ["{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[\n", ",\n", "\n]}\n"];

/// One entry of a bundle; `hash` is that of its line.
pub(super) fn entry(of: &Entry, hash: &str) -> Value {
    let id = id_of(hash);
    json!({ "fullUrl": format!("urn:uuid:{id}"), "resource": event(of, &id) })
}

/// The same for the same line, however often it is exported.
fn id_of(hash: &str) -> String {
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

fn event(entry: &Entry, id: &str) -> Value {
    let (code, display, system) = kind(&entry.what);
    let mut agent = json!({ "who": { "display": entry.who }, "requestor": true });
    if let Some(from) = &entry.from {
        agent["network"] = json!({ "address": from, "type": "2" });
    }
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": id,
        "type": { "system": system, "code": code, "display": display },
        "subtype": [{ "system": "urn:relais:deed", "code": entry.what }],
        "action": action(&entry.what),
        "recorded": entry.at,
        "outcome": outcome(entry.status),
        "outcomeDesc": format!("HTTP {}", entry.status),
        "agent": [agent],
        "source": { "observer": { "display": "Relais" } },
    });
    if !entry.subject.is_empty() {
        event["entity"] = json!([{ "name": entry.subject }]);
    }
    event
}

fn kind(what: &str) -> (&'static str, &'static str, &'static str) {
    match what {
        "sign in" | "sign out" | "choose a password" => ("110114", "User Authentication", DICOM),
        "see content" | "see reasons" | "search by content" | "search in contents" => {
            ("110110", "Patient Record", DICOM)
        }
        _ => ("rest", "RESTful Operation", TYPES),
    }
}

fn action(what: &str) -> &'static str {
    match what.split(' ').next().unwrap_or_default() {
        "see" | "search" => "R",
        "make" => "C",
        "change" => "U",
        "remove" | "revoke" | "drop" => "D",
        _ => "E",
    }
}

fn outcome(status: u16) -> &'static str {
    match status {
        0..400 => "0",
        400..500 => "4",
        _ => "8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_an_event() {
        let line = Entry {
            number: 1,
            at: "2026-03-01T08:00:00Z".to_owned(),
            who: "ada".to_owned(),
            from: Some("10.0.0.1".to_owned()),
            what: "see content".to_owned(),
            subject: "message 7".to_owned(),
            status: 200,
            before: "0".repeat(64),
        };
        let hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let refused = Entry { status: 403, subject: String::new(), ..line.clone() };
        let bundle = json!({ "entry": [entry(&line, hash), entry(&refused, hash)] });
        let first = &bundle["entry"][0];
        assert_eq!(first["fullUrl"], "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
        assert_eq!(first["resource"]["action"], "R");
        assert_eq!(first["resource"]["entity"][0]["name"], "message 7");
        assert_eq!(bundle["entry"][1]["resource"]["outcome"], "4");
        assert!(bundle["entry"][1]["resource"].get("entity").is_none());
    }
}
