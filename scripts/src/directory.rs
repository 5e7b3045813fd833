//! The directory as tables: `directory/Practitioner` has a row for each practitioner, with columns made of the resource.

use engine::{Presence, Resource, Search, Term};
use serde_json::Value;

/// What the names of such tables begin with.
const BEFORE: &str = "directory/";

const RPPS: &str = "https://rpps.esante.gouv.fr";
const FINESS: &str = "https://finess.esante.gouv.fr";

/// The columns by which a row is found.
pub(crate) const KEYS: [&str; 9] =
    ["id", "identifier", "rpps", "finess", "name", "city", "role", "organization", "practitioner"];

/// The columns that a row has.
pub(crate) const COLUMNS: [&str; 19] = [
    "id",
    "identifier",
    "rpps",
    "finess",
    "name",
    "family",
    "given",
    "prefix",
    "active",
    "mailbox",
    "profession",
    "role",
    "organization",
    "practitioner",
    "city",
    "postal_code",
    "version",
    "updated",
    "resource",
];

/// So many rows are looked at for one that is active.
const LOOKED_AT: usize = 20;

/// The type of a directory's table.
pub(crate) fn kind(table: &str) -> Option<&str> {
    let kind = table.strip_prefix(BEFORE)?;
    let is_type = kind.starts_with(|letter: char| letter.is_ascii_uppercase())
        && kind.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_type.then_some(kind)
}

/// What is looked for where a column holds a key; `None` where rows are not found by that column.
pub(crate) fn search(kind: &str, keys: &[(String, String)]) -> Option<Search> {
    let terms = keys.iter().map(|(column, key)| term(column, key)).collect::<Option<Vec<Term>>>()?;
    Some(Search { kind: kind.to_owned(), terms, limit: LOOKED_AT, ..Search::default() })
}

fn term(column: &str, key: &str) -> Option<Term> {
    let of = |system: &str| Term::Identifier { system: Some(system.to_owned()), value: key.to_owned() };
    let refers =
        |kind: &str| Term::Refers(if key.contains('/') { key.to_owned() } else { format!("{kind}/{key}") });
    Some(match column {
        "id" => Term::Id(key.to_owned()),
        "identifier" => match key.split_once('|') {
            Some((system, value)) => {
                Term::Identifier { system: Some(system.to_owned()), value: value.to_owned() }
            }
            None => Term::Identifier { system: None, value: key.to_owned() },
        },
        "rpps" => of(RPPS),
        "finess" => of(FINESS),
        "name" => Term::Name(key.to_owned()),
        "city" => Term::Address(key.to_owned()),
        "role" => Term::Role(key.to_owned()),
        "organization" => refers("Organization"),
        "practitioner" => refers("Practitioner"),
        _ => return None,
    })
}

/// The row that counts: an active one before the others.
pub(crate) fn chosen(found: &[Resource]) -> Option<&Resource> {
    found.iter().find(|held| held.state == Presence::Active).or(found.first())
}

/// What a row has in a column; `None` where the resource says nothing of it.
pub(crate) fn value(held: &Resource, column: &str) -> Option<String> {
    let resource: Value = serde_json::from_slice(&held.body).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let name = &resource["name"][0];
    let address = &resource["address"][0];
    match column {
        "id" => Some(held.id.clone()),
        "identifier" => text(&resource["identifier"][0]["value"]),
        "rpps" => identifier(&resource, RPPS),
        "finess" => identifier(&resource, FINESS),
        "name" => text(&resource["name"]).or_else(|| text(&name["text"])).or_else(|| text(&name["family"])),
        "family" => text(&name["family"]),
        "given" => Some(words(&name["given"])).filter(|words| !words.is_empty()),
        "prefix" => Some(words(&name["prefix"])).filter(|words| !words.is_empty()),
        "active" => Some((held.state == Presence::Active).to_string()),
        "mailbox" => mailbox(&resource),
        "profession" => coded(&resource["qualification"], |one| &one["code"], "TRE-G15"),
        "role" => {
            coded(&resource["code"], |one| one, "TRE-R21").or_else(|| coded(&resource["code"], |one| one, ""))
        }
        "organization" => reference(&resource["organization"]),
        "practitioner" => reference(&resource["practitioner"]),
        "city" => text(&address["city"]),
        "postal_code" => text(&address["postalCode"]),
        "version" => Some(held.version.to_string()),
        "updated" => Some(jiff::Timestamp::from_millisecond(held.updated).ok()?.to_string()),
        "resource" => String::from_utf8(held.body.to_vec()).ok(),
        _ => None,
    }
}

fn identifier(resource: &Value, system: &str) -> Option<String> {
    let identifiers = resource["identifier"].as_array()?;
    let own = identifiers.iter().find(|identifier| identifier["system"] == system)?;
    own["value"].as_str().map(str::to_owned)
}

/// A secure mailbox before any other.
fn mailbox(resource: &Value) -> Option<String> {
    let mailboxes = resource["telecom"].as_array()?;
    let is_secure = |one: &&Value| {
        let kinds = one["extension"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["valueCoding"]["code"] == "MSSANTE"))
    };
    let email = |one: &&Value| one["system"] == "email";
    let found = mailboxes.iter().find(is_secure).or_else(|| mailboxes.iter().find(email))?;
    found["value"].as_str().map(str::to_owned)
}

fn coded(concepts: &Value, of: impl Fn(&Value) -> &Value, system: &str) -> Option<String> {
    let codings = concepts.as_array()?.iter().filter_map(|one| of(one)["coding"].as_array()).flatten();
    let mut fitting = codings.filter(|coding| coding["system"].as_str().unwrap_or_default().contains(system));
    fitting.next()?["code"].as_str().map(str::to_owned)
}

fn reference(value: &Value) -> Option<String> {
    value["reference"].as_str()?.rsplit('/').next().map(str::to_owned)
}

fn words(all: &Value) -> String {
    let words = all.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<&str>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(resource: &Value, state: Presence) -> Resource {
        let body = resource.to_string().into();
        Resource { kind: "Practitioner".into(), id: "1".into(), version: 3, updated: 0, state, body }
    }

    #[test]
    fn a_row_has_its_columns_and_nothing_else() {
        let resource = serde_json::json!({
            "identifier": [{ "system": "urn:x", "value": "8" }, { "system": RPPS, "value": "19990000010" }],
            "name": [{ "family": "DUPONT", "given": ["Zoé", "Anne"] }],
            "telecom": [{ "system": "email", "value": "a@b" }, { "extension": [{ "valueCoding": { "code": "MSSANTE" } }], "value": "c@d" }],
            "organization": { "reference": "Organization/7" },
        });
        let row = held(&resource, Presence::Active);
        let value = |column: &str| value(&row, column).unwrap_or_default();
        assert_eq!(
            (value("rpps"), value("family"), value("given")),
            ("19990000010".into(), "DUPONT".into(), "Zoé Anne".into())
        );
        assert_eq!(
            (value("mailbox"), value("organization"), value("version")),
            ("c@d".into(), "7".into(), "3".into())
        );
        assert_eq!(
            (value("finess"), value("city"), value("nothing")),
            (String::new(), String::new(), String::new())
        );
    }

    #[test]
    fn an_active_row_goes_before_the_others() {
        let rows = [held(&Value::Null, Presence::Inactive), held(&Value::Null, Presence::Active)];
        assert_eq!(chosen(&rows), Some(&rows[1]));
        assert_eq!(chosen(&rows[..1]), Some(&rows[0]));
        assert_eq!(
            (kind("directory/Practitioner"), kind("directory/x/y"), kind("wards")),
            (Some("Practitioner"), None, None)
        );
    }
}
