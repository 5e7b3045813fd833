//! What an OBX says, as an Observation. It is native because a message has it many times.

use std::{borrow::Cow, collections::HashMap};

use formats::hl7::Place;
use rhai::{Array, Dynamic, Map};

use super::{Draft, Element, Method, Party, identity};
use crate::{
    functions::{Outcome, broke},
    handle::Segment,
};

const ANALYSED: &str = "http://hl7.org/fhir/StructureDefinition/observation-analysis-date-time";
const PART: &str = "http://hl7.org/fhir/StructureDefinition/observation-v2-subid";
const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";

impl Draft {
    /// Adds an Observation for each OBX, as `about` says of whom and of what order they are. Gives of each the reference, and the
    /// code and sub-id that others name it by.
    ///
    /// The identity is the order's `key` with code and sub-id; those that are alike in both are told apart by their order.
    pub(crate) fn results(&self, results: &[Dynamic], about: &Map) -> Outcome<Array> {
        let has_report = about.get("report").is_some_and(|flag| flag.as_bool() == Ok(true));
        let mut key = Vec::new();
        identity::flatten(about.get("key").unwrap_or(&Dynamic::UNIT), &mut key);
        let mut alike: HashMap<[String; 3], usize> = HashMap::new();
        let mut all = Array::new();
        for obx in results {
            let Some(obx) = obx.read_lock::<Segment>() else { return broke("a result is a segment") };
            let names = self.read(&obx, Place::field(3), |sight, _| {
                let parts = sight.parts();
                [parts.text(1), parts.text(2), parts.text(4)].map(Cow::into_owned)
            })?;
            let part = self.text(&obx, 4)?;
            let [code, shown, alternate] = names;
            // What it is called makes the identity only where it has no code: names change, codes do not.
            let test = if code.is_empty() && alternate.is_empty() { shown } else { code.clone() };
            let own = [test, alternate, part];
            let number = *alike.entry(own.clone()).and_modify(|number| *number += 1).or_insert(1);
            let [test, alternate, part] = own;
            let own = ["OBX", &test, &alternate, &part, &number.to_string()];
            let identity = identity::key(key.iter().map(String::as_str).chain(own));
            let mut observation = self.observation(&obx, has_report)?;
            placed(&mut observation, about);
            let reference = Element(self.put(Method::Update, observation, &identity)?);
            let result = Element::default().with("reference", reference);
            let mut result = result.with("code", code).0;
            result.insert("part".into(), part.into());
            all.push(Dynamic::from_map(result));
        }
        Ok(all)
    }

    /// Everything that an OBX and its comments say themselves. `has_report`: the report holds the documents.
    pub(crate) fn observation(&self, obx: &Segment, has_report: bool) -> Outcome<Map> {
        let code = self.observed(obx)?;
        let status = self.text(obx, 11)?;
        let comments: Array = self.comments(obx)?.into_iter().map(Dynamic::from_map).collect();
        let mut observation = Element::of("Observation")
            .with("status", status_of(&status))
            .with("code", Element(code.clone()))
            .with("effectiveDateTime", self.moment(obx, 14)?)
            .with("performer", list(self.performers(obx)?))
            .with("interpretation", list(self.concepts(obx, 8, "HL70078")?))
            .with("bodySite", self.concept(obx, 20, "HL70163")?.map(Element))
            .with("method", self.concept(obx, 17, "")?.map(Element))
            .with("device", self.device(obx)?)
            .with("note", list(comments))
            .with("identifier", list(self.order_numbers(obx, 21, "FILL")?))
            .0;
        let unit = self.unit(obx)?;
        let found = self.values(obx, &code, unit.as_ref(), has_report)?;
        let mut extensions = self.observation_extensions(obx)?;
        if found.is_empty() {
            observation.insert("dataAbsentReason".into(), Dynamic::from_map(absent(&status)));
        }
        for (name, value) in found {
            match value.try_cast_result::<Array>() {
                Ok(more) if name == "extension" => extensions.extend(more),
                Ok(components) => drop(observation.insert(name, Dynamic::from_array(components))),
                Err(value) => drop(observation.insert(name, value)),
            }
        }
        let ranges = self.ranges(obx, unit.as_ref())?;
        for (name, list) in [("referenceRange", ranges), ("extension", extensions)] {
            if !list.is_empty() {
                observation.insert(name.into(), Dynamic::from_array(list));
            }
        }
        Ok(observation)
    }

    /// OBX-3; a code is required.
    fn observed(&self, obx: &Segment) -> Outcome<Map> {
        if let Some(code) = self.concept(obx, 3, "")? {
            return Ok(code);
        }
        self.note("OBX-3 is empty".to_owned());
        Ok(Element::default().with("text", "unknown").0)
    }

    pub(super) fn concept(&self, segment: &Segment, field: u16, table: &str) -> Outcome<Option<Map>> {
        self.read(segment, Place::field(field), |sight, site| super::concept(&sight.parts(), table, site))
    }

    fn concepts(&self, segment: &Segment, field: u16, table: &str) -> Outcome<Array> {
        self.read(segment, Place::field(field), |sight, site| {
            let found = sight.repetitions().filter_map(|parts| super::concept(&parts, table, site));
            found.map(Dynamic::from_map).collect()
        })
    }

    fn order_numbers(&self, segment: &Segment, field: u16, kind: &str) -> Outcome<Array> {
        self.read(segment, Place::field(field), |sight, site| {
            super::order_number(&sight.parts(), kind, site).into_iter().map(Dynamic::from_map).collect()
        })
    }

    /// A time; a note where there is text and no time.
    fn moment(&self, segment: &Segment, field: u16) -> Outcome<String> {
        let (text, name) = self.read(segment, Place::field(field), |sight, _| {
            let text = sight.parts().text(1).into_owned();
            let name = if text.is_empty() { String::new() } else { sight.name() };
            (text, name)
        })?;
        if text.is_empty() {
            return Ok(text);
        }
        let known = self.lock().times.get(&text).cloned();
        let time = known.unwrap_or_else(|| {
            let time = super::date_time(&text, &self.site.zone);
            self.lock().times.insert(text, time.clone());
            time
        });
        if time.is_none() {
            self.note(format!("{name} is not the date or time it should be"));
        }
        Ok(time.unwrap_or_default())
    }

    pub(super) fn unit(&self, obx: &Segment) -> Outcome<Option<Map>> {
        self.read(obx, Place::field(6), |sight, site| super::unit(&sight.parts(), site))
    }

    fn ranges(&self, obx: &Segment, unit: Option<&Map>) -> Outcome<Array> {
        self.read(obx, Place::field(7), |sight, _| {
            let found = sight.repetitions().filter_map(|parts| super::reference_range(&parts.whole(), unit));
            found.map(Dynamic::from_map).collect()
        })
    }

    /// Who observed (OBX-16), for whom (OBX-23) and under whom (OBX-25); else who produced (OBX-15).
    fn performers(&self, obx: &Segment) -> Outcome<Array> {
        let mut all = self.references(obx, Place::field(16), Party::Person)?;
        all.extend(self.references(obx, Place::field(23), Party::Organization)?);
        all.extend(self.references(obx, Place::field(25), Party::Person)?);
        let producer =
            self.read(obx, Place::field(15), |sight, _| sight.parts().first_of(&[9, 2, 1, 5]).into_owned())?;
        if all.is_empty() && !producer.is_empty() {
            all.push(Dynamic::from_map(Element::default().with("display", producer).0));
        }
        Ok(all)
    }

    fn device(&self, obx: &Segment) -> Outcome<Option<Element>> {
        self.read(obx, Place::field(18), |sight, site| {
            let number = super::order_number(&sight.parts(), "", site)?;
            let shown = number.get("value").cloned().unwrap_or_default();
            Some(Element::default().with("identifier", Element(number)).with("display", shown))
        })
    }

    /// When it was analysed (OBX-19), and which part of a result it is (OBX-4).
    fn observation_extensions(&self, obx: &Segment) -> Outcome<Array> {
        let mut all = Array::new();
        let analysed = self.moment(obx, 19)?;
        if !analysed.is_empty() {
            let extension = Element::default().with("url", ANALYSED).with("valueDateTime", analysed);
            all.push(Dynamic::from_map(extension.0));
        }
        let part = self.text(obx, 4)?;
        if !part.is_empty() {
            let original =
                Element::default().with("url", "original-sub-identifier").with("valueString", part);
            let extension = Element::default().with("url", PART).with("extension", vec![original]);
            all.push(Dynamic::from_map(extension.0));
        }
        Ok(all)
    }
}

/// Says of an Observation what its order says. OBX-14 goes before the time of the order.
fn placed(observation: &mut Map, about: &Map) {
    for member in ["category", "subject", "encounter", "issued", "specimen"] {
        if let Some(value) = about.get(member).filter(|value| !value.is_unit()) {
            observation.insert(member.into(), value.clone());
        }
    }
    if let Some(request) = about.get("request").filter(|request| !request.is_unit()) {
        observation.insert("basedOn".into(), Dynamic::from_array(vec![request.clone()]));
    }
    let time = about.get("effective").and_then(Dynamic::read_lock::<Map>);
    if let Some(time) = time.filter(|_| !observation.contains_key("effectiveDateTime")) {
        observation.extend(time.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

fn list(items: Array) -> Option<Dynamic> {
    (!items.is_empty()).then(|| Dynamic::from_array(items))
}

/// A status is required: what HL7 has and FHIR has not is said as nearly as can be.
fn status_of(code: &str) -> &'static str {
    match code {
        "F" | "U" | "V" => "final",
        "P" | "R" | "S" => "preliminary",
        "C" => "corrected",
        "A" | "B" => "amended",
        "X" | "N" => "cancelled",
        "D" | "W" => "entered-in-error",
        "I" | "O" => "registered",
        _ => "unknown",
    }
}

fn absent(status: &str) -> Map {
    let code = match status {
        "X" => "not-performed",
        "N" => "not-asked",
        "I" | "O" => "temp-unknown",
        _ => "unknown",
    };
    let coding = Element::default().with("system", ABSENT).with("code", code);
    Element::default().with("coding", vec![coding]).0
}
