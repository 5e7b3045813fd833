//! How fast answers came: counted by code, times ranked.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::terminal::{counted, lasting, tinted, tone_of};

/// What came back, over all connections.
#[derive(Debug)]
pub(crate) struct Measure {
    began: Instant,
    ended: Option<Instant>,
    took: Vec<Duration>,
    codes: BTreeMap<String, u64>,
    /// Failures in words, with how often.
    failures: BTreeMap<String, u64>,
}

impl Measure {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            ended: None,
            took: Vec::new(),
            codes: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    pub(crate) fn answered(&mut self, code: &str, took: Duration) {
        self.took.push(took);
        *self.codes.entry(code.to_owned()).or_default() += 1;
    }

    pub(crate) fn failed(&mut self, why: String) {
        *self.failures.entry(why).or_default() += 1;
    }

    pub(crate) fn end(&mut self) {
        self.ended = Some(Instant::now());
    }

    fn lasted(&self) -> Duration {
        self.ended.unwrap_or_else(Instant::now) - self.began
    }

    pub(crate) fn done(&self) -> u64 {
        self.took.len() as u64 + self.failures.values().sum::<u64>()
    }

    pub(crate) fn rate(&self) -> f64 {
        self.took.len() as f64 / self.lasted().as_secs_f64().max(1e-9)
    }

    pub(crate) fn all_accepted(&self) -> bool {
        self.failures.is_empty()
            && self.codes.keys().all(|code| code == "AA" || code == "CA" || code == "none")
    }

    /// The time within which so many in a hundred were answered.
    pub(crate) fn percentile(&mut self, hundredths: f64) -> Duration {
        self.took.sort_unstable();
        let last = self.took.len().saturating_sub(1);
        let place = (hundredths / 100.0 * last as f64).round() as usize;
        self.took.get(place).copied().unwrap_or_default()
    }

    pub(crate) fn report(&mut self) -> String {
        let took = self.lasted();
        let rate = self.rate();
        let mut text = String::new();
        let codes: Vec<_> = self
            .codes
            .iter()
            .map(|(code, number)| format!("{} {number}", tinted(code, tone_of(code))))
            .collect();
        let answers = counted(self.took.len() as u64, "answer");
        let _ = writeln!(text, "{answers} in {}: {}", lasting(took), codes.join(", "));
        if !self.took.is_empty() {
            let _ = writeln!(text, "rate     {rate:.0} messages/s");
            let times = [50.0, 95.0, 99.0, 100.0].map(|part| lasting(self.percentile(part)));
            let [half, most, nearly, all] = times;
            let _ = writeln!(text, "answers  half within {half}, 95 % {most}, 99 % {nearly}, all {all}");
        }
        for (why, number) in &self.failures {
            let _ = writeln!(text, "{number} × {why}");
        }
        text
    }

    pub(crate) fn as_json(&mut self) -> Value {
        let seconds = self.lasted().as_secs_f64();
        let rate = self.rate();
        let [p50, p95, p99, max] =
            [50.0, 95.0, 99.0, 100.0].map(|part| self.percentile(part).as_secs_f64() * 1e3);
        json!({
            "answers": self.took.len(), "seconds": seconds, "rate": rate, "codes": self.codes,
            "failures": self.failures, "milliseconds": { "p50": p50, "p95": p95, "p99": p99, "max": max },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let mut measure = Measure::begin();
        for milliseconds in [5, 1, 3, 2, 4] {
            measure.answered("AA", Duration::from_millis(milliseconds));
        }
        assert_eq!(measure.percentile(50.0), Duration::from_millis(3));
        assert_eq!(measure.percentile(100.0), Duration::from_millis(5));
        assert_eq!(Measure::begin().percentile(99.0), Duration::ZERO);
    }

    #[test]
    fn one_negative_answer_or_failure_is_enough() {
        let mut measure = Measure::begin();
        measure.answered("AA", Duration::ZERO);
        assert!(measure.all_accepted());
        measure.answered("AE", Duration::ZERO);
        assert!(!measure.all_accepted());
        let mut measure = Measure::begin();
        measure.failed("cut".to_owned());
        assert!(!measure.all_accepted());
        assert_eq!(measure.done(), 1);
    }
}
