//! A Bundle that is being made of a message: its resources, what was read of the message, and what could not be said.

use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use formats::hl7::{Path, Place};
use rhai::{Array, Dynamic, ImmutableString, Map};

use super::{Order, Party, Sight, Site, groups, identity};
use crate::{
    functions::{Outcome, broke},
    handle::{Hl7, Segment},
};

/// A handle on a Bundle in the making; its copies are the same one.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) message: Hl7,
    pub(crate) site: Arc<Site>,
    work: Arc<Mutex<Work>>,
}

#[derive(Default)]
pub(super) struct Work {
    pub(super) entries: Vec<Entry>,
    /// Where each resource stands, by its address in the Bundle.
    places: HashMap<String, usize>,
    pub(super) notes: Vec<String>,
    /// Which fields of which segments were read: a bit for each.
    pub(super) read: Vec<u128>,
    /// The times that were read, by their texts: a laboratory writes the same one behind each result.
    pub(super) times: HashMap<String, Option<String>>,
    /// References to the people and organizations that were named, by the texts that named them, for the same reason.
    pub(super) parties: HashMap<Party, HashMap<String, Option<Map>>>,
}

impl Work {
    /// What was added has left: nothing leads to it any more.
    pub(super) fn forget_places(&mut self) {
        self.places.clear();
        self.parties.clear();
    }
}

/// One resource of the Bundle.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) address: String,
    pub(super) resource: Dynamic,
    pub(super) method: Method,
    /// `identifier=system|value`.
    pub(super) condition: String,
}

/// What a server is to do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Make it unless it is there.
    Create,
    /// Make it, or put it in the place of the one that is there.
    Update,
}

impl Draft {
    pub(crate) fn new(mut message: Hl7, options: Map) -> Self {
        let text = message.message();
        let of =
            |path: &str| Path::parse(path).map(|path| text.get(&path).trim().to_owned()).unwrap_or_default();
        let named = of("MSH-4.1");
        let sender = if named.is_empty() { of("MSH-3.1") } else { named };
        let zone = super::message_zone(&of("MSH-7.1"));
        let site = Arc::new(Site { options, sender, zone });
        let read = vec![0; message.segments(None).len()];
        Self { message, site, work: Arc::new(Mutex::new(Work { read, ..Work::default() })) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a place of a segment, and remembers that its field was read.
    pub(crate) fn read<T>(
        &self,
        segment: &Segment,
        place: Place,
        look: impl FnOnce(&Sight<'_>, &Site) -> T,
    ) -> Outcome<T> {
        segment.look(|message, index| {
            if let Some(read) = self.lock().read.get_mut(index) {
                *read |= 1_u128 << place.field.min(127);
            }
            look(&Sight { message, index, place }, &self.site)
        })
    }

    /// The text of a field.
    pub(super) fn text(&self, segment: &Segment, field: u16) -> Outcome<String> {
        self.read(segment, Place::field(field), |sight, _| sight.parts().whole().into_owned())
    }

    /// Notes what could not be mapped.
    pub(crate) fn note(&self, text: String) {
        let mut work = self.lock();
        if !work.notes.contains(&text) {
            work.notes.push(text);
        }
    }

    /// The first segment of a name; nothing where there is none.
    pub(crate) fn first_segment(&self, name: &str) -> Dynamic {
        self.all(name).into_iter().next().unwrap_or_default()
    }

    /// All segments of a name.
    pub(crate) fn all(&self, name: &str) -> Array {
        self.message.clone().segments(Some(name))
    }

    /// The orders of the message.
    pub(crate) fn orders(&self) -> Vec<Order> {
        groups::orders(&mut self.message.clone())
    }

    /// Adds a resource, which bears its identifier; one that is there already stays as it is. Gives a reference to it.
    pub(crate) fn put(&self, method: Method, resource: Map, identifier: &Map) -> Outcome<Map> {
        let mut resource = resource;
        let text = |map: &Map, member: &str| super::text_at(map, member).unwrap_or_default();
        let kind = text(&resource, "resourceType");
        let (system, value) = (text(identifier, "system"), text(identifier, "value"));
        if kind.is_empty() || value.is_empty() {
            return broke("a resource needs its resourceType, and an identifier with a value");
        }
        let address = identity::urn([kind.as_str(), system.as_str(), value.as_str()]);
        let mut work = self.lock();
        if !work.places.contains_key(&address) {
            name(&mut resource, identifier, &system, &value);
            let condition = format!("identifier={}|{}", escaped(&system), escaped(&value));
            let resource = super::bundle::pruned(Dynamic::from_map(resource)).unwrap_or_default();
            let place = work.entries.len();
            work.places.insert(address.clone(), place);
            work.entries.push(Entry { address: address.clone(), resource, method, condition });
        }
        Ok(reference(&address))
    }

    /// Adds a value to a list of a resource that was added before.
    pub(crate) fn append(&self, to: &Map, member: &str, value: Dynamic) -> Outcome<()> {
        let address = super::text_at(to, "reference").unwrap_or_default();
        let mut work = self.lock();
        let Some(place) = work.places.get(address.as_str()).copied() else {
            return broke("there is no such resource in the Bundle");
        };
        let Some(value) = super::bundle::pruned(value) else { return Ok(()) };
        let Some(mut resource) = work.entries[place].resource.write_lock::<Map>() else {
            return broke("a resource is a map");
        };
        let list = resource.entry(member.into()).or_insert_with(|| Dynamic::from_array(Array::new()));
        let Some(mut list) = list.write_lock::<Array>() else {
            return broke(format!("`{member}` is no list"));
        };
        list.push(value);
        Ok(())
    }

    /// The resources of a type, with where each stands.
    pub(crate) fn resources(&self, kind: &str) -> Vec<(usize, Dynamic)> {
        let work = self.lock();
        let is_wanted = |resource: &Dynamic| {
            let map = resource.read_lock::<Map>();
            map.and_then(|map| super::text_at(&map, "resourceType")).is_some_and(|named| named == kind)
        };
        let found = work.entries.iter().enumerate().filter(|(_, entry)| is_wanted(&entry.resource));
        found.map(|(place, entry)| (place, entry.resource.clone())).collect()
    }

    /// Puts a changed resource in its place.
    pub(crate) fn put_back(&self, place: usize, resource: Dynamic) {
        if let Some(entry) = self.lock().entries.get_mut(place) {
            entry.resource = super::bundle::pruned(resource).unwrap_or_default();
        }
    }
}

pub(crate) fn reference(address: &str) -> Map {
    Map::from([("reference".into(), ImmutableString::from(address).into())])
}

/// Sees to it that a resource bears the identifier it is found by.
fn name(resource: &mut Map, identifier: &Map, system: &str, value: &str) {
    let list = resource.entry("identifier".into()).or_insert_with(|| Dynamic::from_array(Array::new()));
    if list.is_unit() {
        *list = Dynamic::from_array(Array::new());
    }
    let Some(mut list) = list.write_lock::<Array>() else { return };
    let is_same = |known: &Dynamic| {
        known.read_lock::<Map>().is_some_and(|known| {
            let has = |member: &str, wanted: &str| {
                let text = known.get(member).and_then(|value| value.clone().into_immutable_string().ok());
                text.map_or(wanted.is_empty(), |text| text == wanted)
            };
            has("system", system) && has("value", value)
        })
    };
    if !list.iter().any(is_same) {
        list.push(Dynamic::from_map(identifier.clone()));
    }
}

/// Text in a search: what separates values in it is marked, what separates parts of an address is encoded.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ',' | '$' | '|' | '\\' => safe.extend(['\\', character]),
            ' ' | '&' | '#' | '+' | '%' | '"' | '<' | '>' | '=' => {
                percent(&mut safe, character as u8);
            }
            _ if character.is_ascii() => safe.push(character),
            _ => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    percent(&mut safe, byte);
                }
            }
        }
    }
    safe
}

fn percent(text: &mut String, byte: u8) {
    write!(text, "%{byte:02X}").expect("a string takes all that is written");
}
