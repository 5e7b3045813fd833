//! What a resource can be found by: its identifiers, names, addresses, codes and references, made of its content alone.

use std::collections::{BTreeMap, BTreeSet};

use engine::Term;
use rusqlite::Connection;
use serde_json::{Value, value::RawValue};

use super::{Fault, resources::Fresh};

/// Ends the value of an identifier: behind it stands its system.
const OF: char = '\u{1f}';

/// Texts longer than this are found by their beginning.
const LONGEST: usize = 200;

pub(super) fn put(connection: &Connection, resource: i64, fresh: &Fresh<'_>) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("INSERT OR IGNORE INTO terms VALUES (?1, ?2)")?;
    for term in of(fresh.kind, fresh.id, fresh.body) {
        statement.execute((term, resource))?;
    }
    Ok(())
}

/// Takes away what the version before was found by.
pub(super) fn take(
    connection: &Connection,
    resource: i64,
    of_whom: (&str, &str),
    body: &[u8],
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("DELETE FROM terms WHERE term = ?1 AND resource = ?2")?;
    for term in of(of_whom.0, of_whom.1, body) {
        statement.execute((term, resource))?;
    }
    Ok(())
}

/// Everything that a resource is found by. Each begins with its type and a letter.
fn of(kind: &str, _id: &str, body: &[u8]) -> BTreeSet<String> {
    let Ok(fields) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(body) else {
        return BTreeSet::new();
    };
    // What nobody searches by, which is most of it, is not taken apart.
    let field = |name: &str| {
        let field = fields.get(name).and_then(|field| serde_json::from_str::<Value>(field.get()).ok());
        field.unwrap_or_default()
    };
    let mut found = BTreeSet::new();
    let mut add = |letter: char, text: &str| {
        let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
        found.insert(format!("{kind}{OF}{letter}{}", &text[..end]));
    };
    for identifier in each(&field("identifier")) {
        if let Some(value) = identifier["value"].as_str() {
            add('i', &format!("{value}{OF}{}", identifier["system"].as_str().unwrap_or_default()));
        }
    }
    for name in each(&field("name")).chain(each(&field("alias"))) {
        texts(name, &mut |text| words(text, &mut |word| add('n', word)));
    }
    for address in each(&field("address")) {
        texts(address, &mut |text| words(text, &mut |word| add('a', word)));
    }
    let (qualifications, concepts) =
        (field("qualification"), ["code", "specialty", "type", "category"].map(field));
    let qualified = each(&qualifications).map(|one| &one["code"]);
    for coding in concepts.iter().flat_map(each).chain(qualified).flat_map(|concept| each(&concept["coding"]))
    {
        if let Some(code) = coding["code"].as_str() {
            add('r', code);
        }
    }
    for name in ["practitioner", "organization", "partOf", "providedBy", "owner"] {
        if let Some(reference) = field(name)["reference"].as_str() {
            add('o', local(reference));
        }
    }
    found
}

/// A condition on the terms, and what it compares with: exactly, or from a beginning on.
pub(super) enum Wanted {
    Exactly(String),
    Beginning(String),
}

/// What a search looks for among the terms; several where a name has several words. `None`: it is no term.
pub(super) fn wanted(kind: &str, term: &Term) -> Option<Vec<Wanted>> {
    let of = |letter: char, text: &str| format!("{kind}{OF}{letter}{text}");
    let beginnings = |letter: char, text: &str| {
        let mut all = Vec::new();
        words(text, &mut |word| all.push(Wanted::Beginning(of(letter, word))));
        all
    };
    Some(match term {
        Term::Id(_) => return None,
        Term::Identifier { system: Some(system), value } => {
            vec![Wanted::Exactly(of('i', &format!("{value}{OF}{system}")))]
        }
        Term::Identifier { system: None, value } => vec![Wanted::Beginning(of('i', &format!("{value}{OF}")))],
        Term::Name(text) => beginnings('n', text),
        Term::Address(text) => beginnings('a', text),
        Term::Role(code) => vec![Wanted::Exactly(of('r', code))],
        Term::Refers(reference) => vec![Wanted::Exactly(of('o', local(reference)))],
    })
}

/// A reference without the server before it.
fn local(reference: &str) -> &str {
    let mut slashes = reference.rmatch_indices('/').map(|(at, _)| at);
    slashes.nth(1).map_or(reference, |at| &reference[at + 1..])
}

fn each(value: &Value) -> std::slice::Iter<'_, Value> {
    match value {
        Value::Array(all) => all.iter(),
        Value::Null => [].iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

/// Every text of a name or an address, those of its extensions too: an address may have no other.
fn texts(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(all) => all.iter().for_each(|one| texts(one, each)),
        Value::Object(fields) => {
            let told = fields
                .iter()
                .filter(|(name, _)| !["use", "type", "url", "system", "period"].contains(&name.as_str()));
            told.for_each(|(_, field)| texts(field, each));
        }
        _ => {}
    }
}

/// The words of a text, without case and accents.
fn words(text: &str, each: &mut impl FnMut(&str)) {
    let folded: String = text.chars().flat_map(char::to_lowercase).flat_map(unaccented).collect();
    for word in folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        each(word);
    }
}

fn unaccented(letter: char) -> impl Iterator<Item = char> {
    let (first, second) = match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => ('a', None),
        'ç' => ('c', None),
        'è' | 'é' | 'ê' | 'ë' => ('e', None),
        'ì' | 'í' | 'î' | 'ï' => ('i', None),
        'ñ' => ('n', None),
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => ('o', None),
        'ù' | 'ú' | 'û' | 'ü' => ('u', None),
        'ý' | 'ÿ' => ('y', None),
        'œ' => ('o', Some('e')),
        'æ' => ('a', Some('e')),
        'ß' => ('s', Some('s')),
        // Accents that stand behind their letter.
        '\u{300}'..='\u{36f}' => return None.into_iter().chain(None),
        other => (other, None),
    };
    Some(first).into_iter().chain(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_found_by_what_it_says_of_itself() {
        let resource = serde_json::json!({
            "identifier": [{ "system": "https://rpps.esante.gouv.fr", "value": "19990000010" }],
            "name": [{ "use": "usual", "family": "DUPONT-ŒUVRÉ", "given": ["Zoé"] }],
            "address": [{ "_line": [{ "extension": [{ "url": "x", "valueString": "DE L'ÉGLISE" }] }], "city": "VILLE-FICTIVE" }],
            "qualification": [{ "code": { "coding": [{ "code": "10" }] } }],
            "organization": { "reference": "https://h/fhir/v2/Organization/001-01-1" },
        });
        let found = of("P", "1", resource.to_string().as_bytes());
        for term in [
            "i19990000010\u{1f}https://rpps.esante.gouv.fr",
            "nzoe",
            "ndupont",
            "noeuvre",
            "aeglise",
            "afictive",
            "r10",
            "oOrganization/001-01-1",
        ] {
            assert!(found.contains(&format!("P\u{1f}{term}")), "{term}: {found:?}");
        }
        assert!(!found.iter().any(|term| term.contains("usual") || term.ends_with("ax")), "{found:?}");
    }
}
