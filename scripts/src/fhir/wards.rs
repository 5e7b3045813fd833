//! Where patients are (PL), from the site down to the bed.

use formats::hl7::Place;
use rhai::{Dynamic, Map};

use super::{Draft, Element, Method, identity};
use crate::{functions::Outcome, handle::Segment};

const PHYSICAL: &str = "http://terminology.hl7.org/CodeSystem/location-physical-type";

/// The levels of a place, the widest first: component, code, name.
const LEVELS: [(usize, &str, &str); 6] = [
    (4, "si", "Site"),
    (7, "bu", "Building"),
    (8, "lvl", "Level"),
    (1, "wa", "Ward"),
    (2, "ro", "Room"),
    (3, "bd", "Bed"),
];

impl Draft {
    /// Adds the places that a PL names, each a part of the one above it. Gives a reference to the narrowest.
    pub(crate) fn location(&self, segment: &Segment, field: Place) -> Outcome<Option<Map>> {
        let (names, described) = self.read(segment, field, |sight, _| {
            let parts = sight.parts();
            let name = |(component, code, level)| (parts.part(component).text(1).into_owned(), code, level);
            (LEVELS.map(name), parts.text(9).into_owned())
        })?;
        let owner = self.site.places();
        let mut path = vec!["Location".to_owned(), owner.clone()];
        let mut above: Option<Map> = None;
        let mut shown = String::new();
        for (name, code, level) in names.into_iter().filter(|(name, ..)| !name.is_empty()) {
            path.push(format!("{code}{name}"));
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.push_str(&name);
            let kind = Element::default().with("system", PHYSICAL).with("code", code).with("display", level);
            let number = Element::default().with("system", owner.as_str()).with("value", shown.as_str());
            let place = Element::of("Location")
                .with("identifier", vec![number])
                .with("name", name)
                .with("mode", "instance")
                .with("physicalType", Element::default().with("coding", vec![kind]))
                .with("description", described.as_str())
                .with("partOf", above.take().map(Element));
            above =
                Some(self.put(Method::Create, place.0, &identity::key(path.iter().map(String::as_str)))?);
        }
        Ok(above.map(|mut place| {
            place.insert("display".into(), Dynamic::from(shown));
            place
        }))
    }
}
