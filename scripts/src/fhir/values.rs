//! The value of an OBX, as its type says.

use std::borrow::Cow;

use formats::hl7::Place;
use rhai::{Array, Dynamic, Map};

use super::{Draft, Element, Parts, Sight, Site, quantities};
use crate::{functions::Outcome, handle::Segment};

const ATTACHMENT: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value";
const OBX_5: Place = Place::field(5);

impl Draft {
    /// The members that hold the value: one `value…`, or a component for each of several repetitions; none where there is none.
    /// What is not what it says it is stays as text, and is noted.
    pub(super) fn values(
        &self,
        obx: &Segment,
        code: &Map,
        unit: Option<&Map>,
        has_report: bool,
    ) -> Outcome<Map> {
        let kind = self.text(obx, 2)?;
        let found = match kind.as_str() {
            "ST" | "TX" | "FT" | "" => self.read(obx, OBX_5, lines)?,
            "ED" | "RP" => self.read(obx, OBX_5, |sight, site| documents(sight, site, &kind, has_report))?,
            _ => {
                let mut values = self.read(obx, OBX_5, |sight, site| {
                    let repetitions = sight.repetitions();
                    repetitions.map(|parts| value(&parts, &kind, unit, site)).collect::<Vec<_>>()
                })?;
                if values.iter().any(|value| value.is_text) && is_typed(&kind) {
                    self.note(format!("OBX-5 is no {kind}"));
                }
                if values.len() > 1 {
                    components(values, code)
                } else {
                    values.pop().map(|value| value.member).unwrap_or_default()
                }
            }
        };
        Ok(found)
    }

    /// The documents of an OBX as Attachments, under the name of the OBX.
    pub(crate) fn documents(&self, obx: &Segment) -> Outcome<Array> {
        let kind = self.text(obx, 2)?;
        if kind != "ED" && kind != "RP" {
            return Ok(Array::new());
        }
        let title = self.read(obx, Place::component(3, 2), |sight, _| sight.parts().whole().into_owned())?;
        self.read(obx, OBX_5, |sight, site| {
            let found = sight.repetitions().filter_map(|parts| attachment(&parts, &kind, site));
            let named = found.map(|mut document| {
                if !title.is_empty() {
                    document.insert("title".into(), title.clone().into());
                }
                Dynamic::from_map(document)
            });
            named.collect()
        })
    }
}

/// One repetition's value.
struct One {
    member: Map,
    is_text: bool,
}

fn one(name: &str, value: Option<Dynamic>) -> Option<One> {
    value.map(|value| One { member: Map::from([(name.into(), value)]), is_text: false })
}

fn map(map: Option<Map>) -> Option<Dynamic> {
    map.map(Dynamic::from_map)
}

/// Whether a type promises more than text.
fn is_typed(kind: &str) -> bool {
    matches!(
        kind,
        "NM" | "SI"
            | "SN"
            | "CE"
            | "CWE"
            | "CNE"
            | "CF"
            | "IS"
            | "ID"
            | "DT"
            | "TS"
            | "DTM"
            | "TM"
            | "DR"
            | "NR"
            | "CQ"
    )
}

fn value(parts: &Parts<'_>, kind: &str, unit: Option<&Map>, site: &Site) -> One {
    let found = match kind {
        "NM" | "SI" => one("valueQuantity", map(super::quantity(&parts.whole(), unit))),
        "SN" => structured(parts, unit),
        "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => {
            one("valueCodeableConcept", map(super::concept(parts, "", site)))
        }
        "DT" | "TS" | "DTM" => {
            one("valueDateTime", super::date_time(&parts.text(1), &site.zone).map(Dynamic::from))
        }
        "TM" => one("valueTime", super::time_of_day(&parts.text(1)).map(Dynamic::from)),
        "DR" => one("valuePeriod", map(super::period(&parts.text(1), &parts.text(2), &site.zone).map())),
        "NR" => one("valueRange", range(&parts.text(1), &parts.text(2), unit)),
        "CQ" => {
            let own = super::unit(&parts.part(2), site);
            one("valueQuantity", map(super::quantity(&parts.text(1), own.as_ref().or(unit))))
        }
        _ => None,
    };
    found.unwrap_or_else(|| {
        let text = parts.whole();
        One { member: Element::default().with("valueString", text).0, is_text: true }
    })
}

/// A structured number (SN): `<^5`, `1^:^128`, `10^-^20`. `1+` and `<>` are said in words: they are no quantities.
fn structured(parts: &Parts<'_>, unit: Option<&Map>) -> Option<One> {
    let [comparator, first, between, second] = [1, 2, 3, 4].map(|at| parts.text(at));
    let compared = format!("{}{first}", comparator.trim_start_matches('='));
    let (low, high) = (super::quantity(&compared, None), super::quantity(&second, None));
    let found = match &*between {
        _ if comparator == "<>" => None,
        "" if second.is_empty() => one("valueQuantity", map(super::quantity(&compared, unit))),
        "-" if comparator.is_empty() || comparator == "=" => one("valueRange", range(&first, &second, unit)),
        ":" | "/" => low.zip(high).and_then(|(low, high)| {
            let ratio = Element::default().with("numerator", Element(low)).with("denominator", Element(high));
            one("valueRatio", map(ratio.map()))
        }),
        _ => None,
    };
    found.or_else(|| {
        let words = [comparator, first, between, second];
        let words: Vec<Cow<'_, str>> = words.into_iter().filter(|word| !word.is_empty()).collect();
        one("valueString", (!words.is_empty()).then(|| words.join(" ").into()))
    })
}

/// A range whose low bound is not above its high one.
fn range(low: &str, high: &str, unit: Option<&Map>) -> Option<Dynamic> {
    if !quantities::is_in_order(low, high) {
        return None;
    }
    let bound = |number: &str| super::quantity(number, unit).map(Element);
    let (low, high) = (bound(low)?, bound(high)?);
    map(Element::default().with("low", low).with("high", high).map())
}

fn components(values: Vec<One>, code: &Map) -> Map {
    let component = |mut value: One| {
        value.member.insert("code".into(), Dynamic::from_map(code.clone()));
        Dynamic::from_map(value.member)
    };
    let components: Array = values.into_iter().map(component).collect();
    Map::from([("component".into(), Dynamic::from_array(components))])
}

/// Repetitions of text are its lines.
fn lines(sight: &Sight<'_>, _: &Site) -> Map {
    let lines: Vec<_> = sight.repetitions().map(|parts| parts.whole()).collect();
    Element::default().with("valueString", lines.join("\n")).0
}

/// Documents: in extensions, without their content where the report holds it.
fn documents(sight: &Sight<'_>, site: &Site, kind: &str, has_report: bool) -> Map {
    let mut extensions = Array::new();
    for parts in sight.repetitions() {
        if let Some(mut document) = attachment(&parts, kind, site) {
            if has_report {
                document.remove("data");
            }
            let extension =
                Element::default().with("url", ATTACHMENT).with("valueAttachment", Element(document));
            extensions.push(Dynamic::from_map(extension.0));
        }
    }
    if extensions.is_empty() {
        return lines(sight, site);
    }
    Map::from([("extension".into(), Dynamic::from_array(extensions))])
}

fn attachment(parts: &Parts<'_>, kind: &str, site: &Site) -> Option<Map> {
    if kind == "ED" { super::attachment(parts, site) } else { super::pointer(parts, site) }
}
