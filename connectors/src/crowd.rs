//! How many connections are open, and whose turn it is to go when there are too many.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use engine::{Connections, Stop};

use crate::{watched::watched, wire::Wire};

/// The open connections of one source.
pub(crate) struct Crowd {
    most: usize,
    most_per_address: usize,
    /// The channel's.
    open: Connections,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Taken>,
}

struct Taken {
    address: IpAddr,
    /// `None` while a message is under way.
    idle_since: Option<Instant>,
    leave: Stop,
}

/// One connection's place, until it is dropped.
pub(crate) struct Seat {
    crowd: Arc<Crowd>,
    number: u64,
    leave: Stop,
}

impl Crowd {
    pub(crate) fn new(most: usize, most_per_address: usize, open: Connections) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, open, seats: Mutex::default() })
    }

    /// A place for a new connection. When there is none, the connection of the same address that was idle
    /// longest makes room; `None` where no such one is idle.
    pub(crate) fn seat(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let mut seats = self.lock();
        let neighbours = seats.taken.values().filter(|taken| taken.address == address).count();
        if neighbours >= self.most_per_address || seats.taken.len() >= self.most {
            let number = seats.longest_idle(address)?;
            let evicted = seats.taken.remove(&number)?;
            evicted.leave.request();
        }
        let (number, leave) = (seats.next, Stop::default());
        seats.next += 1;
        seats.taken.insert(number, Taken { address, idle_since: Some(Instant::now()), leave: leave.clone() });
        self.open.enter();
        Some(Seat { crowd: Arc::clone(self), number, leave })
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn longest_idle(&self, address: IpAddr) -> Option<u64> {
        self.taken
            .iter()
            .filter(|(_, taken)| taken.address == address)
            .filter_map(|(number, taken)| Some((taken.idle_since?, *number)))
            .min()
            .map(|(_, number)| number)
    }
}

impl Seat {
    /// A message is under way: this one is not to be closed for another.
    pub(crate) fn busy(&self) {
        self.set(None);
    }

    pub(crate) fn idle(&self) {
        self.set(Some(Instant::now()));
    }

    /// Shows who sits there, and when the last bytes came and went.
    pub(crate) fn watch(&self, wire: Wire) -> Wire {
        watched(wire, &self.crowd.open)
    }

    /// Returns when another connection needs the place.
    pub(crate) async fn wanted(&self) {
        self.leave.requested().await;
    }

    fn set(&self, idle_since: Option<Instant>) {
        if let Some(taken) = self.crowd.lock().taken.get_mut(&self.number) {
            taken.idle_since = idle_since;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.lock().taken.remove(&self.number);
        self.crowd.open.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn the_longest_idle_of_the_same_address_makes_room() {
        let open = Connections::default();
        let crowd = Crowd::new(10, 2, open.clone());
        let first = crowd.seat(HERE).unwrap();
        let second = crowd.seat(HERE).unwrap();
        first.idle();
        let third = crowd.seat(HERE).unwrap();
        assert!(second.leave.is_requested() && !first.leave.is_requested() && !third.leave.is_requested());
        drop(second);
        assert_eq!(open.senders(), 2);
    }

    #[test]
    fn nobody_makes_room_who_is_busy_or_another_peer() {
        let crowd = Crowd::new(2, 2, Connections::default());
        let other = crowd.seat(THERE).unwrap();
        let busy = crowd.seat(HERE).unwrap();
        busy.busy();
        assert!(crowd.seat(HERE).is_none());
        assert!(!other.leave.is_requested() && !busy.leave.is_requested());
        drop(busy);
        assert!(crowd.seat(HERE).is_some());
    }
}
