//! Names of people and organizations (XPN, XCN, CNN, XON).

use std::borrow::Cow;

use formats::hl7::Place;
use rhai::{Array, Dynamic, Map};

use super::{Draft, Element, Method, Parts, Site, identity};
use crate::{functions::Outcome, handle::Segment};

/// Where the parts of a name stand.
struct Layout {
    family: usize,
    given: usize,
    suffix: usize,
    prefix: usize,
    degree: usize,
    kind: usize,
    start: usize,
    end: usize,
}

const XPN: Layout =
    Layout { family: 1, given: 2, suffix: 4, prefix: 5, degree: 6, kind: 7, start: 12, end: 13 };
const XCN: Layout =
    Layout { family: 2, given: 3, suffix: 5, prefix: 6, degree: 7, kind: 10, start: 19, end: 20 };

/// A person's name (XPN).
pub(crate) fn human_name(xpn: &Parts<'_>, site: &Site) -> Option<Map> {
    name(xpn, &XPN, site).map()
}

fn name(parts: &Parts<'_>, at: &Layout, site: &Site) -> Element {
    let given = vec![parts.text(at.given), parts.text(at.given + 1)];
    let suffix = vec![parts.text(at.suffix), parts.text(at.degree)];
    let family = parts.part(at.family).text(1);
    let name = Element::default()
        .with("family", family)
        .with("given", given)
        .with("prefix", vec![parts.text(at.prefix)])
        .with("suffix", suffix);
    if name.0.is_empty() {
        return name;
    }
    name.with("use", usage(&parts.text(at.kind)))
        .with("period", super::period(&parts.text(at.start), &parts.text(at.end), &site.zone))
}

/// What a name is used for, by its type (table 0200). In France L is the name of birth and D the one in use.
fn usage(kind: &str) -> &'static str {
    match kind {
        "L" | "C" => "official",
        "D" => "usual",
        "M" | "B" => "maiden",
        "N" | "P" => "nickname",
        "T" | "TEMP" => "temp",
        "S" => "anonymous",
        "BAD" => "old",
        _ => "",
    }
}

/// A professional (XCN; CNN where it is a component): a Practitioner, with its number where it has one.
pub(super) fn person(parts: &Parts<'_>, site: &Site) -> Option<(Map, Option<Map>)> {
    if parts.is_empty() {
        return None;
    }
    // A CNN (in OBR-32 to OBR-35) is an XCN until its degree; then its owner stands without subcomponents.
    let cnn = parts.part(1);
    let (parts, authority, kind) = if cnn.has_parts() {
        (cnn, cnn.from(9), cnn.text(11))
    } else {
        (*parts, parts.part(9), parts.text(13))
    };
    let name = name(&parts, &XCN, site);
    let value = if cnn.raw().is_empty() { Cow::Borrowed("") } else { parts.text(1) };
    let number = identity::number(value, &authority, &kind, site);
    let practitioner = Element::of("Practitioner").with("name", vec![name]);
    let practitioner = practitioner.with("identifier", vec![number.clone().map(Element)]);
    Some((practitioner.0, number))
}

/// A name for people to read: `Dr MARIE DUPONT`; the number where there is no name.
pub(crate) fn shown_name(resource: &Map) -> String {
    if let Some(name) = super::text_at(resource, "name") {
        return name.into();
    }
    let names = resource.get("name").and_then(Dynamic::read_lock::<Array>);
    let Some(name) = names.as_ref().and_then(|names| names.first()?.read_lock::<Map>()) else {
        return String::new();
    };
    let list = |member: &str| {
        let list = name.get(member).and_then(Dynamic::read_lock::<Array>);
        let texts = list.iter().flat_map(|list| list.iter());
        texts.filter_map(|item| item.clone().into_immutable_string().ok()).collect::<Vec<_>>()
    };
    let family = super::text_at(&name, "family");
    [list("prefix"), list("given"), family.into_iter().collect()].concat().join(" ")
}

/// An organization (XON), with its number where it has one.
fn organization(xon: &Parts<'_>, site: &Site) -> Option<(Map, Option<Map>)> {
    if xon.is_empty() {
        return None;
    }
    let number = identity::number(xon.first_of(&[10, 3]), &xon.part(6), &xon.text(7), site);
    let organization = Element::of("Organization").with("name", xon.part(1).text(1));
    let organization = organization.with("identifier", vec![number.clone().map(Element)]);
    Some((organization.0, number))
}

/// Who can be named at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    /// XCN.
    Person,
    /// XON.
    Organization,
}

/// One that is named at a place.
enum Named {
    /// As before in this message.
    Known(Option<Map>),
    /// By this text for the first time: the resource, and its number where it has one.
    New(String, (Map, Option<Map>)),
}

impl Party {
    fn named(self, parts: &Parts<'_>, site: &Site) -> Option<(Map, Option<Map>)> {
        match self {
            Self::Person => person(parts, site),
            Self::Organization => organization(parts, site),
        }
    }
}

impl Draft {
    /// References to who is named at a field. One with a number comes into the Bundle; one without is only named, as nobody
    /// knows which of that name it is.
    pub(crate) fn references(&self, segment: &Segment, field: Place, party: Party) -> Outcome<Array> {
        let found: Vec<Named> = self.read(segment, field, |sight, site| {
            let mut work = self.lock();
            let known = work.parties.entry(party).or_default();
            let named = sight.repetitions().filter_map(|parts| match known.get(parts.raw()) {
                Some(before) => Some(Named::Known(before.clone())),
                None => Some(Named::New(parts.raw().to_owned(), party.named(&parts, site)?)),
            });
            named.collect()
        })?;
        let mut references = Array::new();
        for named in found {
            let reference = match named {
                Named::Known(before) => before,
                Named::New(text, made) => {
                    let reference = self.reference(made)?;
                    self.lock().parties.entry(party).or_default().insert(text, reference.clone());
                    reference
                }
            };
            references.extend(reference.map(Dynamic::from_map));
        }
        Ok(references)
    }

    fn reference(&self, (resource, number): (Map, Option<Map>)) -> Outcome<Option<Map>> {
        let kind = resource.get("resourceType").cloned().unwrap_or_default();
        let shown = shown_name(&resource);
        let mut reference = match number {
            Some(number) => self.put(Method::Create, resource, &number)?,
            None if shown.is_empty() => return Ok(None),
            None => Map::from([("type".into(), kind)]),
        };
        if !shown.is_empty() {
            reference.insert("display".into(), shown.into());
        }
        Ok(Some(reference))
    }
}
