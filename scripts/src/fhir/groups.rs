//! The orders of a message: which segments belong to which.

use std::sync::Arc;

use rhai::{Array, Dynamic, Map};

use crate::handle::{Hl7, Segment};

/// One order and all that belongs to it; a segment that is not there is nothing. Its copies are the same one.
#[derive(Clone, Default)]
pub(crate) struct Order(pub(crate) Arc<OrderParts>);

#[derive(Clone, Default)]
pub(crate) struct OrderParts {
    pub(crate) patient: Dynamic,
    pub(crate) visit: Dynamic,
    pub(crate) order: Dynamic,
    pub(crate) request: Dynamic,
    pub(crate) results: Array,
    pub(crate) timings: Array,
    pub(crate) diagnoses: Array,
    specimens: Vec<(Dynamic, Array)>,
}

impl OrderParts {
    /// Each specimen with its `segment` and its own `results`.
    pub(crate) fn specimens(&self) -> Array {
        let specimen = |(segment, results): &(Dynamic, Array)| {
            let results = Dynamic::from_array(results.clone());
            Dynamic::from_map(Map::from([("segment".into(), segment.clone()), ("results".into(), results)]))
        };
        self.specimens.iter().map(specimen).collect()
    }
}

/// What is being collected while the segments are walked.
#[derive(Default)]
struct Walk {
    patient: Dynamic,
    visit: Dynamic,
    order: Option<OrderParts>,
    orders: Vec<Order>,
    /// Results go to the specimen that stands before them.
    is_specimen: bool,
    /// Specimens that stand before their orders (OML^O33): each order that follows has them.
    leading: Vec<(Dynamic, Array)>,
    /// Whether an order followed the leading specimens, so that the next specimen begins anew.
    is_led: bool,
}

/// The orders of a message.
pub(super) fn orders(message: &mut Hl7) -> Vec<Order> {
    let mut walk = Walk::default();
    for segment in message.segments(None) {
        let mut handle = segment.clone().cast::<Segment>();
        walk.step(&handle.name().unwrap_or_default(), segment);
    }
    walk.end();
    walk.orders
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
            "ORC" => {
                self.end();
                self.open().order = segment;
            }
            "OBR" => {
                if self.order.as_ref().is_some_and(|order| !order.request.is_unit()) {
                    self.end();
                }
                self.open().request = segment;
            }
            "OBX" if self.is_specimen => {
                if let Some((_, results)) = self.open().specimens.last_mut() {
                    results.push(segment);
                }
            }
            "OBX" => self.open().results.push(segment),
            "SPM" => self.specimen(segment),
            "TQ1" => self.open().timings.push(segment),
            "DG1" if self.order.is_some() => self.open().diagnoses.push(segment),
            _ => {}
        }
    }

    /// The order that is being collected; one that only has results where nothing began it.
    fn open(&mut self) -> &mut OrderParts {
        if self.order.is_none() && !self.leading.is_empty() {
            self.is_led = true;
        }
        self.order.get_or_insert_with(|| OrderParts {
            patient: self.patient.clone(),
            visit: self.visit.clone(),
            specimens: self.leading.clone(),
            ..OrderParts::default()
        })
    }

    /// One that stands before any order leads those that follow, and so do all after it.
    fn specimen(&mut self, segment: Dynamic) {
        if !self.leading.is_empty() || (self.order.is_none() && self.orders.is_empty()) {
            self.end();
            if std::mem::take(&mut self.is_led) {
                self.leading.clear();
            }
            self.leading.push((segment, Array::new()));
            return;
        }
        self.open().specimens.push((segment, Array::new()));
        self.is_specimen = true;
    }

    fn end(&mut self) {
        self.is_specimen = false;
        self.orders.extend(self.order.take().map(|order| Order(Arc::new(order))));
    }
}
