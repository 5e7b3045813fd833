//! What waits in the store and not in memory.
//!
//! Memory holds the front of a queue. What it leaves out lies in gaps: one behind the part of the queue that was
//! read, and one in each lane that has more deliveries than memory keeps of a lane. A delivery behind a gap of its own
//! does not go, whatever stands in memory: so no gap lets a younger one overtake.

use std::collections::{BTreeSet, HashMap};

use crate::{DeliveryId, MessageId, Position};

/// Whatever is not in memory lies behind `after`, and not behind `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) after: Position,
    pub(super) upto: Position,
}

/// The gap of one lane.
pub(super) struct Cut {
    pub(super) gap: Gap,
    pub(super) key: String,
}

#[derive(Default)]
pub(super) struct Gaps {
    /// Behind the part of the queue that was read.
    pub(super) beyond: Option<Gap>,
    pub(super) cuts: HashMap<u64, Cut>,
    /// Lanes with a gap and with room.
    pub(super) hungry: BTreeSet<u64>,
    /// Lanes whose next delivery stands behind the gap of another lane, or in one without room.
    pub(super) blocked: BTreeSet<u64>,
    /// How many deliveries lie in gaps. Below zero between the reading of a new one and the word that it is new.
    pub(super) unread: i64,
    /// What ended while a page is being read: the page may still name it.
    pub(super) ended: Option<BTreeSet<Position>>,
}

impl Gap {
    /// The gap that holds one delivery.
    pub(super) fn of(position: Position) -> Self {
        Self { after: just_before(position), upto: position }
    }

    /// Widens it, so that it holds this one too.
    pub(super) fn take_in(&mut self, position: Position) {
        self.after = self.after.min(just_before(position));
        self.upto = self.upto.max(position);
    }

    fn holds(&self, position: Position) -> bool {
        self.after < position && position <= self.upto
    }

    fn may_be_read(&self, first_open: Option<MessageId>) -> bool {
        first_open.is_none_or(|open| self.after < before_message(open))
    }
}

impl Gaps {
    /// Everything that waits is in the store, and nobody knows how much that is.
    pub(super) fn unknown() -> Self {
        let last = Position { message: MessageId(u64::MAX), part: u32::MAX, delivery: DeliveryId(u64::MAX) };
        let everything = Gap { after: before_message(MessageId(0)), upto: last };
        Self { beyond: Some(everything), ..Self::default() }
    }

    pub(super) fn is_beyond(&self, position: Position) -> bool {
        self.beyond.is_some_and(|gap| gap.after < position)
    }

    pub(super) fn is_cut_before(&self, lane: u64, position: Position) -> bool {
        self.cuts.get(&lane).is_some_and(|cut| cut.gap.after < position)
    }

    /// Whether something that is not in memory may have to go before this one.
    pub(super) fn hide(&self, position: Position, lanes: &[u64]) -> bool {
        self.is_beyond(position) || lanes.iter().any(|lane| self.is_cut_before(*lane, position))
    }

    /// Whether this one may lie in a gap.
    pub(super) fn may_hold(&self, position: Position) -> bool {
        let lanes = self.cuts.values().map(|cut| cut.gap);
        self.beyond.into_iter().chain(lanes).any(|gap| gap.holds(position))
    }

    /// One of all gaps, where lanes are no longer what they were.
    pub(super) fn join(&mut self) {
        for (_, cut) in self.cuts.drain() {
            let Some(beyond) = &mut self.beyond else {
                self.beyond = Some(cut.gap);
                continue;
            };
            beyond.after = beyond.after.min(cut.gap.after);
            beyond.upto = beyond.upto.max(cut.gap.upto);
        }
        self.hungry.clear();
        self.blocked.clear();
    }

    /// Leaves out a delivery and whatever lies behind it; says where the gap begins now, if it has moved. The gaps of
    /// lanes lie before that of the queue.
    pub(super) fn widen(&mut self, position: Position) -> Option<Position> {
        if let Some(beyond) = self.beyond.as_mut().filter(|beyond| beyond.after < position) {
            beyond.take_in(position);
            return None;
        }
        let beyond = self.beyond.get_or_insert(Gap::of(position));
        beyond.take_in(position);
        let after = beyond.after;
        if self.cuts.values().any(|cut| cut.gap.upto > after) {
            self.join();
        }
        self.beyond.map(|beyond| beyond.after)
    }

    pub(super) fn cut(&mut self, lane: u64, key: &str, position: Position) {
        let gap = Gap::of(position);
        self.cuts.entry(lane).or_insert_with(|| Cut { gap, key: key.to_owned() }).gap.take_in(position);
    }

    /// Everything of a lane up to here is in memory.
    pub(super) fn read_lane(&mut self, lane: u64, reached: Position) {
        let Some(cut) = self.cuts.get_mut(&lane) else { return };
        if reached <= cut.gap.after {
            return;
        }
        cut.gap.after = reached;
        if cut.gap.after >= cut.gap.upto {
            self.cuts.remove(&lane);
            self.hungry.remove(&lane);
        }
        self.unblock();
    }

    pub(super) fn block(&mut self, lane: u64) {
        self.blocked.insert(lane);
        self.hungry.remove(&lane);
    }

    /// Something has moved that a lane may be waiting for.
    pub(super) fn unblock(&mut self) {
        for lane in std::mem::take(&mut self.blocked) {
            if self.cuts.contains_key(&lane) {
                self.hungry.insert(lane);
            }
        }
    }

    /// Takes note of whether a lane has room: one with a gap is read on then.
    pub(super) fn feed(&mut self, lane: u64, has_room: bool) {
        if !self.cuts.contains_key(&lane) {
            return;
        }
        if !has_room {
            self.hungry.remove(&lane);
        } else if !self.blocked.contains(&lane) && self.hungry.insert(lane) {
            self.unblock();
        }
    }

    /// A lane that may be read on.
    pub(super) fn hungry_lane(&self, first_open: Option<MessageId>) -> Option<(u64, &Cut)> {
        let cuts = self.hungry.iter().filter_map(|lane| Some((*lane, self.cuts.get(lane)?)));
        cuts.into_iter().find(|(_, cut)| cut.gap.may_be_read(first_open))
    }

    /// What lies behind the part that was read, if it may be read now.
    pub(super) fn readable(&self, first_open: Option<MessageId>) -> Option<Gap> {
        self.beyond.filter(|gap| gap.may_be_read(first_open))
    }

    pub(super) fn note_end(&mut self, position: Position) {
        if let Some(ended) = &mut self.ended {
            ended.insert(position);
        }
    }

    /// With no gap left, nothing is unread.
    pub(super) fn settle(&mut self) {
        if self.beyond.is_none() && self.cuts.is_empty() {
            self.unread = 0;
        }
    }
}

/// The place before a delivery; no delivery has the number 0.
pub(super) fn just_before(position: Position) -> Position {
    Position { delivery: DeliveryId(position.delivery.0.saturating_sub(1)), ..position }
}

/// The place before all deliveries of a message.
pub(super) fn before_message(message: MessageId) -> Position {
    Position { message, part: 0, delivery: DeliveryId(0) }
}
