//! Numbers and their owners (CX, EI), and the identity of what a message says.

use std::borrow::Cow;

use rhai::{Array, Dynamic, Map};
use sha2::{Digest, Sha256};

use super::{Element, Parts, Site};

const TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
const FRENCH_TYPES: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203";

/// The French national identity: its OIDs (the last three are those of tests and demonstrations), and its type.
const FRENCH: &[(&str, &str)] = &[
    ("urn:oid:1.2.250.1.213.1.4.8", "INS-NIR"),
    ("urn:oid:1.2.250.1.213.1.4.9", "INS-NIA"),
    ("urn:oid:1.2.250.1.213.1.4.2", "INS-C"),
    ("urn:oid:1.2.250.1.213.1.4.10", "INS-NIR"),
    ("urn:oid:1.2.250.1.213.1.4.11", "INS-NIR"),
];

/// Types whose numbers a state or an insurance gives: never the sender.
const NOT_OURS: &[&str] = &[
    "SS", "SSN", "NH", "PPN", "DL", "TAX", "INS", "INS-C", "INS-NIR", "INS-NIA", "NPI", "MC", "MA", "BC",
    "CZ", "SB",
];

/// A number with its owner, type and period (CX).
pub(crate) fn identifier(cx: &Parts<'_>, site: &Site) -> Option<Map> {
    let value = cx.text(1);
    if value.is_empty() {
        return None;
    }
    let kind = cx.text(5);
    let system = owner(&[cx.part(4), cx.part(6)], &kind, site);
    let period = super::period(&cx.text(7), &cx.text(8), &site.zone);
    let french = FRENCH.iter().find(|(oid, _)| *oid == system).map(|(_, kind)| *kind);
    let coding = match french {
        Some(kind) => Element::default().with("system", FRENCH_TYPES).with("code", kind),
        None => typed(&kind),
    };
    let assigner = Element::default().with("display", cx.part(6).text(1));
    Element::default()
        .with("use", if french.is_some_and(|kind| kind != "INS-C") { "official" } else { "" })
        .with("type", Element::default().with("coding", coding.map().map(|coding| vec![Element(coding)])))
        .with("system", system)
        .with("value", value)
        .with("period", period)
        .with("assigner", assigner)
        .map()
}

fn typed(kind: &str) -> Element {
    let kind = super::parts::code(kind.into());
    if kind.is_empty() {
        Element::default()
    } else {
        Element::default().with("system", TYPES).with("code", kind)
    }
}

/// Who gave a number: the first that is named, else the sender where a number of this type is the sender's.
fn owner(named: &[Parts<'_>], kind: &str, site: &Site) -> String {
    let mut known = named.iter().map(|hd| site.authority(hd));
    known
        .find(|system| !system.is_empty())
        .unwrap_or_else(|| if NOT_OURS.contains(&kind) { String::new() } else { site.sender_authority() })
}

/// The number of an order or a specimen (EI) with the type it has there: `PLAC`, `FILL`.
pub(crate) fn order_number(ei: &Parts<'_>, kind: &str, site: &Site) -> Option<Map> {
    let value = ei.text(1);
    if value.is_empty() {
        return None;
    }
    let authority = site.authority(&ei.from(2));
    let system = if authority.is_empty() { site.sender_authority() } else { authority };
    let coding = typed(kind).map().map(|coding| vec![Element(coding)]);
    Element::default()
        .with("type", Element::default().with("coding", coding))
        .with("system", system)
        .with("value", value)
        .map()
}

/// A number of a person or an organization, with the owner at `authority` and the type.
pub(super) fn number(value: Cow<'_, str>, authority: &Parts<'_>, kind: &str, site: &Site) -> Option<Map> {
    if value.is_empty() {
        return None;
    }
    let coding = typed(kind).map().map(|coding| vec![Element(coding)]);
    Element::default()
        .with("type", Element::default().with("coding", coding))
        .with("system", owner(&[*authority], kind, site))
        .with("value", value)
        .map()
}

/// An identity made of texts: the same texts, the same identity, everywhere and for ever.
pub(crate) fn key<'t>(texts: impl IntoIterator<Item = &'t str>) -> Map {
    Element::default().with("system", "urn:ietf:rfc:3986").with("value", urn(texts)).map().unwrap_or_default()
}

/// As `key`, of a list of texts, numbers, identifiers and lists of these.
pub(crate) fn key_of(list: &Dynamic) -> Map {
    let mut texts = Vec::new();
    flatten(list, &mut texts);
    key(texts.iter().map(String::as_str))
}

/// The texts that an identity is made of; of an identifier its system and value.
pub(super) fn flatten(item: &Dynamic, texts: &mut Vec<String>) {
    if let Some(list) = item.read_lock::<Array>() {
        list.iter().for_each(|item| flatten(item, texts));
    } else if let Some(map) = item.read_lock::<Map>() {
        let text = |member| map.get(member).map_or_else(String::new, ToString::to_string);
        texts.extend([text("system"), text("value")]);
    } else if item.is_unit() {
        texts.push(String::new());
    } else {
        texts.push(item.to_string());
    }
}

/// `urn:uuid:…`, of version 8: the first bits of a SHA-256.
pub(super) fn urn<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let mut bytes: [u8; 16] = hash.finalize()[..16].try_into().expect("a SHA-256 has 32 bytes");
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut urn = String::with_capacity(45);
    urn.push_str("urn:uuid:");
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            urn.push('-');
        }
        urn.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
    }
    urn
}
