//! The episodes: opened, updated and closed by how things stand, whoever looks and however often.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::episode::{Acknowledged, Episode, Key, Seen, Snoozed, State};

/// What comes back so soon after it closed is the same episode.
const SOON: Duration = Duration::from_mins(15);

/// So many closed ones are kept, and for so long.
const CLOSED: usize = 2000;
const REMEMBERED: Duration = Duration::from_hours(24 * 7);

/// How often the numbers of an episode are told anew.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Opened,
    Updated,
    /// It has grown worse than it was, for another reason.
    Worse,
    Closed,
    Acknowledged,
    Snoozed,
    Woken,
}

/// What a person may say of an episode.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Seen { note: Option<String> },
    Later { time: Duration },
    Wake,
}

/// Why a person's word could not be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsaid {
    Unknown,
    Closed,
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    next: u64,
    open: BTreeMap<Key, Episode>,
    /// The latest first.
    closed: VecDeque<Episode>,
    /// Since when what is open is not so any more.
    clearing: HashMap<Key, Timestamp>,
    /// When the numbers of what is open were last told.
    told: HashMap<Key, Timestamp>,
}

/// As it is written beside the store.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    next: u64,
    episodes: Vec<Episode>,
}

impl Book {
    pub(crate) fn of(kept: Kept) -> Self {
        let read = kept.episodes.into_iter().map(Episode::read);
        let (open, closed): (Vec<_>, Vec<_>) = read.partition(Episode::is_open);
        let last = open.iter().chain(&closed).map(|episode| episode.id).max().unwrap_or(0);
        Self {
            next: kept.next.max(last),
            open: open.into_iter().map(|episode| (episode.key(), episode)).collect(),
            closed: closed.into(),
            ..Self::default()
        }
    }

    pub(crate) fn kept(&self) -> Kept {
        Kept { next: self.next, episodes: self.all().cloned().collect() }
    }

    /// Those that are open, then those that are closed, the latest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Episode> {
        self.open.values().chain(&self.closed)
    }

    pub(crate) fn is_open(&self, key: &Key) -> bool {
        self.open.contains_key(key)
    }

    /// Takes all that needs a person now, and tells what became of the episodes by that.
    pub(crate) fn look(&mut self, seen: Vec<Seen>, now: Timestamp) -> Vec<(Change, Episode)> {
        let mut changes = Vec::new();
        let mut gone: HashSet<Key> = self.open.keys().cloned().collect();
        for one in seen {
            gone.remove(&one.key);
            self.clearing.remove(&one.key);
            match self.open.get_mut(&one.key) {
                Some(episode) => {
                    let key = one.key.clone();
                    let (before, reason) = (episode.severity, episode.reason.clone());
                    let is_changed = episode.is_so(one, now);
                    let is_due = self.told.get(&key).is_none_or(|told| since(*told, now) >= TOLD_AGAIN);
                    if is_changed && (is_due || before != episode.severity) {
                        self.told.insert(key, now);
                        let is_worse = episode.severity < before && episode.reason != reason;
                        let change = if is_worse { Change::Worse } else { Change::Updated };
                        changes.push((change, episode.clone()));
                    }
                }
                None => changes.push((Change::Opened, self.begin(one, now))),
            }
        }
        for key in gone {
            let began = *self.clearing.entry(key.clone()).or_insert(now);
            if since(began, now) >= key.cause.closes_after()
                && let Some(episode) = self.end(&key, now)
            {
                changes.push((Change::Closed, episode));
            }
        }
        self.forget(now);
        changes
    }

    fn begin(&mut self, seen: Seen, now: Timestamp) -> Episode {
        let key = seen.key.clone();
        let is_back = |episode: &Episode| {
            episode.key() == key && episode.closed.is_some_and(|closed| since(closed, now) < SOON)
        };
        let back = self.closed.iter().position(is_back).and_then(|place| self.closed.remove(place));
        let episode = if let Some(mut episode) = back {
            episode.state = State::Open;
            episode.closed = None;
            episode.times += 1;
            episode.is_so(seen, now);
            episode
        } else {
            self.next += 1;
            Episode::open(self.next, seen, now)
        };
        self.told.insert(key.clone(), now);
        self.open.insert(key, episode.clone());
        episode
    }

    fn end(&mut self, key: &Key, now: Timestamp) -> Option<Episode> {
        self.clearing.remove(key);
        self.told.remove(key);
        let mut episode = self.open.remove(key)?;
        episode.state = State::Closed;
        episode.closed = Some(now);
        self.closed.push_front(episode.clone());
        Some(episode)
    }

    fn forget(&mut self, now: Timestamp) {
        self.closed.truncate(CLOSED);
        self.closed.retain(|episode| episode.closed.is_some_and(|closed| since(closed, now) < REMEMBERED));
    }

    /// Takes a person's word.
    pub(crate) fn say(
        &mut self,
        id: u64,
        (say, by): (Say, &str),
        now: Timestamp,
    ) -> Result<(Change, Episode), Unsaid> {
        let Some(episode) = self.open.values_mut().find(|episode| episode.id == id) else {
            let is_closed = self.closed.iter().any(|episode| episode.id == id);
            return Err(if is_closed { Unsaid::Closed } else { Unsaid::Unknown });
        };
        let by = by.to_owned();
        let change = match say {
            Say::Seen { note } => {
                episode.acknowledged = Some(Acknowledged { by, at: now, note });
                Change::Acknowledged
            }
            Say::Later { time } => {
                episode.snoozed = Some(Snoozed { by, until: now + time });
                Change::Snoozed
            }
            Say::Wake => {
                episode.acknowledged = None;
                episode.snoozed = None;
                Change::Woken
            }
        };
        Ok((change, episode.clone()))
    }
}

pub(crate) fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::cause::{Cause, Severity};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn down() -> Seen {
        Seen::counted(Key::destination(Cause::DestinationDown, "lab", "record"), "waiting", 3)
    }

    fn changes(book: &mut Book, seen: Vec<Seen>, second: i64) -> Vec<Change> {
        book.look(seen, at(second)).into_iter().map(|(change, _)| change).collect()
    }

    #[test]
    fn a_state_opens_once_and_closes_when_it_has_been_over_for_a_while() {
        let mut book = Book::default();
        assert_eq!(changes(&mut book, vec![down()], 0), [Change::Opened]);
        assert_eq!(changes(&mut book, vec![down()], 1), []);
        assert_eq!(changes(&mut book, vec![], 2), [], "a moment of peace is no end");
        assert_eq!(changes(&mut book, vec![down()], 3), []);
        assert_eq!(changes(&mut book, vec![], 4), []);
        assert_eq!(changes(&mut book, vec![], 9), [Change::Closed]);
        assert_eq!(changes(&mut book, vec![], 10), []);
    }

    #[test]
    fn what_flaps_is_one_episode() {
        let mut book = Book::default();
        for minute in 0..60 {
            let seen = if minute % 2 == 0 { vec![down()] } else { vec![] };
            for second in 0..60 {
                book.look(seen.clone(), at(minute * 60 + second));
            }
        }
        let all: Vec<_> = book.all().collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].times, all[0].since), (30, at(0)));
    }

    #[test]
    fn what_comes_back_the_next_day_is_another() {
        let mut book = Book::default();
        book.look(vec![down()], at(0));
        book.look(vec![], at(10));
        book.look(vec![], at(20));
        book.look(vec![down()], at(86_400));
        assert_eq!(book.all().map(|episode| episode.id).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn what_was_seen_is_kept_over_a_restart_and_wakes_when_it_grows_worse() {
        let certificate = |days: f64| Seen {
            measure: days,
            ..Seen::counted(Key::channel(Cause::Certificate, "lab"), "days_left", days as u64)
        };
        let mut book = Book::default();
        book.look(vec![certificate(20.0)], at(0));
        let said = book.say(1, (Say::Seen { note: Some("ordered".to_owned()) }, "marie"), at(1)).unwrap();
        assert!(!said.1.needs_somebody(at(2)));
        let kept = serde_json::to_string(&book.kept()).unwrap();
        let mut book = Book::of(serde_json::from_str(&kept).unwrap());
        book.look(vec![certificate(19.0)], at(86_400));
        assert!(book.all().all(|episode| !episode.needs_somebody(at(86_400))));
        let changed = book.look(vec![certificate(6.0)], at(86_410));
        assert_eq!(changed[0].1.severity, Severity::Critical);
        assert!(changed[0].1.needs_somebody(at(86_410)));
    }

    #[test]
    fn what_was_tried_again_by_itself_and_needs_somebody_now_is_told_anew() {
        let source = |reason: Option<&str>| Seen {
            reason: reason.map(str::to_owned),
            ..Seen::counted(Key::channel(Cause::SourceDown, "annuaire"), "down", 60)
        };
        let mut book = Book::default();
        let opened = book.look(vec![source(Some("by_itself"))], at(0));
        assert_eq!(opened[0].1.severity, Severity::Warning);
        book.say(1, (Say::Seen { note: None }, "marie"), at(1)).unwrap();
        assert_eq!(changes(&mut book, vec![source(Some("by_itself"))], 2), []);
        let worse = book.look(vec![source(None)], at(3));
        assert_eq!((worse[0].0, worse[0].1.severity), (Change::Worse, Severity::Critical));
        assert!(worse[0].1.needs_somebody(at(3)), "who saw the one has not seen the other");
        assert_eq!(changes(&mut book, vec![source(None)], 4), []);
    }

    #[test]
    fn nobody_can_take_note_of_what_is_over() {
        let mut book = Book::default();
        book.look(vec![down()], at(0));
        let later = Say::Later { time: Duration::from_mins(30) };
        let (_, snoozed) = book.say(1, (later, "marie"), at(0)).unwrap();
        assert!(!snoozed.needs_somebody(at(1799)) && snoozed.needs_somebody(at(1800)));
        book.look(vec![], at(10));
        book.look(vec![], at(20));
        assert_eq!(book.say(1, (Say::Wake, "marie"), at(30)).unwrap_err(), Unsaid::Closed);
        assert_eq!(book.say(7, (Say::Wake, "marie"), at(30)).unwrap_err(), Unsaid::Unknown);
    }

    #[test]
    fn of_many_that_close_the_latest_are_kept() {
        let mut book = Book::default();
        let all = (0..3000).map(|n| Seen::counted(Key::channel(Cause::Failed, &n.to_string()), "failed", 1));
        book.look(all.collect(), at(0));
        book.look(vec![], at(1));
        assert_eq!(book.all().count(), CLOSED);
    }
}
