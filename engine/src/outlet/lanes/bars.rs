//! Messages that wait for a code, and the deliveries that they hold back: younger ones of a key of theirs.

use std::collections::{BTreeSet, HashMap};

use super::{Lanes, standing::lane};
use crate::{MessageId, Order, Position};

#[derive(Default)]
pub(super) struct Bars {
    by_lane: HashMap<u64, BTreeSet<MessageId>>,
    /// Those whose keys nobody can say: they hold back every lane.
    all: BTreeSet<MessageId>,
    /// The lanes of each.
    lanes: HashMap<MessageId, Vec<u64>>,
}

impl Bars {
    /// The oldest that has to go before a message in these lanes.
    fn before(&self, message: MessageId, lanes: &[u64]) -> Option<MessageId> {
        let in_lanes = lanes.iter().filter_map(|lane| self.by_lane.get(lane)).filter_map(BTreeSet::first);
        in_lanes.chain(self.all.first()).copied().filter(|held| *held < message).min()
    }
}

impl Lanes {
    /// Holds back younger deliveries with a key of this message; `None`: all.
    pub(in crate::outlet) fn bar(&mut self, message: MessageId, keys: Option<&[String]>) {
        self.unbar(message);
        let Some(keys) = keys else {
            self.bars.all.insert(message);
            return self.refresh_ready();
        };
        let nothing = [String::new()];
        let keys = if keys.is_empty() { &nothing } else { keys };
        let lanes: Vec<u64> = keys.iter().map(|key| lane(key)).collect();
        for lane in &lanes {
            self.bars.by_lane.entry(*lane).or_default().insert(message);
            self.refresh_front(*lane);
        }
        self.bars.lanes.insert(message, lanes);
    }

    /// The message has gone on: what stood behind it may go.
    pub(in crate::outlet) fn unbar(&mut self, message: MessageId) {
        if self.bars.all.remove(&message) {
            let lanes: Vec<u64> = self.by_key.keys().copied().collect();
            for lane in lanes {
                self.refresh_front(lane);
            }
        }
        for lane in self.bars.lanes.remove(&message).unwrap_or_default() {
            if let Some(barring) = self.bars.by_lane.get_mut(&lane) {
                barring.remove(&message);
                if barring.is_empty() {
                    self.bars.by_lane.remove(&lane);
                }
            }
            self.refresh_front(lane);
        }
    }

    /// The message that has to go before this delivery and waits for a code.
    pub(in crate::outlet) fn barred_by(&self, position: &Position) -> Option<MessageId> {
        let entry = self.entries.get(position)?;
        self.bar_before(*position, &entry.lanes)
    }

    pub(super) fn bar_before(&self, position: Position, lanes: &[u64]) -> Option<MessageId> {
        if self.order == Order::Key { self.bars.before(position.message, lanes) } else { None }
    }

    fn refresh_ready(&mut self) {
        let ready: Vec<Position> = self.ready.iter().copied().collect();
        for position in ready {
            self.refresh_one(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tokio::time::Instant;

    use super::*;
    use crate::{DeliveryId, DeliveryState, ReadAhead, Tally, Waiting};

    fn lanes(order: Order, waiting: &[(u64, &[&str])]) -> Lanes {
        let mut lanes = Lanes::new(order, ReadAhead::default());
        lanes.count(crate::Extent::default());
        for (message, keys) in waiting {
            let position = Position { message: MessageId(*message), part: 0, delivery: DeliveryId(*message) };
            let waiting = Waiting {
                position,
                keys: keys.iter().map(|key| (*key).to_owned()).collect(),
                after: None,
                state: DeliveryState::Waiting,
                tally: Tally::default(),
                received: SystemTime::UNIX_EPOCH,
            };
            lanes.insert(waiting, None, None);
        }
        lanes
    }

    fn taken(lanes: &mut Lanes) -> Vec<u64> {
        std::iter::from_fn(|| lanes.take(None, Instant::now())).map(|position| position.message.0).collect()
    }

    #[test]
    fn a_held_message_holds_back_the_younger_ones_of_its_keys_and_no_others() {
        let mut lanes =
            lanes(Order::Key, &[(1, &["a"]), (3, &["b"]), (4, &["a", "c"]), (5, &["d"]), (6, &[])]);
        lanes.bar(MessageId(2), Some(&["a".to_owned()]));
        assert_eq!(taken(&mut lanes), [1, 3, 5, 6]);
        let first = Position { message: MessageId(1), part: 0, delivery: DeliveryId(1) };
        lanes.end(first, super::super::Tried::Queued);
        assert_eq!(taken(&mut lanes), [0; 0]);
        lanes.unbar(MessageId(2));
        assert_eq!(taken(&mut lanes), [4]);
    }

    #[test]
    fn one_whose_keys_nobody_can_say_holds_back_all_that_are_younger() {
        let mut lanes = lanes(Order::Key, &[(1, &["a"]), (3, &["b"]), (4, &["c"])]);
        lanes.bar(MessageId(2), None);
        assert_eq!(taken(&mut lanes), [1]);
        lanes.unbar(MessageId(2));
        assert_eq!(taken(&mut lanes), [3, 4]);
    }

    #[test]
    fn in_the_order_of_arrival_a_held_message_is_overtaken() {
        let mut lanes = lanes(Order::Arrival, &[(3, &[])]);
        lanes.bar(MessageId(2), None);
        assert_eq!(taken(&mut lanes), [3]);
    }

    #[test]
    fn one_without_a_key_holds_back_those_without_a_key() {
        let mut lanes = lanes(Order::Key, &[(3, &[]), (4, &["a"])]);
        lanes.bar(MessageId(2), Some(&[]));
        assert_eq!(taken(&mut lanes), [4]);
    }
}
