//! What changes on the mock over time: told in a scenario, or as it goes on.

use serde::Deserialize;

use super::{Annuaire, Fault, Kind, world::Becomes};
use crate::setting::Period;

/// What happens, and when.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// In the order in which they happen.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Begins again from its first event so long after its last one.
    #[serde(default)]
    pub again_after: Option<Period>,
}

/// One thing that happens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// So long after the event before it, or after the start.
    #[serde(default = "at_once")]
    pub after: Period,
    #[serde(rename = "do")]
    pub deed: Deed,
    /// The type it happens to.
    #[serde(default = "practitioner")]
    pub resource: String,
    /// To how many, chosen by the seed.
    #[serde(default = "one")]
    pub count: u64,
    /// To these, by their ids, and to no other.
    #[serde(default)]
    pub ids: Vec<String>,
    /// The change is by its own word so much older than the time it becomes visible.
    #[serde(default)]
    pub late: Option<Period>,
    /// The fault that begins (`do: fail`): `502:60s`.
    #[serde(default)]
    pub fault: Option<String>,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Another content; of one that is inactive, its return.
    Change,
    /// An inactive stub.
    Deactivate,
    Add,
    /// Without a trace.
    Delete,
    /// It is given so that nobody can use it, on pages and alone, until `mend`.
    Garble,
    /// Everything is loaded anew: the numbers of versions begin at 1.
    Reload,
    /// Something goes wrong from now on.
    Fail,
    /// Nothing goes wrong any more.
    Mend,
}

fn at_once() -> Period {
    Period::seconds(0)
}

fn practitioner() -> String {
    "Practitioner".to_owned()
}

fn one() -> u64 {
    1
}

impl Scenario {
    /// Reads a scenario, and looks through it: what is wrong is told with its place.
    pub fn read(text: &str) -> Result<Self, String> {
        let scenario: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        for (place, event) in scenario.events.iter().enumerate() {
            event.check().map_err(|why| format!("event {}: {why}", place + 1))?;
        }
        Ok(scenario)
    }

    /// So many practitioners change each time so long has gone by.
    pub fn steady(count: u64, every: Period) -> Self {
        let event = Event { count, after: every, ..Event::new(Deed::Change) };
        Self { events: vec![event], again_after: Some(Period::seconds(0)) }
    }
}

impl Event {
    pub fn new(deed: Deed) -> Self {
        Self {
            after: at_once(),
            deed,
            resource: practitioner(),
            count: 1,
            ids: Vec::new(),
            late: None,
            fault: None,
        }
    }

    /// Says what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if Kind::of(&self.resource).is_none() {
            return Err(format!("`{}` is no type that is served here", self.resource));
        }
        match &self.fault {
            Some(fault) => fault.parse::<Fault>().map(drop),
            None if self.deed == Deed::Fail => Err("`fail` needs a `fault`".to_owned()),
            None => Ok(()),
        }
    }
}

impl Annuaire {
    /// Lets happen what is due by now.
    pub(super) fn pass(&mut self, now: i64) {
        let scenario = self.settings.scenario.clone();
        loop {
            if self.happened == scenario.events.len() {
                let Some(pause) = scenario.again_after.filter(|_| !scenario.events.is_empty()) else {
                    return;
                };
                let begins = self.born + pause.0.as_millis() as i64;
                if begins > now {
                    return;
                }
                (self.born, self.happened) = (begins, 0);
            }
            let Some(event) = scenario.events.get(self.happened) else { return };
            let due = self.born + event.after.0.as_millis() as i64;
            if due > now {
                return;
            }
            self.happen(event, due);
            (self.born, self.happened) = (due, self.happened + 1);
            // A scenario without any pause would happen for ever.
            if scenario.events.iter().all(|event| event.after.0.is_zero())
                && scenario.again_after.is_none_or(|pause| pause.0.is_zero())
                && self.happened == scenario.events.len()
            {
                self.settings.scenario.again_after = None;
                return;
            }
        }
    }

    /// Lets one thing happen now. What its `after` says does not count here.
    pub fn happen(&mut self, event: &Event, now: i64) {
        let Some(kind) = Kind::of(&event.resource) else { return };
        match event.deed {
            Deed::Reload => return self.world.reload(now),
            Deed::Mend => return self.mend(),
            Deed::Fail => {
                let fault = event.fault.as_deref().and_then(|fault| fault.parse().ok());
                if let Some(fault) = fault {
                    self.faults.add(fault, now);
                }
                return;
            }
            _ => {}
        }
        let late = event.late.map_or(0, |late| late.0.as_millis() as i64);
        let becomes = Becomes {
            edition: None,
            is_active: event.deed != Deed::Deactivate,
            updated: now - late,
            has_plain_number: false,
        };
        for place in self.meant(event, kind) {
            match event.deed {
                Deed::Delete => self.world.delete(kind, place, now),
                Deed::Garble => self.world.garble(kind, place),
                // As the real one once did: what was changed has a number for a number.
                _ => self.world.change(
                    kind,
                    place,
                    Becomes { has_plain_number: place % 2 == 1, ..becomes },
                    now,
                ),
            }
        }
    }

    fn meant(&mut self, event: &Event, kind: Kind) -> Vec<u64> {
        if !event.ids.is_empty() {
            return event.ids.iter().map(|id| self.world.place(kind, id)).collect();
        }
        match event.deed {
            Deed::Add => (0..event.count).map(|_| self.world.fresh(kind)).collect(),
            _ => self.world.some(kind, event.count),
        }
    }

    /// Puts one resource as a test says: its content by a number, when it was changed by its own word.
    pub fn put(
        &mut self,
        kind: Kind,
        id: &str,
        (edition, is_active): (u32, bool),
        (updated, now): (i64, i64),
    ) {
        let place = self.world.place(kind, id);
        let becomes = Becomes { edition: Some(edition), is_active, updated, has_plain_number: !is_active };
        self.world.change(kind, place, becomes, now);
    }
}
