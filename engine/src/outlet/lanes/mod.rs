//! Which delivery of an outlet may go next. No clock, no store, no tasks: only order.
//!
//! A delivery stands in one lane for each of its keys, and may go when it is at the front of all of
//! them. In order of arrival there is one lane; without order there is none.

mod bars;
mod entry;
mod gaps;
#[cfg(test)]
mod million;
mod reading;
mod standing;
#[cfg(test)]
mod under_way;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::SystemTime,
};

use tokio::time::Instant;

pub(super) use entry::{Entry, Until, Watcher};
pub(super) use reading::Wish;

use super::{Fresh, Tried};
use crate::{MessageId, Order, Position, ReadAhead, Waiting};
use bars::Bars;
use entry::State;
use gaps::Gaps;

pub(super) struct Lanes {
    order: Order,
    ahead: ReadAhead,
    entries: BTreeMap<Position, Entry>,
    by_key: HashMap<u64, BTreeSet<Position>>,
    /// At the front of all their lanes, and nothing holds them.
    ready: BTreeSet<Position>,
    resting: BTreeSet<(Instant, Position)>,
    /// Those that a worker has: few.
    under_way: BTreeSet<Position>,
    /// Those that somebody waits for.
    watched: BTreeSet<Position>,
    gaps: Gaps,
    bars: Bars,
    /// How many entries stand behind the part of the queue that was read.
    islands: usize,
    /// The last place of all that were ever here.
    newest: Position,
    is_counted: bool,
}

impl Lanes {
    /// Knows nothing of the queue until [`Self::count`].
    pub(super) fn new(order: Order, ahead: ReadAhead) -> Self {
        Self {
            order,
            ahead,
            entries: BTreeMap::new(),
            by_key: HashMap::new(),
            ready: BTreeSet::new(),
            resting: BTreeSet::new(),
            under_way: BTreeSet::new(),
            watched: BTreeSet::new(),
            gaps: Gaps::unknown(),
            bars: Bars::default(),
            islands: 0,
            newest: gaps::before_message(MessageId(0)),
            is_counted: false,
        }
    }

    /// How many wait or are under way, in memory or not.
    pub(super) fn depth(&self) -> u64 {
        u64::try_from(self.entries.len() as i64 + self.gaps.unread).unwrap_or(0)
    }

    /// How many are in memory.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, position: &Position) -> bool {
        self.entries.contains_key(position)
    }

    /// The oldest, whatever its state.
    pub(super) fn head(&self) -> Option<&Entry> {
        self.entries.values().next()
    }

    /// The first that waits for a person, or cannot be read, if one does.
    pub(super) fn stopped(&self) -> Option<&Entry> {
        self.entries.values().find(|entry| entry.is_stopped())
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes a delivery that has come into the queue, into memory if there is room before it. With `watch`, tells of
    /// its first try, at once if it stands behind one that waits.
    pub(super) fn insert(&mut self, waiting: Waiting, fresh: Option<Fresh>, watcher: Option<Watcher>) {
        let position = waiting.position;
        if self.contains(&position) {
            return;
        }
        let lanes = self.lanes_of(&waiting.keys);
        if self.is_left_out(position, &lanes) && !self.is_waited_for(&position, &lanes, watcher.as_ref()) {
            self.leave_out(position, &waiting.keys, &lanes);
            self.newest = self.newest.max(position);
            if let Some(watcher) = watcher {
                watcher.tell(Tried::Queued);
            }
            return;
        }
        self.put(Entry::new(waiting, fresh, lanes, watcher));
    }

    /// Takes a delivery that never was in the queue before: a page that was read meanwhile may have named it.
    pub(super) fn insert_new(&mut self, waiting: Waiting) {
        if self.contains(&waiting.position) {
            self.gaps.unread += 1;
        }
        self.insert(waiting, None, None);
        self.gaps.settle();
    }

    fn put(&mut self, mut entry: Entry) {
        let position = entry.waiting.position;
        self.newest = self.newest.max(position);
        let lanes = entry.lanes.clone();
        for lane in &lanes {
            self.by_key.entry(*lane).or_default().insert(position);
        }
        if self.stands_behind_one_that_waits(&position, &lanes) {
            entry.tell_queued();
        }
        if entry.watcher.is_some() {
            self.watched.insert(position);
        }
        self.islands += usize::from(self.gaps.is_beyond(position));
        let (not_before, state) = (entry.waiting.tally.not_before, entry.state);
        self.entries.insert(position, entry);
        match not_before.and_then(until) {
            Some(when) if state == State::Waits => self.rest(position, when),
            _ => self.refresh(position, &lanes),
        }
    }

    /// Takes the oldest that may go: without order any, else only those older than every open message.
    pub(super) fn take(&mut self, first_open: Option<MessageId>, now: Instant) -> Option<Position> {
        self.wake(now);
        let position = *self.ready.first()?;
        let overtakes = first_open.is_some_and(|open| open < position.message);
        if overtakes && self.order != Order::None {
            return None;
        }
        self.turn(position, State::Busy { nudged: false }).then_some(position)
    }

    /// Takes the one that may go as soon as `position`, which a worker has, is out of its lanes: with its end.
    pub(super) fn take_behind(
        &mut self,
        position: Position,
        first_open: Option<MessageId>,
        now: Instant,
    ) -> Option<Position> {
        self.wake(now);
        if let Some(ready) = self.ready.first().copied() {
            // One that was cut, or has no payload yet, has a write of its own before it begins.
            return if self.get(&ready)?.is_untouched() { self.take(first_open, now) } else { None };
        }
        let [lane] = self.entries.get(&position)?.lanes[..] else { return None };
        let mut standing = self.by_key.get(&lane)?.iter();
        let (first, behind) = (standing.next(), *standing.next()?);
        let entry = self.entries.get(&behind)?;
        let overtakes = first_open.is_some_and(|open| open < behind.message);
        let may_go = entry.is_untouched() && entry.state == State::Waits && entry.lanes.len() == 1;
        let is_hidden =
            self.gaps.hide(behind, &entry.lanes) || self.bar_before(behind, &entry.lanes).is_some();
        if first != Some(&position) || overtakes || !may_go || is_hidden {
            return None;
        }
        self.turn(behind, State::Busy { nudged: false }).then_some(behind)
    }

    /// What [`Self::take_behind`] is about to take, if it has to be read from the store first. Of several workers nobody
    /// can tell who takes it.
    pub(super) fn unread_behind(&self, position: &Position) -> Option<Position> {
        let [lane] = self.entries.get(position)?.lanes[..] else { return None };
        let behind = || self.by_key.get(&lane)?.iter().nth(1).copied();
        let next = self.ready.first().copied().or_else(behind)?;
        let entry = self.get(&next)?;
        let is_next = self.under_way.len() == 1 && entry.is_untouched() && entry.fresh.is_none();
        is_next.then_some(next)
    }

    /// The attempt under way is the last, if there is one.
    pub(super) fn let_it_be_the_last(&mut self, position: &Position) {
        if let Some(entry) = self.entries.get_mut(position) {
            entry.is_last_try = true;
        }
    }

    /// Takes one particular delivery, if no worker has it.
    pub(super) fn seize(&mut self, position: Position) -> bool {
        !self.under_way.contains(&position) && self.turn(position, State::Busy { nudged: false })
    }

    /// Those that a worker has.
    pub(super) fn busy(&self) -> Vec<Position> {
        self.under_way.iter().copied().collect()
    }

    pub(super) fn get(&self, position: &Position) -> Option<&Entry> {
        self.entries.get(position)
    }

    pub(super) fn take_fresh(&mut self, position: &Position) -> Option<Fresh> {
        self.entries.get_mut(position)?.fresh.take().map(|fresh| *fresh)
    }

    /// Takes a delivery up again as the store has it, since nobody knows how its last attempt went.
    pub(super) fn renew(&mut self, waiting: Waiting) {
        self.end(waiting.position, Tried::Queued);
        let lanes = self.lanes_of(&waiting.keys);
        self.put(Entry::new(waiting, None, lanes, None));
    }

    /// Keeps the tally of an attempt that left the delivery in the queue.
    pub(super) fn note(&mut self, position: &Position, tally: crate::Tally) {
        if let Some(entry) = self.entries.get_mut(position) {
            entry.waiting.state = crate::DeliveryState::Waiting;
            entry.waiting.tally = tally;
        }
    }

    /// It could not be read; says how often that was so in a row. `why` is for people alone.
    pub(super) fn cannot_be_read(&mut self, position: &Position, why: crate::Why) -> u32 {
        let Some(entry) = self.entries.get_mut(position) else { return 0 };
        entry.waiting.tally.why = Some(why);
        entry.unread += 1;
        entry.unread
    }

    /// It was read; says how often it could not be before.
    pub(super) fn can_be_read(&mut self, position: &Position) -> u32 {
        self.entries.get_mut(position).map_or(0, |entry| std::mem::take(&mut entry.unread))
    }

    /// The delivery has ended: its lanes go on.
    pub(super) fn end(&mut self, position: Position, tried: Tried) {
        let Some(mut entry) = self.entries.remove(&position) else { return };
        entry.tell(tried);
        self.gaps.note_end(position);
        self.watched.remove(&position);
        self.under_way.remove(&position);
        self.islands -= usize::from(self.gaps.is_beyond(position));
        self.ready.remove(&position);
        if let State::Rests(when) = entry.state {
            self.resting.remove(&(when, position));
        }
        for lane in &entry.lanes {
            if let Some(standing) = self.by_key.get_mut(lane) {
                standing.remove(&position);
                if standing.is_empty() {
                    self.by_key.remove(lane);
                }
            }
            self.gaps.feed(*lane, self.has_room(*lane));
        }
        self.refresh(position, &entry.lanes);
    }

    /// Waits for its next try; those behind it hear that they are queued.
    pub(super) fn rest(&mut self, position: Position, when: Instant) {
        if self.hold(position, State::Rests(when)) {
            self.resting.insert((when, position));
        }
    }

    /// Waits for a person.
    pub(super) fn stop(&mut self, position: Position) {
        self.hold(position, State::Stopped);
    }

    /// Waits for another outlet, unless that one has ended since this one was taken.
    pub(super) fn follow(&mut self, position: Position) {
        let nudged = self.get(&position).is_some_and(|entry| entry.state == State::Busy { nudged: true });
        if nudged {
            return self.back(position);
        }
        self.stand(position, State::Follows);
        if self.get(&position).is_some_and(|entry| entry.leader_waits) {
            self.tell_queued_from(position);
        }
    }

    /// Back to the front, to be taken again.
    pub(super) fn back(&mut self, position: Position) {
        self.turn(position, State::Waits);
        let lanes = self.get(&position).map(|entry| entry.lanes.clone()).unwrap_or_default();
        self.refresh(position, &lanes);
    }

    /// Another outlet has ended with this message: what follows it here may look again.
    pub(super) fn nudge(&mut self, message: MessageId, part: u32) {
        for position in self.of(message, part) {
            match self.entries.get_mut(&position) {
                Some(entry) if entry.state == State::Follows => self.back(position),
                Some(entry) => {
                    if let State::Busy { nudged } = &mut entry.state {
                        *nudged = true;
                    }
                }
                None => {}
            }
        }
    }

    /// The delivery that this message's follow waits for its next try: so do they.
    pub(super) fn leader_waits(&mut self, message: MessageId, part: u32) {
        for position in self.of(message, part) {
            let Some(entry) = self.entries.get_mut(&position) else { continue };
            entry.leader_waits = true;
            if entry.state == State::Follows {
                self.tell_queued_from(position);
            }
        }
    }

    fn of(&self, message: MessageId, part: u32) -> Vec<Position> {
        let at = |delivery| Position { message, part, delivery: crate::DeliveryId(delivery) };
        self.entries.range(at(0)..=at(u64::MAX)).map(|(position, _)| *position).collect()
    }

    /// When the next one that rests wakes.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.resting.first().map(|(when, _)| *when)
    }

    /// Nobody is sent for the moment: whoever waits for a first try hears that it is queued.
    pub(super) fn tell_all_queued(&mut self) {
        for position in self.watched.clone() {
            if self.get(&position).is_some_and(|entry| !entry.is_busy()) {
                self.tell_queued(&position);
            }
        }
    }

    fn wake(&mut self, now: Instant) {
        while let Some((when, position)) = self.resting.first().copied() {
            if when > now {
                return;
            }
            self.resting.remove(&(when, position));
            self.back(position);
        }
    }

    /// Keeps an entry at its place, and tells it and those behind it that they are queued.
    fn hold(&mut self, position: Position, state: State) -> bool {
        let stands = self.stand(position, state);
        self.tell_queued_from(position);
        stands
    }

    /// Keeps an entry at its place. What came in front of it while a worker had it may go now.
    fn stand(&mut self, position: Position, state: State) -> bool {
        let stands = self.turn(position, state);
        let lanes = self.get(&position).map(|entry| entry.lanes.clone()).unwrap_or_default();
        for lane in lanes {
            self.refresh_front(lane);
        }
        stands
    }

    fn turn(&mut self, position: Position, state: State) -> bool {
        let Some(entry) = self.entries.get_mut(&position) else { return false };
        if let State::Rests(when) = entry.state {
            self.resting.remove(&(when, position));
        }
        entry.state = state;
        if entry.is_busy() {
            self.under_way.insert(position);
        } else {
            self.under_way.remove(&position);
        }
        self.ready.remove(&position);
        true
    }

    fn tell_queued_from(&mut self, position: Position) {
        let lanes = self.entries.get(&position).map(|entry| entry.lanes.clone()).unwrap_or_default();
        let watched: Vec<Position> = self.watched.range(position..).copied().collect();
        for other in watched {
            let shares = |entry: &Entry| entry.lanes.iter().any(|lane| lanes.contains(lane));
            if other == position || self.get(&other).is_some_and(shares) {
                self.tell_queued(&other);
            }
        }
    }

    fn tell_queued(&mut self, position: &Position) {
        if self.entries.get_mut(position).is_none_or(Entry::tell_queued) {
            self.watched.remove(position);
        }
    }
}

/// A wall clock time as an instant, if it is still to come.
fn until(when: SystemTime) -> Option<Instant> {
    let ahead = when.duration_since(SystemTime::now()).ok()?;
    Some(Instant::now() + ahead)
}
