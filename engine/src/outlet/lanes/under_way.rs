//! What comes in front of a delivery that a worker has: a person sent it again, or what it follows was sent at last.

use std::time::SystemTime;

use tokio::time::Instant;

use super::Lanes;
use crate::{DeliveryId, DeliveryState, Extent, MessageId, Order, Position, ReadAhead, Tally, Waiting};

fn waiting(number: u64) -> Waiting {
    let position = Position { message: MessageId(number), part: 0, delivery: DeliveryId(number) };
    let (state, received) = (DeliveryState::Waiting, SystemTime::now());
    Waiting { position, keys: vec!["IPP1".to_owned()], after: None, state, tally: Tally::default(), received }
}

/// A worker has the third of one patient when these come back.
fn in_front(orders: &[u64]) -> (Lanes, Position) {
    let mut lanes = Lanes::new(Order::Key, ReadAhead::default());
    lanes.count(Extent::default());
    lanes.insert(waiting(3), None, None);
    let under_way = lanes.take(None, Instant::now()).unwrap();
    for number in orders {
        lanes.insert(waiting(*number), None, None);
    }
    (lanes, under_way)
}

#[test]
fn two_that_come_in_front_of_one_under_way_wait_for_it() {
    for orders in [[1, 2], [2, 1]] {
        let (mut lanes, under_way) = in_front(&orders);
        assert_eq!(lanes.take(None, Instant::now()), None, "two of one lane would be under way");
        lanes.end(under_way, super::Tried::Dropped);
        assert_eq!(lanes.take(None, Instant::now()), Some(waiting(1).position));
    }
}

#[test]
fn what_came_in_front_goes_when_the_one_under_way_stops_or_rests() {
    let ends: [fn(&mut Lanes, Position); 3] = [
        |lanes, position| lanes.stop(position),
        |lanes, position| lanes.rest(position, Instant::now() + std::time::Duration::from_hours(1)),
        |lanes, position| lanes.follow(position),
    ];
    for end in ends {
        for orders in [&[1][..], &[1, 2]] {
            let (mut lanes, under_way) = in_front(orders);
            end(&mut lanes, under_way);
            assert_eq!(lanes.take(None, Instant::now()), Some(waiting(1).position));
        }
    }
}
