//! How one attempt ended, and the attempts at one delivery as far as each is kept.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{DeliveryOutcome, Response, Tally, Why};

/// So many of the first attempts at a delivery are kept one by one, and so many of the last: one that is tried for
/// weeks fills no disk.
const FIRST: usize = 5;
const LAST: usize = 15;

/// As many letters of a reason are kept with each attempt. The last reason stands whole with its delivery.
const LETTERS: usize = 300;

/// How one attempt ended, and how the delivery stands after it.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub end: AttemptEnd,
    pub tally: Tally,
    /// The outlets that follow this one.
    pub followers: Vec<String>,
    /// The attempt by itself. `None` where none was made, and where the first one arrived: the delivery says all of it.
    pub attempt: Option<PastAttempt>,
}

#[derive(Debug, Clone)]
pub enum AttemptEnd {
    Sent(Response),
    /// Stays in the queue; `tally` says until when and why.
    Waits {
        doubt: bool,
    },
    GivenUp {
        why: Why,
        response: Option<Response>,
    },
    SetAside {
        why: Why,
    },
    /// Left out after all: the steps of an `after:` destination filtered it.
    Dropped {
        why: Why,
    },
}

/// One attempt that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Counts from 1, and from 1 again where a person sends a delivery again.
    pub number: u32,
    /// When it began; of one that a crash cut, when that was found.
    pub began: SystemTime,
    pub took: Duration,
    pub outcome: DeliveryOutcome,
    /// Why it did not arrive: a receiver's own words may be among them.
    pub why: Option<Why>,
    /// After how long the next one was to come.
    pub next: Option<Duration>,
}

/// The attempts at one delivery: the first and the last of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempts {
    pub first: Vec<PastAttempt>,
    /// How many came between those two, and are not kept.
    pub between: u64,
    pub last: Vec<PastAttempt>,
}

impl PastAttempt {
    /// Whether its delivery says all of it.
    pub fn arrived_at_once(&self) -> bool {
        self.number == 1 && self.outcome == DeliveryOutcome::Sent
    }
}

impl PastAttempts {
    /// Adds the newest. Adding it twice is adding it once.
    pub fn add(&mut self, mut attempt: PastAttempt) {
        let newest = self.last.last().or(self.first.last());
        if newest.is_some_and(|newest| (newest.number, newest.began) == (attempt.number, attempt.began)) {
            return;
        }
        attempt.why = attempt.why.map(|why| why.cut(LETTERS));
        if self.first.len() < FIRST {
            return self.first.push(attempt);
        }
        self.last.push(attempt);
        if self.last.len() > LAST {
            self.last.remove(0);
            self.between += 1;
        }
    }

    /// About as many bytes as it takes.
    pub fn weight(&self) -> usize {
        let all = self.first.iter().chain(&self.last);
        all.map(|attempt| 50 + attempt.why.as_ref().map_or(0, |why| why.len())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32) -> PastAttempt {
        PastAttempt {
            number,
            began: SystemTime::UNIX_EPOCH + Duration::from_secs(number.into()),
            took: Duration::from_millis(3),
            outcome: DeliveryOutcome::Retried,
            why: Some(Why::ours("é".repeat(400))),
            next: Some(Duration::from_secs(1)),
        }
    }

    #[test]
    fn the_first_and_the_last_are_kept_and_those_between_are_counted() {
        let mut attempts = PastAttempts::default();
        for number in 1..=100 {
            attempts.add(attempt(number));
            attempts.add(attempt(number));
        }
        let numbers = |of: &[PastAttempt]| of.iter().map(|attempt| attempt.number).collect::<Vec<_>>();
        assert_eq!(numbers(&attempts.first), (1..=5).collect::<Vec<_>>());
        assert_eq!(numbers(&attempts.last), (86..=100).collect::<Vec<_>>());
        assert_eq!(attempts.between, 80);
        assert!(attempts.weight() < 20 * 1000, "{}", attempts.weight());
        let why = attempts.first[0].why.as_deref().unwrap();
        assert!(why.chars().count() == LETTERS + 1 && why.ends_with('…'), "{why}");
    }
}
