//! Who stands where in the lanes, and who is at the front of all of them.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher},
};

use super::{Lanes, entry::State};
use crate::{Order, Position};

impl Lanes {
    /// Sorts everything into lanes anew, under another order.
    pub(in crate::outlet) fn reorder(&mut self, order: Order) {
        if order == self.order {
            return;
        }
        self.order = order;
        self.by_key.clear();
        self.ready.clear();
        self.gaps.join();
        self.count_islands();
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

    pub(super) fn count_islands(&mut self) {
        let after = self.gaps.beyond.map(|gap| gap.after);
        self.islands = after.map_or(0, |after| {
            self.entries.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded)).count()
        });
    }

    pub(super) fn stands_behind_one_that_waits(&self, position: &Position, lanes: &[u64]) -> bool {
        let in_front = lanes
            .iter()
            .filter_map(|lane| self.by_key.get(lane))
            .filter_map(|lane| lane.first())
            .any(|first| first < position && self.entries.get(first).is_some_and(super::Entry::holds_up));
        in_front || self.bar_before(*position, lanes).is_some()
    }

    /// Looks again at an entry and at whoever is first in its lanes.
    pub(super) fn refresh(&mut self, position: Position, lanes: &[u64]) {
        self.refresh_one(position);
        for lane in lanes {
            self.refresh_front(*lane);
        }
    }

    pub(super) fn refresh_front(&mut self, lane: u64) {
        let mut front = self.by_key.get(&lane).into_iter().flatten().copied();
        let (first, second) = (front.next(), front.next());
        drop(front);
        for position in [first, second].into_iter().flatten() {
            self.refresh_one(position);
        }
    }

    pub(super) fn refresh_one(&mut self, position: Position) {
        let Some(entry) = self.entries.get(&position) else { return };
        let goes = entry.state == State::Waits
            && !self.gaps.hide(position, &entry.lanes)
            && self.bar_before(position, &entry.lanes).is_none()
            && entry.lanes.iter().all(|lane| self.is_free(*lane, position));
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
        let stands_here = |other: &Position| self.get(other).is_some_and(|entry| entry.lanes.contains(&lane));
        !self.under_way.iter().any(|other| *other != position && stands_here(other))
    }

    pub(super) fn lanes_of(&self, keys: &[String]) -> Vec<u64> {
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

pub(super) fn lane(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
