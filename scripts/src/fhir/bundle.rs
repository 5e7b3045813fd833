//! The finished Bundle: its entries, and what of the message did not get into it.

use std::collections::BTreeSet;

use formats::hl7::Place;
use rhai::{Array, Dynamic, ImmutableString, Map};

use super::{
    Draft, Element,
    draft::{Entry, Method},
};
use crate::{functions::Outcome, handle::Segment};

/// Segments whose first field only counts them.
const COUNTED: &[&str] = &[
    "PID", "PV1", "OBR", "OBX", "NTE", "NK1", "AL1", "DG1", "IN1", "GT1", "SPM", "TQ1", "PR1", "TXA", "ROL",
    "PRT", "FT1",
];

/// The extension of Bundle.meta that lists the places whose content has no place in the resources.
const NOT_MAPPED: &str = "urn:relais:not-mapped";

/// The extension of Bundle.meta for what could not be read.
const NOTE: &str = "urn:relais:note";

impl Draft {
    /// Everything as one transaction.
    pub(crate) fn transaction(&self) -> Outcome<Map> {
        let entries = self.lock().entries.clone();
        self.as_transaction(entries)
    }

    /// As [`Draft::transaction`], and nothing is left here: resources are moved, not copied.
    pub(crate) fn take_transaction(&self) -> Outcome<Map> {
        let mut work = self.lock();
        work.forget_places();
        let entries = std::mem::take(&mut work.entries);
        drop(work);
        self.as_transaction(entries)
    }

    fn as_transaction(&self, entries: Vec<Entry>) -> Outcome<Map> {
        let entries = Self::entries(entries, |entry| {
            let request = Element::default();
            let kind = kind(&entry.resource);
            match entry.method {
                Method::Create => request
                    .with("method", "POST")
                    .with("url", kind)
                    .with("ifNoneExist", entry.condition.clone()),
                Method::Update => {
                    request.with("method", "PUT").with("url", format!("{kind}?{}", entry.condition))
                }
            }
        });
        self.finish("transaction", entries)
    }

    /// Everything as one message: its header first.
    pub(crate) fn message(&self, header: Map) -> Outcome<Map> {
        let entries = self.lock().entries.clone();
        let mut entries = Self::entries(entries, |_| Element::default());
        let address = super::identity::urn(["MessageHeader", self.message.clone().text().as_str()]);
        let header = pruned(Dynamic::from_map(header)).unwrap_or_default();
        let first = Element::default().with("fullUrl", address).with("resource", header);
        entries.insert(0, first.map().map_or(Dynamic::UNIT, Dynamic::from_map));
        self.finish("message", entries)
    }

    fn entries(entries: Vec<Entry>, request: impl Fn(&Entry) -> Element) -> Array {
        let entry = |entry: Entry| {
            let request = request(&entry);
            let element = Element::default().with("fullUrl", entry.address);
            let element = element.with("resource", entry.resource).with("request", request);
            element.map().map_or(Dynamic::UNIT, Dynamic::from_map)
        };
        entries.into_iter().map(entry).collect()
    }

    fn finish(&self, kind: &str, entries: Array) -> Outcome<Map> {
        let mut lost = Vec::new();
        let unread = self.not_mapped()?;
        for (url, text) in unread.into_iter().map(|place| (NOT_MAPPED, place)).chain(self.noted()) {
            lost.push(Element::default().with("url", url).with("valueString", text));
        }
        let header = self.message.clone().segments(Some("MSH")).into_iter().next().unwrap_or_default();
        let header = header.cast::<Segment>();
        let read = |number: u16| {
            self.read(&header, Place::field(number), |sight, _| sight.parts().text(1).into_owned())
        };
        let identifier =
            Element::default().with("system", self.site.sender_authority()).with("value", read(10)?);
        let bundle = Element::of("Bundle")
            .with("type", kind)
            .with("timestamp", super::instant(&read(7)?, &self.site.zone))
            .with("identifier", identifier)
            .with("meta", Element::default().with("extension", lost));
        let mut bundle = bundle.map().unwrap_or_default();
        if !entries.is_empty() {
            bundle.insert("entry".into(), Dynamic::from_array(entries));
        }
        Ok(bundle)
    }

    fn noted(&self) -> Vec<(&'static str, String)> {
        self.lock().notes.iter().map(|note| (NOTE, note.clone())).collect()
    }

    /// The fields that hold something and were never read, each once: `PID-26`, `ZBE-9`.
    pub(crate) fn not_mapped(&self) -> Outcome<Vec<String>> {
        let mut names = BTreeSet::new();
        let segments = self.message.clone().segments(None);
        for (at, segment) in segments.into_iter().enumerate() {
            let read = self.lock().read.get(at).copied().unwrap_or_default();
            segment.cast::<Segment>().look(|message, index| {
                let text = message.segment_text(index).unwrap_or_default();
                let mut fields = text.split(char::from(message.delimiters().field));
                let name = fields.next().unwrap_or_default();
                if matches!(name, "MSH" | "SFT" | "UAC" | "") {
                    return;
                }
                for (number, field) in (1_u32..).zip(fields) {
                    let is_count = number == 1 && COUNTED.contains(&name);
                    let is_read = number < 128 && read & (1 << number) != 0;
                    if !is_count && !is_read && holds_something(field) {
                        names.insert((name.to_owned(), number));
                    }
                }
            })?;
        }
        Ok(names.into_iter().map(|(name, number)| format!("{name}-{number}")).collect())
    }
}

/// Whether a field holds more than delimiters and the HL7 null.
fn holds_something(field: &str) -> bool {
    field.chars().any(char::is_alphanumeric)
}

fn kind(resource: &Dynamic) -> ImmutableString {
    let map = resource.read_lock::<Map>();
    map.and_then(|map| super::text_at(&map, "resourceType")).unwrap_or_default()
}

/// A value without what is empty in it: nothing, empty text, empty lists and maps. FHIR has none of them.
pub(super) fn pruned(mut value: Dynamic) -> Option<Dynamic> {
    keeps(&mut value).then_some(value)
}

/// Takes what is empty out of a value; whether anything is left of it.
fn keeps(value: &mut Dynamic) -> bool {
    if let Some(mut list) = value.write_lock::<Array>() {
        list.retain_mut(keeps);
        return !list.is_empty();
    }
    if let Some(mut map) = value.write_lock::<Map>() {
        map.retain(|_, item| keeps(item));
        return !map.is_empty();
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return !text.is_empty();
    }
    !value.is_unit()
}
