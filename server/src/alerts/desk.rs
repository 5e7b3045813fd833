//! What one rule still has to tell on one way: decided by how things stand and what was told, so that it is never a flood.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use channels::{Limit, Rule};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{book::since, cause::Severity, episode::Episode};

/// What opens together is told together: nothing more has opened for so long, or the first of it so long ago.
const SETTLED: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(1));

/// What ends is told when all is over, or when nothing more has ended for so long.
const ENDED: Duration = Duration::from_mins(2);

/// From so many letters within an hour on there is so much time between two.
const PACE: [(usize, Duration); 3] =
    [(10, Duration::from_mins(15)), (5, Duration::from_mins(5)), (0, Duration::from_mins(1))];

/// The pause after one that could not be told, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(15), Duration::from_mins(5));

/// When an episode was told, and how bad it was then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    at: Timestamp,
    severity: Severity,
}

/// The desk of one way to tell somebody.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Desk {
    /// By the number of the episode.
    told: BTreeMap<u64, Told>,
    /// When letters went out within the last hour.
    sent: VecDeque<Timestamp>,
    #[serde(skip)]
    new: Growth,
    #[serde(skip)]
    over: Growth,
    #[serde(skip)]
    failed: u32,
    #[serde(skip)]
    not_before: Option<Timestamp>,
}

/// Since when something is to be told, and when it last became more.
#[derive(Debug, Default, Clone)]
struct Growth {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    number: usize,
}

impl Growth {
    fn follow(&mut self, number: usize, now: Timestamp) {
        match number {
            0 => *self = Self::default(),
            _ if number > self.number => {
                self.first.get_or_insert(now);
                self.last = Some(now);
                self.number = number;
            }
            _ => self.number = number,
        }
    }

    fn is_still_for(&self, time: Duration, now: Timestamp) -> bool {
        self.last.is_some_and(|last| since(last, now) >= time)
    }

    fn lasts_for(&self, time: Duration, now: Timestamp) -> bool {
        self.first.is_some_and(|first| since(first, now) >= time)
    }
}

/// What is told at once.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Digest {
    pub(super) opened: Vec<Episode>,
    /// Told before, and still so.
    pub(super) again: Vec<Episode>,
    pub(super) over: Vec<Episode>,
    /// All of the rule's that are open, these among them.
    pub(super) open: usize,
}

impl Desk {
    /// What is to be told now, if anything is.
    pub(super) fn due(&mut self, rule: &Rule, all: &[(Episode, bool)], now: Timestamp) -> Option<Digest> {
        let digest = self.digest(rule, all, now);
        self.new.follow(digest.opened.len() + digest.again.len(), now);
        self.over.follow(digest.over.len(), now);
        let is_all_over = digest.open == 0 && digest.opened.is_empty();
        let news = self.new.is_still_for(SETTLED.0, now) || self.new.lasts_for(SETTLED.1, now);
        let ends = self.over.is_still_for(if is_all_over { SETTLED.0 } else { ENDED }, now);
        ((news || ends) && self.may_send(now)).then_some(digest)
    }

    fn digest(&self, rule: &Rule, all: &[(Episode, bool)], now: Timestamp) -> Digest {
        let mut digest = Digest::default();
        let mut there = BTreeSet::new();
        for (one, is_about) in all {
            there.insert(one.id);
            let told = self.told.get(&one.id);
            if !one.is_open() {
                digest.over.extend(told.map(|_| one.clone()));
                continue;
            }
            if told.is_none() && !(*is_about && reaches(rule, one)) {
                continue;
            }
            digest.open += 1;
            let put_off = one.snoozed.as_ref().map(|snoozed| snoozed.until);
            match told {
                _ if !one.needs_somebody(now) => {}
                None => digest.opened.push(one.clone()),
                Some(told) if one.severity < told.severity => digest.opened.push(one.clone()),
                Some(told) if put_off.is_some_and(|until| told.at < until) => digest.again.push(one.clone()),
                Some(told) if rule.repeat.is_some_and(|repeat| since(told.at, now) >= repeat) => {
                    digest.again.push(one.clone());
                }
                Some(_) => {}
            }
        }
        digest
    }

    fn may_send(&mut self, now: Timestamp) -> bool {
        while self.sent.front().is_some_and(|sent| since(*sent, now) >= Duration::from_hours(1)) {
            self.sent.pop_front();
        }
        let pace = PACE.iter().find(|(number, _)| self.sent.len() >= *number);
        let pause = pace.map_or(Duration::ZERO, |(_, pause)| *pause);
        let has_rested = self.sent.back().is_none_or(|sent| since(*sent, now) >= pause);
        has_rested && self.not_before.is_none_or(|time| now >= time)
    }

    /// It was told.
    pub(super) fn was_told(&mut self, digest: &Digest, now: Timestamp) {
        for one in digest.opened.iter().chain(&digest.again) {
            self.told.insert(one.id, Told { at: now, severity: one.severity });
        }
        for one in &digest.over {
            self.told.remove(&one.id);
        }
        self.sent.push_back(now);
        (self.new, self.over) = (Growth::default(), Growth::default());
        (self.failed, self.not_before) = (0, None);
    }

    /// It could not be told: what is to be told then is worked out anew.
    pub(super) fn failed(&mut self, now: Timestamp) {
        let pause = AGAIN.0.saturating_mul(1 << self.failed.min(10)).min(AGAIN.1);
        self.failed += 1;
        self.not_before = Some(now + pause);
    }

    /// Forgets what the book has forgotten.
    pub(super) fn keep(&mut self, known: &BTreeSet<u64>) {
        self.told.retain(|id, _| known.contains(id));
    }
}

/// Whether an episode is as bad as the rule wants it.
fn reaches(rule: &Rule, one: &Episode) -> bool {
    match rule.limit(one.cause.name()) {
        None => false,
        Some(Limit::Usual | Limit::Silent { .. }) => true,
        Some(Limit::From(limit)) => one.measure >= *limit,
        Some(Limit::DownTo(limit)) => one.measure <= *limit,
    }
}

#[cfg(test)]
mod tests {
    use engine::Hash;

    use super::*;
    use crate::alerts::{
        book::{Book, Say},
        cause::Cause,
        episode::{Key, Seen},
    };

    fn rule(repeat: Option<Duration>) -> Rule {
        Rule {
            name: "night".to_owned(),
            states: None,
            channels: vec![],
            tags: vec![],
            tell: vec![],
            repeat,
            version: Hash::of(&[b""]),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn down(channel: usize) -> Seen {
        Seen::counted(
            Key::destination(Cause::DestinationDown, &format!("c{channel}"), "record"),
            "waiting",
            1,
        )
    }

    /// Plays seconds: `seen` says what is so in each. Gives back when something was told, and how much.
    fn played(rule: &Rule, seconds: i64, mut seen: impl FnMut(i64) -> Vec<Seen>) -> Vec<(i64, usize, usize)> {
        let (mut book, mut desk, mut told) = (Book::default(), Desk::default(), Vec::new());
        for second in 0..seconds {
            book.look(seen(second), at(second));
            let all: Vec<_> = book.all().map(|one| (one.clone(), true)).collect();
            if let Some(digest) = desk.due(rule, &all, at(second)) {
                told.push((second, digest.opened.len() + digest.again.len(), digest.over.len()));
                desk.was_told(&digest, at(second));
            }
        }
        told
    }

    #[test]
    fn a_thousand_channels_that_go_down_are_one_letter_and_one_when_it_is_over() {
        // They go down within half a minute, and come back within five minutes, as their next attempts fall.
        let told = played(&rule(None), 3600, |second| {
            let is_down = |n: &usize| {
                let begins = (n * 30 / 1000) as i64;
                let ends = 1200 + (n * 300 / 1000) as i64;
                (begins..ends).contains(&second)
            };
            (0..1000).filter(is_down).map(down).collect()
        });
        let letters: Vec<_> = told.iter().map(|(_, opened, over)| (*opened, *over)).collect();
        assert_eq!(letters, [(1000, 0), (0, 1000)], "{told:?}");
        assert!(told[0].0 <= 45, "{told:?}");
    }

    #[test]
    fn what_flaps_all_day_is_a_few_letters_an_hour() {
        let told =
            played(&rule(None), 86_400, |second| if second / 90 % 2 == 0 { vec![down(1)] } else { vec![] });
        assert!(told.len() <= 24 * 11, "{}", told.len());
        let mut busiest = 0;
        for hour in 0..24 {
            busiest = busiest.max(told.iter().filter(|one| one.0 / 3600 == hour).count());
        }
        assert!(busiest <= 14, "{busiest}");
    }

    #[test]
    fn what_goes_on_is_told_again_as_often_as_the_rule_says() {
        let hourly = rule(Some(Duration::from_hours(1)));
        let told = played(&hourly, 4 * 3600, |_| vec![down(1)]);
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(played(&rule(None), 4 * 3600, |_| vec![down(1)]).len(), 1);
    }

    #[test]
    fn who_took_note_of_it_is_not_told_again_until_it_is_over() {
        let hourly = rule(Some(Duration::from_hours(1)));
        let (mut book, mut desk, mut letters) = (Book::default(), Desk::default(), 0);
        for second in 0..20_000 {
            book.look(if second < 15_000 { vec![down(1)] } else { vec![] }, at(second));
            if second == 100 {
                book.say(1, (Say::Seen { note: None }, "marie"), at(second)).unwrap();
            }
            let all: Vec<_> = book.all().map(|one| (one.clone(), true)).collect();
            if let Some(digest) = desk.due(&hourly, &all, at(second)) {
                letters += 1;
                desk.was_told(&digest, at(second));
            }
        }
        assert_eq!(letters, 2, "that it began, and that it is over");
    }

    #[test]
    fn what_could_not_be_told_is_told_later_as_it_is_then() {
        let (mut book, mut desk) = (Book::default(), Desk::default());
        let mut tries = 0;
        for second in 0..3600 {
            book.look(vec![down(1)], at(second));
            let all: Vec<_> = book.all().map(|one| (one.clone(), true)).collect();
            if desk.due(&rule(None), &all, at(second)).is_some() {
                tries += 1;
                desk.failed(at(second));
            }
        }
        assert!((12..20).contains(&tries), "{tries}");
    }
}
