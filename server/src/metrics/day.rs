//! What went through a channel within a day, in steps of a quarter of an hour, and how long it took within an hour.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use schemars::JsonSchema;
use serde::Serialize;

/// The length of a step in seconds, and how many are known.
pub(crate) const STEP: u64 = 900;
pub(crate) const STEPS: usize = 96;

/// So many steps are the hour of which times are known, the present one among them.
const HOUR: usize = 4;

/// Four to each doubling, up to two days in microseconds.
const LENGTHS: usize = 152;

/// How many came, were sent, went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) wrong: u64,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Received,
    Sent,
    Wrong,
}

/// One channel's day.
pub(crate) struct Day {
    /// The number of the present step, counted from 1970; step `n` is kept at `n % STEPS`.
    newest: u64,
    steps: [Counts; STEPS],
    times: [[u32; LENGTHS]; HOUR],
    /// How many arrived at each destination, in the steps of the hour.
    to: BTreeMap<String, [u64; HOUR]>,
    totals: Counts,
}

/// What is told each second.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    /// Since the server started.
    pub(crate) totals: Counts,
    pub(crate) p95_seconds: Option<f64>,
    /// How many arrived at each destination within an hour.
    pub(crate) to: BTreeMap<String, u64>,
}

/// A day as it is shown: of each kind the steps from the first on in which there was any, up to the present one.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Shown {
    pub(crate) received: Vec<u64>,
    pub(crate) sent: Vec<u64>,
    pub(crate) wrong: Vec<u64>,
    /// Since the server started: what later counts are compared with.
    pub(crate) totals: Counts,
    pub(crate) p95_seconds: Option<f64>,
    /// How many arrived at each destination within an hour: in the present step and the three before it.
    pub(crate) to: BTreeMap<String, u64>,
}

impl Counts {
    fn of(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Received => &mut self.received,
            Kind::Sent => &mut self.sent,
            Kind::Wrong => &mut self.wrong,
        }
    }
}

/// The number of the step of a time.
pub(crate) fn step_of(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / STEP
}

impl Day {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            newest: now,
            steps: [Counts::default(); STEPS],
            times: [[0; LENGTHS]; HOUR],
            to: BTreeMap::new(),
            totals: Counts::default(),
        }
    }

    pub(crate) fn count(&mut self, kind: Kind, now: u64) {
        self.turn(now);
        *self.steps[place(self.newest, STEPS)].of(kind) += 1;
        *self.totals.of(kind) += 1;
    }

    /// A delivery arrived at this destination.
    pub(crate) fn sent(&mut self, destination: &str, now: u64) {
        self.count(Kind::Sent, now);
        let place = place(self.newest, HOUR);
        // No name is copied for each delivery.
        if let Some(steps) = self.to.get_mut(destination) {
            steps[place] += 1;
        } else {
            self.to.entry(destination.to_owned()).or_default()[place] += 1;
        }
    }

    /// A delivery arrived so long after its message came.
    pub(crate) fn took(&mut self, time: Duration, now: u64) {
        self.turn(now);
        let times = &mut self.times[place(self.newest, HOUR)];
        let count = &mut times[length(time)];
        *count = count.saturating_add(1);
    }

    pub(crate) fn shown(&mut self, now: u64) -> Shown {
        self.turn(now);
        let oldest = (self.newest + 1).saturating_sub(STEPS as u64);
        let steps = || (oldest..=self.newest).map(|number| self.steps[place(number, STEPS)]);
        Shown {
            received: steps().map(|step| step.received).skip_while(|number| *number == 0).collect(),
            sent: steps().map(|step| step.sent).skip_while(|number| *number == 0).collect(),
            wrong: steps().map(|step| step.wrong).skip_while(|number| *number == 0).collect(),
            totals: self.totals,
            p95_seconds: self.at(0.95),
            to: self.to(),
        }
    }

    pub(crate) fn lately(&mut self, now: u64) -> Lately {
        self.turn(now);
        Lately { totals: self.totals, p95_seconds: self.at(0.95), to: self.to() }
    }

    fn to(&self) -> BTreeMap<String, u64> {
        self.to.iter().map(|(name, steps)| (name.clone(), steps.iter().sum())).collect()
    }

    /// The time that this share of the last hour's deliveries did not exceed, to a fifth.
    pub(crate) fn at(&self, share: f64) -> Option<f64> {
        let number = |length: usize| self.times.iter().map(|times| u64::from(times[length])).sum::<u64>();
        let all: u64 = (0..LENGTHS).map(number).sum();
        let rank = (all as f64 * share).ceil() as u64;
        let mut seen = 0;
        (0..LENGTHS).filter(|_| all > 0).find_map(|length| {
            seen += number(length);
            (seen >= rank).then(|| longest(length))
        })
    }

    /// Empties the steps that have begun since; a clock that goes back stays where it was.
    pub(crate) fn turn(&mut self, now: u64) {
        let fresh = now.saturating_sub(self.newest).min(STEPS as u64);
        for number in (now + 1 - fresh)..=now {
            self.steps[place(number, STEPS)] = Counts::default();
            self.times[place(number, HOUR)] = [0; LENGTHS];
            self.to.values_mut().for_each(|steps| steps[place(number, HOUR)] = 0);
        }
        self.newest = self.newest.max(now);
    }
}

fn place(number: u64, of: usize) -> usize {
    (number % of as u64) as usize
}

/// Which of the lengths a time is counted as.
fn length(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(4);
    let doubling = micros.ilog2();
    let quarter = (micros >> (doubling - 2)) & 3;
    ((doubling as usize) * 4 + quarter as usize).min(LENGTHS - 1)
}

/// The longest time that is counted as this length, in seconds.
fn longest(length: usize) -> f64 {
    let (doubling, quarter) = (length / 4, length % 4);
    2f64.powi(doubling as i32) * (1.25 + quarter as f64 / 4.0) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_yesterday_is_empty_today() {
        let mut day = Day::new(1000);
        day.count(Kind::Received, 1000);
        day.count(Kind::Received, 1001);
        day.count(Kind::Wrong, 1001);
        let shown = day.shown(1001);
        assert_eq!((shown.received, shown.wrong, shown.sent), (vec![1, 1], vec![1], vec![]));
        let next = day.shown(1000 + STEPS as u64);
        assert_eq!(
            (next.received.len(), next.received.iter().sum::<u64>()),
            (STEPS, 1),
            "the first is forgotten"
        );
        assert_eq!(next.totals.received, 2, "what later counts are compared with is not");
        assert_eq!(day.shown(9000).received.iter().sum::<u64>(), 0);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut day = Day::new(1000);
        day.count(Kind::Sent, 1000);
        day.count(Kind::Sent, 999);
        assert_eq!(day.shown(998).sent, [2]);
    }

    #[test]
    fn what_arrived_at_a_destination_counts_for_an_hour() {
        let mut day = Day::new(1000);
        for (destination, at) in [("record", 1000), ("record", 1001), ("archive", 1001)] {
            day.sent(destination, at);
        }
        let to = |day: &mut Day, now| day.lately(now).to.into_values().collect::<Vec<_>>();
        assert_eq!(to(&mut day, 1001), [1, 2]);
        assert_eq!(to(&mut day, 1000 + HOUR as u64), [1, 1]);
        assert_eq!(to(&mut day, 1001 + HOUR as u64), [0, 0]);
        assert_eq!(day.lately(1001).totals.sent, 3);
    }

    #[test]
    fn the_share_of_an_hour_is_known_to_a_fifth() {
        let mut day = Day::new(1000);
        assert_eq!(day.at(0.95), None);
        (1..=1000).for_each(|millis| day.took(Duration::from_millis(millis), 1000));
        let p95 = day.at(0.95).unwrap();
        assert!((0.95..1.2).contains(&p95), "{p95}");
        day.turn(1000 + HOUR as u64);
        assert_eq!(day.at(0.95), None, "an hour later");
    }
}
