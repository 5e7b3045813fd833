//! What is left out of memory, and how it is read on.

use std::ops::Bound::{Excluded, Included, Unbounded};

use super::{
    Entry, Lanes, Until, Watcher,
    gaps::{self, Gap, Gaps},
    standing::lane,
};
use crate::{Extent, MessageId, Order, Position, Waiting};

/// A page that the lanes want to have read.
pub(in crate::outlet) struct Wish {
    /// Of one lane, by its key; else of the whole queue.
    pub(in crate::outlet) key: Option<String>,
    pub(in crate::outlet) after: Position,
    pub(in crate::outlet) limit: usize,
    upto: Position,
    /// The oldest message that was open before the page was read: what it and younger ones have comes by itself, or is
    /// known to come in a later page.
    before: Option<MessageId>,
}

impl Wish {
    fn covers(&self, position: Position) -> bool {
        position <= self.upto && self.before.is_none_or(|before| position.message < before)
    }

    /// How far a page reaches that was the last.
    fn end(&self) -> Position {
        self.before.map_or(self.upto, |before| self.upto.min(gaps::before_message(before)))
    }
}

impl Lanes {
    /// Takes note of how much waits in the store, before anything is read. Once.
    pub(in crate::outlet) fn count(&mut self, extent: Extent) {
        let first = self.gaps.beyond.map(|gap| gap.after);
        // What came while the store counted is not in its count, perhaps.
        let came = (self.gaps.unread > 0).then_some(self.newest);
        let last = extent.last.max(came);
        self.is_counted = true;
        self.gaps = Gaps { unread: extent.deliveries as i64, ..Gaps::default() };
        self.gaps.beyond = last.zip(first).map(|(upto, after)| Gap { after, upto });
        self.newest = self.newest.max(last.unwrap_or(self.newest));
        self.count_islands();
    }

    pub(in crate::outlet) fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// Whether a delivery may wait in the store alone.
    pub(in crate::outlet) fn may_be_unread(&self, position: Position) -> bool {
        !self.contains(&position) && self.gaps.may_hold(position)
    }

    /// One that waited in the store alone waits no more.
    pub(in crate::outlet) fn end_unread(&mut self, position: Position) {
        self.gaps.unread -= 1;
        self.gaps.note_end(position);
        self.gaps.unblock();
    }

    /// Whether there is something to read, and room for it.
    pub(in crate::outlet) fn wants_more(&self) -> bool {
        self.is_counted && (!self.gaps.hungry.is_empty() || (self.gaps.beyond.is_some() && self.has_space()))
    }

    /// The next page to read, if one may be read while this message is the oldest that is open.
    pub(in crate::outlet) fn wish(&mut self, first_open: Option<MessageId>) -> Option<Wish> {
        if !self.is_counted {
            return None;
        }
        let front = self.gaps.readable(first_open).filter(|_| self.has_space());
        let has_work = self.entries.len() >= self.ahead.deliveries / 2;
        let full: Vec<u64> = self.gaps.hungry.iter().filter(|lane| !self.has_room(**lane)).copied().collect();
        for lane in full {
            self.gaps.feed(lane, false);
        }
        let before = first_open;
        let of_lane = self.gaps.hungry_lane(first_open).map(|(_, cut)| Wish {
            key: Some(cut.key.clone()),
            after: cut.gap.after,
            upto: cut.gap.upto,
            before,
            limit: self.ahead.of_a_key.max(1),
        });
        let of_queue = front.map(|gap| Wish {
            key: None,
            after: gap.after,
            upto: gap.upto,
            before,
            limit: self.ahead.page.max(1),
        });
        let wish = if has_work { of_lane.or(of_queue) } else { of_queue.or(of_lane) };
        self.gaps.ended = wish.as_ref().map(|_| std::collections::BTreeSet::new());
        wish
    }

    /// What was wished for could not be read.
    pub(in crate::outlet) fn is_not_read(&mut self) {
        self.gaps.ended = None;
    }

    /// Takes in what was read.
    pub(in crate::outlet) fn take_in(&mut self, wish: &Wish, page: Vec<Waiting>) {
        match &wish.key {
            None => self.take_in_queue(wish, page),
            Some(key) => self.take_in_lane(lane(key), wish, page),
        }
        self.gaps.settle();
        self.gaps.ended = None;
    }

    fn take_in_queue(&mut self, wish: &Wish, page: Vec<Waiting>) {
        if self.gaps.beyond.is_none_or(|gap| gap.after != wish.after) {
            return;
        }
        let mut is_last = page.len() < wish.limit;
        let mut reached = wish.after;
        for waiting in page {
            let position = waiting.position;
            if !wish.covers(position) {
                is_last = true;
                break;
            }
            reached = position;
            if !self.is_known(position) {
                self.read(waiting);
            }
        }
        if is_last {
            reached = wish.end().max(wish.after);
        }
        self.gaps.beyond =
            self.gaps.beyond.map(|gap| Gap { after: reached, ..gap }).filter(|gap| gap.after < gap.upto);
        let upto = if self.gaps.beyond.is_some() { Included(reached) } else { Unbounded };
        let read: Vec<Position> =
            self.entries.range((Excluded(wish.after), upto)).map(|(at, _)| *at).collect();
        for position in read {
            self.refresh_one(position);
        }
        self.count_islands();
    }

    /// One of a page of the queue: into memory, or into the gaps of its lanes.
    fn read(&mut self, waiting: Waiting) {
        let lanes = self.lanes_of(&waiting.keys);
        if self.is_cut_off(waiting.position, &lanes) {
            return self.cut(waiting.position, &waiting.keys);
        }
        self.gaps.unread -= 1;
        self.put(Entry::new(waiting, None, lanes, None));
    }

    fn take_in_lane(&mut self, lane: u64, wish: &Wish, page: Vec<Waiting>) {
        if self.gaps.cuts.get(&lane).is_none_or(|cut| cut.gap.after != wish.after) {
            return;
        }
        let is_short = page.len() < wish.limit;
        let mut reached = None;
        for waiting in page {
            let position = waiting.position;
            if !wish.covers(position) {
                reached = Some(wish.end());
                break;
            }
            if self.is_known(position) {
                reached = Some(position);
                continue;
            }
            let lanes = self.lanes_of(&waiting.keys);
            if self.is_blocked(position, lane, &lanes) {
                self.advance(lane, gaps::just_before(position));
                return self.gaps.block(lane);
            }
            self.gaps.unread -= 1;
            self.put(Entry::new(waiting, None, lanes.clone(), None));
            for lane in lanes {
                self.advance(lane, position);
            }
            reached = Some(position);
        }
        let reached = if is_short { Some(wish.end()) } else { reached };
        self.advance(lane, reached.unwrap_or(wish.after));
    }

    /// Whether another lane must be read before this one goes on.
    fn is_blocked(&self, position: Position, lane: u64, lanes: &[u64]) -> bool {
        let before = gaps::just_before(position);
        lanes.iter().filter(|other| **other != lane).any(|other| {
            self.gaps.is_cut_before(*other, before)
                || (self.gaps.cuts.contains_key(other) && self.is_full(*other))
        })
    }

    fn advance(&mut self, lane: u64, reached: Position) {
        let after = self.gaps.cuts.get(&lane).map(|cut| cut.gap.after);
        self.gaps.read_lane(lane, reached);
        if let (Some(after), Some(standing)) = (after, self.by_key.get(&lane)) {
            let upto =
                if self.gaps.cuts.contains_key(&lane) { Included(reached.max(after)) } else { Unbounded };
            let read: Vec<Position> = standing.range((Excluded(after), upto)).copied().collect();
            for position in read {
                self.refresh_one(position);
            }
        }
        self.gaps.feed(lane, self.has_room(lane));
    }

    fn is_known(&self, position: Position) -> bool {
        self.contains(&position) || self.gaps.ended.as_ref().is_some_and(|ended| ended.contains(&position))
    }

    /// Whether a delivery that comes is left in the store, for now.
    pub(super) fn is_left_out(&self, position: Position, lanes: &[u64]) -> bool {
        if self.gaps.is_beyond(position) {
            return !self.is_closing();
        }
        self.is_behind_a_full_window(position) || self.is_cut_off(position, lanes)
    }

    /// The gap is about to be read to its end: what comes now stands behind it in memory already, so that it ends.
    fn is_closing(&self) -> bool {
        self.is_counted
            && self.gaps.unread <= self.ahead.page as i64
            && self.entries.len() < self.ahead.deliveries
    }

    /// The newest go first when memory is full; far beyond that, whoever comes.
    fn is_behind_a_full_window(&self, position: Position) -> bool {
        let most = self.ahead.deliveries.max(1);
        let number = self.entries.len();
        number >= 2 * most || (number >= most && self.newest < position)
    }

    /// Whether a lane of its own has a gap before it, or is full.
    fn is_cut_off(&self, position: Position, lanes: &[u64]) -> bool {
        let stands_last = |lane: &u64| {
            self.by_key.get(lane).and_then(|standing| standing.last()).is_some_and(|last| *last < position)
        };
        self.order == Order::Key
            && lanes.iter().any(|lane| {
                self.gaps.is_cut_before(*lane, position) || (self.is_full(*lane) && stands_last(lane))
            })
    }

    /// Whether somebody waits for it who must not hear that it is queued.
    pub(super) fn is_waited_for(
        &self,
        position: &Position,
        lanes: &[u64],
        watcher: Option<&Watcher>,
    ) -> bool {
        match watcher.map(|watcher| watcher.until) {
            // It has no queue to wait in: it is taken out when its sender's wait ends.
            Some(Until::End) => true,
            Some(Until::FirstTry) => {
                self.entries.len() < 2 * self.ahead.deliveries
                    && !self.stands_behind_one_that_waits(position, lanes)
            }
            None => false,
        }
    }

    pub(super) fn leave_out(&mut self, position: Position, keys: &[String], lanes: &[u64]) {
        self.gaps.unread += 1;
        let is_behind = self.gaps.is_beyond(position) || self.is_behind_a_full_window(position);
        if !is_behind && self.is_cut_off(position, lanes) {
            return self.cut(position, keys);
        }
        let Some(after) = self.gaps.widen(position) else { return };
        self.ready.retain(|ready| *ready <= after);
        self.count_islands();
    }

    /// Leaves a delivery out of all its lanes: none of them overtakes it.
    fn cut(&mut self, position: Position, keys: &[String]) {
        let nothing = [String::new()];
        for key in if keys.is_empty() { &nothing } else { keys } {
            let lane = lane(key);
            self.gaps.cut(lane, key, position);
            self.gaps.feed(lane, self.has_room(lane));
            self.refresh_front(lane);
        }
    }

    /// Whether a page more has its place in memory.
    fn has_space(&self) -> bool {
        let front = self.entries.len() - self.islands;
        let most = self.ahead.deliveries.max(self.ahead.page);
        front + self.ahead.page <= most && self.gaps.cuts.len() < most
    }

    /// How many of a lane stand before its gap, as far as that matters.
    fn standing(&self, lane: u64) -> usize {
        let Some(standing) = self.by_key.get(&lane) else { return 0 };
        let Some(cut) = self.gaps.cuts.get(&lane) else { return standing.len() };
        standing.range(..=cut.gap.after).take(self.ahead.of_a_key.max(1)).count()
    }

    fn is_full(&self, lane: u64) -> bool {
        self.standing(lane) >= self.ahead.of_a_key.max(1)
    }

    pub(super) fn has_room(&self, lane: u64) -> bool {
        self.standing(lane) <= self.ahead.of_a_key / 2
    }
}
