//! A million deliveries in one queue: how much of them is in memory, and what each costs.

use std::time::{Instant, SystemTime};

use super::{Lanes, Tried, standing::lane};
use crate::{DeliveryId, DeliveryState, Extent, MessageId, Order, Position, ReadAhead, Tally, Waiting};

const NUMBER: u64 = 1_000_000;

fn waiting(number: u64, keys: Vec<String>) -> Waiting {
    let position = Position { message: MessageId(number), part: 0, delivery: DeliveryId(number) };
    let (state, received) = (DeliveryState::Waiting, SystemTime::now());
    Waiting { position, keys, after: None, state, tally: Tally::default(), received }
}

/// Every other one has the key that is stuck.
fn keys(number: u64) -> Vec<String> {
    vec![if number.is_multiple_of(2) { "stuck".to_owned() } else { format!("patient {}", number % 5000) }]
}

fn empty(order: Order) -> Lanes {
    let mut lanes = Lanes::new(order, ReadAhead::default());
    lanes.count(Extent::default());
    lanes
}

/// Memory of this process, in KiB.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}

/// Sends everything that may go, as a worker does, from a store that is a list. Says how many went.
fn drain(lanes: &mut Lanes, store: &[Waiting], is_stuck: impl Fn(u64) -> bool) -> u64 {
    let mut sent = 0;
    loop {
        while let Some(position) = lanes.take(None, tokio::time::Instant::now()) {
            if is_stuck(position.message.0) {
                lanes.stop(position);
            } else {
                lanes.end(position, Tried::Dropped);
                sent += 1;
            }
        }
        let Some(wish) = lanes.wish(None) else { return sent };
        let behind = store.partition_point(|waiting| waiting.position <= wish.after);
        let fits = |waiting: &&Waiting| wish.key.as_ref().is_none_or(|key| waiting.has_key(key));
        let page = store[behind..].iter().filter(fits).take(wish.limit).cloned().collect();
        lanes.take_in(&wish, page);
    }
}

#[test]
fn memory_holds_the_front_of_a_queue_and_counts_the_rest() {
    for order in [Order::Arrival, Order::Key, Order::None] {
        let mut lanes = empty(order);
        let store: Vec<Waiting> = (1..=100_000).map(|number| waiting(number, keys(number))).collect();
        for waiting in &store {
            lanes.insert(waiting.clone(), None, None);
        }
        assert_eq!(lanes.depth(), 100_000);
        assert!(lanes.len() <= ReadAhead::default().deliveries);
        assert_eq!(drain(&mut lanes, &store, |_| false), 100_000);
        assert_eq!((lanes.depth(), lanes.len()), (0, 0));
    }
}

#[test]
fn a_key_that_is_stuck_takes_the_room_of_a_few() {
    let store: Vec<Waiting> = (1..=100_000).map(|number| waiting(number, keys(number))).collect();
    let mut lanes = Lanes::new(Order::Key, ReadAhead::default());
    lanes.count(Extent { deliveries: 100_000, last: store.last().map(|waiting| waiting.position) });
    assert_eq!(drain(&mut lanes, &store, |number| number.is_multiple_of(2)), 50_000);
    assert_eq!((lanes.depth(), lanes.len()), (50_000, ReadAhead::default().of_a_key));
    assert!(lanes.gaps.cuts.keys().eq([&lane("stuck")]));
}

/// `cargo test --release -p engine million -- --ignored --nocapture`
#[test]
#[ignore = "prints what a million cost"]
fn what_a_million_cost() {
    for order in [Order::Arrival, Order::Key] {
        let (mut lanes, before) = (empty(order), resident());
        let began = Instant::now();
        for number in 1..=NUMBER {
            lanes.insert(waiting(number, keys(number)), None, None);
        }
        let each = began.elapsed() / NUMBER as u32;
        println!("{order:?}: {} KiB, {each:?} to insert one", resident().saturating_sub(before));
        let store: Vec<Waiting> = (1..=NUMBER).map(|number| waiting(number, keys(number))).collect();
        let began = Instant::now();
        let stuck = if order == Order::Key { 2 } else { u64::MAX };
        let sent = drain(&mut lanes, &store, |number| number.is_multiple_of(stuck));
        println!("{sent} sent, {:?} each; {} still wait", began.elapsed() / sent as u32, lanes.depth());
    }
}
