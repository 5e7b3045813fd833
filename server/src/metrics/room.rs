//! The series of the store's size, and of the room that is left for it.

use prometheus::{GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};
use store::Room;

pub(super) struct RoomGauges {
    used: IntGauge,
    free: IntGauge,
    floor: IntGauge,
    /// Without a value where there is none.
    budget: IntGaugeVec,
    full: GaugeVec,
}

impl RoomGauges {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let budget = "With a larger store new messages are refused";
        let full = "Days until new messages are refused for want of room, at the pace of the last day";
        Ok(Self {
            used: IntGauge::new("relais_store_bytes", "Size of the store on disk")?,
            free: IntGauge::new("relais_store_free_bytes", "Free room on the store's disk")?,
            floor: IntGauge::new("relais_store_floor_bytes", "With less free room new messages are refused")?,
            budget: IntGaugeVec::new(Opts::new("relais_store_budget_bytes", budget), &[])?,
            full: GaugeVec::new(Opts::new("relais_store_full_days", full), &[])?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        for gauge in [&self.used, &self.free, &self.floor] {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(self.budget.clone()))?;
        registry.register(Box::new(self.full.clone()))
    }

    pub(super) fn show(&self, room: &Room) {
        self.used.set(room.used as i64);
        self.free.set(room.free as i64);
        self.floor.set(room.floor as i64);
        self.budget.reset();
        self.full.reset();
        if let Some(budget) = room.budget {
            self.budget.with_label_values::<&str>(&[]).set(budget as i64);
        }
        if let Some(days) = room.full_days {
            self.full.with_label_values::<&str>(&[]).set(days);
        }
    }
}
