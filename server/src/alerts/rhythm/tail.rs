//! How long the silences of a feed are, in messages that were to be expected, and which one is too long.

use serde::{Deserialize, Serialize};

/// How much one silence tells, among many and among the latest.
const SLOW: f64 = 1.0 / 2000.0;
const FAST: f64 = 1.0 / 30.0;

/// So rarely a silence may be taken for an end that is none: once in e^9 years, about eight thousand.
const YEARS: f64 = 9.0;

/// Mean and spread, over many silences and over the latest: a feed that has just become slower is not taken for one that ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tail {
    number: u32,
    slow: Spread,
    fast: Spread,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Spread {
    mean: f64,
    square: f64,
}

impl Spread {
    fn learn(&mut self, silence: f64, weight: f64) {
        self.mean += weight * (silence - self.mean);
        self.square += weight * (silence * silence - self.square);
    }

    /// Its deviation: of what is regular to the second still some.
    fn deviation(&self) -> f64 {
        (self.square - self.mean * self.mean).max(0.0).sqrt().max(0.15 * self.mean)
    }
}

impl Tail {
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn learn(&mut self, silence: f64) {
        self.number = self.number.saturating_add(1);
        let first = 1.0 / f64::from(self.number);
        self.slow.learn(silence, first.max(SLOW));
        self.fast.learn(silence, first.max(FAST));
    }

    /// A silence of this length comes by itself once in thousands of years, if long ones become rarer as they do where messages
    /// come independently of each other. `yearly`: messages in a year.
    pub(super) fn limit(&self, yearly: f64) -> f64 {
        let mean = self.slow.mean.max(self.fast.mean).max(0.01);
        let few = 1.0 + 3.0 / f64::from(self.number.max(1)).sqrt();
        let deviation = self.slow.deviation().max(self.fast.deviation()) * few;
        let silences = (yearly / mean).max(1.0);
        mean + (silences.ln() + YEARS) * deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_regular_is_missed_soon_and_what_comes_by_chance_later() {
        let (mut regular, mut chance) = (Tail::default(), Tail::default());
        for n in 0..1000 {
            regular.learn(1.0);
            // As independent arrivals leave them: the quantiles of their silences.
            chance.learn(-(1.0 - (f64::from(n * 7919 % 1000) + 0.5) / 1000.0).ln());
        }
        let (soon, later) = (regular.limit(8760.0), chance.limit(8760.0));
        assert!(soon < 5.0, "{soon}");
        assert!((15.0..25.0).contains(&later), "{later}");
    }
}
