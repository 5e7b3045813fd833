//! Which delivery of an outlet may go next. No clock, no store, no tasks: only order.
//!
//! A delivery stands in one lane for each of its keys, and may go when it is at the front of all of
//! them. In order of arrival there is one lane; without order there is none.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher},
};

use tokio::{sync::oneshot, time::Instant};

use super::{Fresh, Tried};
use crate::{MessageId, Order, Position, Waiting};

pub(super) struct Lanes {
    order: Order,
    entries: BTreeMap<Position, Entry>,
    by_key: HashMap<u64, BTreeSet<Position>>,
    /// At the front of all their lanes, and nothing holds them.
    ready: BTreeSet<Position>,
    resting: BTreeSet<(Instant, Position)>,
}

pub(super) struct Entry {
    pub(super) waiting: Waiting,
    /// What to send, while it is young enough to be in memory. Boxed: a long queue has room for few of them.
    fresh: Option<Box<Fresh>>,
    state: State,
    lanes: Vec<u64>,
    watcher: Option<Watcher>,
    /// Its sender's wait is over (`queue: never`): the attempt under way is the last.
    is_last_try: bool,
    /// The delivery it follows waits in its own queue: so does this one.
    leader_waits: bool,
}

/// Somebody who waits for news of a delivery.
pub(super) struct Watcher {
    pub(super) tell: oneshot::Sender<Tried>,
    pub(super) until: Until,
}

/// How long a watcher waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// To be queued is news enough.
    FirstTry,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    /// A worker has it. `nudged`: what it may come to wait for has ended in the meantime.
    Busy {
        nudged: bool,
    },
    Rests(Instant),
    /// Until another outlet has sent the same message.
    Follows,
    /// Until a person says so.
    Stopped,
}

impl Lanes {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            entries: BTreeMap::new(),
            by_key: HashMap::new(),
            ready: BTreeSet::new(),
            resting: BTreeSet::new(),
        }
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

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

    /// The first that waits for a person, if one does.
    pub(super) fn stopped(&self) -> Option<&Entry> {
        self.entries.values().find(|entry| entry.state == State::Stopped)
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Adds a delivery. With `watch`, tells of its first try, at once if it stands behind one that waits.
    pub(super) fn insert(&mut self, waiting: Waiting, fresh: Option<Fresh>, watcher: Option<Watcher>) {
        let position = waiting.position;
        if self.contains(&position) {
            return;
        }
        let lanes = self.lanes_of(&waiting.keys);
        for lane in &lanes {
            self.by_key.entry(*lane).or_default().insert(position);
        }
        let state = if waiting.tally.stopped { State::Stopped } else { State::Waits };
        let fresh = fresh.map(Box::new);
        let mut entry =
            Entry { waiting, fresh, state, lanes, watcher, is_last_try: false, leader_waits: false };
        if self.stands_behind_one_that_waits(&position, &entry.lanes) {
            entry.tell_queued();
        }
        let (not_before, lanes) = (entry.waiting.tally.not_before, entry.lanes.clone());
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
        self.ready.remove(&position);
        self.entries.get_mut(&position)?.state = State::Busy { nudged: false };
        Some(position)
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
        let overtakes = first_open.is_some_and(|open| open < behind.message);
        let entry = self.entries.get_mut(&behind)?;
        if first != Some(&position)
            || overtakes
            || !entry.is_untouched()
            || entry.state != State::Waits
            || entry.lanes.len() != 1
        {
            return None;
        }
        entry.state = State::Busy { nudged: false };
        Some(behind)
    }

    /// The attempt under way is the last, if there is one.
    pub(super) fn let_it_be_the_last(&mut self, position: &Position) {
        if let Some(entry) = self.entries.get_mut(position) {
            entry.is_last_try = true;
        }
    }

    /// Takes one particular delivery, if no worker has it.
    pub(super) fn seize(&mut self, position: Position) -> bool {
        let Some(entry) = self.entries.get_mut(&position) else { return false };
        if matches!(entry.state, State::Busy { .. }) {
            return false;
        }
        if let State::Rests(when) = entry.state {
            self.resting.remove(&(when, position));
        }
        entry.state = State::Busy { nudged: false };
        self.ready.remove(&position);
        true
    }

    /// Where a delivery stands. Asked by people, not on the way of a message.
    pub(super) fn position_of(&self, delivery: crate::DeliveryId) -> Option<Position> {
        self.entries.keys().find(|position| position.delivery == delivery).copied()
    }

    pub(super) fn idle(&self) -> Vec<crate::DeliveryId> {
        let idle = self.entries.iter().filter(|(_, entry)| !entry.is_busy());
        idle.map(|(position, _)| position.delivery).collect()
    }

    pub(super) fn get(&self, position: &Position) -> Option<&Entry> {
        self.entries.get(position)
    }

    pub(super) fn take_fresh(&mut self, position: &Position) -> Option<Fresh> {
        self.entries.get_mut(position)?.fresh.take().map(|fresh| *fresh)
    }

    /// Keeps the tally of an attempt that left the delivery in the queue.
    pub(super) fn note(&mut self, position: &Position, tally: crate::Tally) {
        if let Some(entry) = self.entries.get_mut(position) {
            entry.waiting.state = crate::DeliveryState::Waiting;
            entry.waiting.tally = tally;
        }
    }

    /// The delivery has ended: its lanes go on.
    pub(super) fn end(&mut self, position: Position, tried: Tried) {
        let Some(mut entry) = self.entries.remove(&position) else { return };
        entry.tell(tried);
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
        let Some(entry) = self.entries.get_mut(&position) else { return };
        entry.state = State::Waits;
        let lanes = entry.lanes.clone();
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
        for entry in self.entries.values_mut() {
            if !matches!(entry.state, State::Busy { .. }) {
                entry.tell_queued();
            }
        }
    }

    /// Sorts everything into lanes anew, under another order.
    pub(super) fn reorder(&mut self, order: Order) {
        if order == self.order {
            return;
        }
        self.order = order;
        self.by_key.clear();
        self.ready.clear();
        let positions: Vec<Position> = self.entries.keys().copied().collect();
        for position in &positions {
            let keys = self.entries.get(position).map(|entry| entry.waiting.keys.clone()).unwrap_or_default();
            let lanes = self.lanes_of(&keys);
            for lane in &lanes {
                self.by_key.entry(*lane).or_default().insert(*position);
            }
            if let Some(entry) = self.entries.get_mut(position) {
                entry.lanes = lanes;
            }
        }
        for position in positions {
            self.refresh_one(position);
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

    fn stand(&mut self, position: Position, state: State) -> bool {
        let Some(entry) = self.entries.get_mut(&position) else { return false };
        if let State::Rests(when) = entry.state {
            self.resting.remove(&(when, position));
        }
        entry.state = state;
        self.ready.remove(&position);
        true
    }

    fn tell_queued_from(&mut self, position: Position) {
        let lanes = self.entries.get(&position).map(|entry| entry.lanes.clone()).unwrap_or_default();
        let behind = lanes.iter().filter_map(|lane| self.by_key.get(lane));
        let behind: Vec<Position> =
            behind.flat_map(|standing| standing.range(position..)).copied().chain([position]).collect();
        for position in behind {
            if let Some(entry) = self.entries.get_mut(&position) {
                entry.tell_queued();
            }
        }
    }

    fn stands_behind_one_that_waits(&self, position: &Position, lanes: &[u64]) -> bool {
        lanes.iter().filter_map(|lane| self.by_key.get(lane)).filter_map(|lane| lane.first()).any(|first| {
            first < position
                && self.entries.get(first).is_some_and(|entry| {
                    matches!(entry.state, State::Rests(_) | State::Stopped)
                        || (entry.state == State::Follows && entry.leader_waits)
                })
        })
    }

    /// Looks again at an entry and at whoever is first in its lanes.
    fn refresh(&mut self, position: Position, lanes: &[u64]) {
        self.refresh_one(position);
        for lane in lanes {
            let mut front = self.by_key.get(lane).into_iter().flatten().copied();
            let (first, second) = (front.next(), front.next());
            drop(front);
            for position in [first, second].into_iter().flatten() {
                self.refresh_one(position);
            }
        }
    }

    fn refresh_one(&mut self, position: Position) {
        let Some(entry) = self.entries.get(&position) else { return };
        let goes =
            entry.state == State::Waits && entry.lanes.iter().all(|lane| self.is_free(*lane, position));
        if goes {
            self.ready.insert(position);
        } else {
            self.ready.remove(&position);
        }
    }

    /// Whether `position` is first in the lane, and no worker has another one of it.
    fn is_free(&self, lane: u64, position: Position) -> bool {
        let Some(standing) = self.by_key.get(&lane) else { return true };
        if standing.first() != Some(&position) {
            return false;
        }
        // One that came in front of one under way waits for it.
        standing.iter().nth(1).is_none_or(|second| {
            !matches!(self.entries.get(second).map(|entry| entry.state), Some(State::Busy { .. }))
        })
    }

    fn lanes_of(&self, keys: &[String]) -> Vec<u64> {
        match self.order {
            Order::None => Vec::new(),
            Order::Arrival => vec![0],
            Order::Key if keys.is_empty() => vec![lane("")],
            Order::Key => {
                let mut lanes: Vec<u64> = keys.iter().map(|key| lane(key)).collect();
                lanes.sort_unstable();
                lanes.dedup();
                lanes
            }
        }
    }
}

impl Entry {
    /// Whether nothing has to be found out before it is sent.
    fn is_untouched(&self) -> bool {
        self.waiting.state == crate::DeliveryState::Waiting && self.waiting.after.is_none()
    }

    fn tell(&mut self, tried: Tried) {
        if let Some(watcher) = self.watcher.take() {
            // A sender that no longer waits has its answer.
            let _ = watcher.tell.send(tried);
        }
    }

    fn tell_queued(&mut self) {
        if self.watcher.as_ref().is_some_and(|watcher| watcher.until == Until::FirstTry) {
            self.tell(Tried::Queued);
        }
    }

    pub(super) fn is_last_try(&self) -> bool {
        self.is_last_try
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(self.state, State::Busy { .. })
    }
}

fn lane(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// A wall clock time as an instant, if it is still to come.
fn until(when: std::time::SystemTime) -> Option<Instant> {
    let ahead = when.duration_since(std::time::SystemTime::now()).ok()?;
    Some(Instant::now() + ahead)
}
