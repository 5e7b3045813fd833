//! The orders of a message: which segments belong to which.

use rhai::{Array, Dynamic, Map};

use crate::handle::{Hl7, Segment};

/// What is being collected while the segments are walked.
#[derive(Default)]
struct Walk {
    patient: Dynamic,
    visit: Dynamic,
    order: Map,
    orders: Vec<Map>,
    /// Results go to the specimen that stands before them.
    is_specimen: bool,
    /// Specimens that stand before their orders (OML^O33): each order that follows has them.
    leading: Array,
    /// Whether an order followed the leading specimens, so that the next specimen begins anew.
    is_led: bool,
}

/// One map for each order: `patient` (PID), `visit` (PV1), `order` (ORC), `request` (OBR), and the lists `results` (OBX),
/// `specimens` (each with its `segment` and its own `results`), `timings` (TQ1) and `diagnoses` (DG1).
pub(super) fn orders(message: &mut Hl7) -> Array {
    let mut walk = Walk::default();
    for segment in message.segments(None) {
        let mut handle = segment.clone().cast::<Segment>();
        walk.step(&handle.name().unwrap_or_default(), segment);
    }
    walk.end();
    walk.orders.into_iter().map(Dynamic::from_map).collect()
}

impl Walk {
    fn step(&mut self, name: &str, segment: Dynamic) {
        match name {
            "PID" => {
                self.end();
                self.patient = segment;
                self.visit = Dynamic::UNIT;
            }
            "PV1" => {
                self.end();
                self.visit = segment;
            }
            "ORC" => self.begin("order", segment),
            "OBR" if self.order.contains_key("request") => self.begin("request", segment),
            "OBR" => self.open().insert("request".into(), segment).map_or((), |_| ()),
            "OBX" if self.is_specimen => self.specimen_result(segment),
            "OBX" => self.push("results", segment),
            "SPM" => self.specimen(segment),
            "TQ1" => self.push("timings", segment),
            "DG1" if !self.order.is_empty() => self.push("diagnoses", segment),
            _ => {}
        }
    }

    /// The order that is being collected; one that only has results where nothing began it.
    fn open(&mut self) -> &mut Map {
        if self.order.is_empty() {
            for list in ["results", "specimens", "timings", "diagnoses"] {
                self.order.insert(list.into(), Dynamic::from_array(Array::new()));
            }
            if !self.leading.is_empty() {
                self.order.insert("specimens".into(), Dynamic::from_array(self.leading.clone()));
                self.is_led = true;
            }
            self.order.insert("patient".into(), self.patient.clone());
            self.order.insert("visit".into(), self.visit.clone());
        }
        &mut self.order
    }

    fn begin(&mut self, member: &str, segment: Dynamic) {
        self.end();
        self.open().insert(member.into(), segment);
    }

    fn push(&mut self, list: &str, item: Dynamic) {
        let list = self.open().get_mut(list).and_then(Dynamic::write_lock::<Array>);
        list.expect("an open order has its lists").push(item);
    }

    /// One that stands before any order leads those that follow, and so do all after it.
    fn specimen(&mut self, segment: Dynamic) {
        let list = Dynamic::from_array(Array::new());
        let specimen = Map::from([("segment".into(), segment), ("results".into(), list)]);
        let specimen = Dynamic::from_map(specimen);
        if !self.leading.is_empty() || (self.order.is_empty() && self.orders.is_empty()) {
            self.end();
            if std::mem::take(&mut self.is_led) {
                self.leading.clear();
            }
            self.leading.push(specimen);
            return;
        }
        self.push("specimens", specimen);
        self.is_specimen = true;
    }

    fn specimen_result(&mut self, segment: Dynamic) {
        let mut specimens = self.open().get_mut("specimens").and_then(Dynamic::write_lock::<Array>);
        let specimen = specimens.as_mut().and_then(|list| list.last_mut());
        let mut specimen = specimen.and_then(Dynamic::write_lock::<Map>);
        let results = specimen.as_mut().and_then(|specimen| specimen.get_mut("results"));
        let mut results = results.and_then(Dynamic::write_lock::<Array>);
        results.as_mut().expect("a specimen has its list").push(segment);
    }

    fn end(&mut self) {
        self.is_specimen = false;
        if self.order.is_empty() {
            return;
        }
        let mut order = std::mem::take(&mut self.order);
        for member in ["order", "request"] {
            order.entry(member.into()).or_insert(Dynamic::UNIT);
        }
        self.orders.push(order);
    }
}
