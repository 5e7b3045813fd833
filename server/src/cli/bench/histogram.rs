//! How long things took, counted by many tasks at once: exact to within one percent, whatever their number.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// So many steps in each doubling of a time.
const STEPS: u64 = 128;
/// Times below this have a bucket for each microsecond.
const EXACT: u64 = 2 * STEPS;
/// Up to some days.
const BUCKETS: usize = 4608;

/// Times, in microseconds, by bucket.
pub(super) struct Histogram {
    buckets: Vec<AtomicU64>,
    longest: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), longest: AtomicU64::new(0) }
    }
}

/// What half of all waited at most, and the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Waits {
    pub(super) p50: Duration,
    pub(super) p95: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
}

impl Histogram {
    pub(super) fn add(&self, took: Duration) {
        let micros = took.as_micros() as u64;
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(micros, Ordering::Relaxed);
    }

    /// Begins anew.
    pub(super) fn clear(&self) {
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
        self.longest.store(0, Ordering::Relaxed);
    }

    pub(super) fn waits(&self) -> Waits {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let longest = self.longest.load(Ordering::Relaxed);
        let [p50, p95, p99] =
            [0.5, 0.95, 0.99].map(|part| Duration::from_micros(value_at(&counts, part).min(longest)));
        Waits { p50, p95, p99, max: Duration::from_micros(longest) }
    }
}

/// The time below which that part of all lies.
fn value_at(counts: &[u64], part: f64) -> u64 {
    let all: u64 = counts.iter().sum();
    let wanted = (part * all as f64).ceil() as u64;
    let mut seen = 0;
    let found = counts.iter().position(|count| {
        seen += count;
        seen >= wanted.max(1)
    });
    found.map_or(0, middle)
}

fn bucket(micros: u64) -> usize {
    if micros < EXACT {
        return micros as usize;
    }
    let shift = u64::from(micros.ilog2()) - 7;
    let place = EXACT + (shift - 1) * STEPS + (micros >> shift) - STEPS;
    (place as usize).min(BUCKETS - 1)
}

/// A time in the middle of the bucket.
fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let shift = (bucket - EXACT) / STEPS + 1;
    let step = (bucket - EXACT) % STEPS + STEPS;
    (step << shift) + (1 << (shift - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_within_one_percent() {
        for micros in [0, 1, 255, 256, 511, 512, 1_000, 12_345, 1_000_000, 86_400_000_000] {
            let back = middle(bucket(micros));
            assert!(back.abs_diff(micros) * 100 <= micros, "{micros} came back as {back}");
        }
    }

    #[test]
    fn half_of_all_took_at_most_the_median() {
        let histogram = Histogram::default();
        for millis in 1..=100 {
            histogram.add(Duration::from_millis(millis));
        }
        let waits = histogram.waits();
        assert!(waits.p50.abs_diff(Duration::from_millis(50)) < Duration::from_millis(1), "{waits:?}");
        assert!(waits.p99.abs_diff(Duration::from_millis(99)) < Duration::from_millis(1), "{waits:?}");
        assert_eq!(waits.max, Duration::from_millis(100));
        histogram.clear();
        assert_eq!(histogram.waits(), Waits::default());
    }
}
