//! How often somebody may be wrong: sign-ins are slowed by name and by address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Failures are forgotten after this.
const WINDOW: Duration = Duration::from_mins(5);

/// As many as are remembered; more addresses than this are an attack, and wait for the window.
const MOST: usize = 10_000;

/// Of one name from one address, of one address, of one name from everywhere.
const LIMITS: [u32; 3] = [5, 20, 100];

#[derive(Debug, Clone, Copy)]
struct Failures {
    number: u32,
    since: Instant,
}

#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<String, Failures>>);

impl Attempts {
    /// Counted before it is known whether it is a failure: many at once count too. Says how long to wait, where this
    /// name at this address must.
    pub(super) fn begin(&self, name: &str, from: IpAddr) -> Result<(), Duration> {
        self.count(keys(name, from).into_iter().zip(LIMITS).collect())
    }

    /// The same for who comes from elsewhere and is not known by a name.
    pub(super) fn begin_at(&self, from: IpAddr) -> Result<(), Duration> {
        let [_, address, _] = keys("", from);
        self.count(vec![(address, LIMITS[1])])
    }

    /// It was none.
    pub(super) fn succeeded_at(&self, from: IpAddr) {
        let [_, address, _] = keys("", from);
        if let Some(failures) = self.0.lock().expect("no holder of this lock panics").get_mut(&address) {
            failures.number = failures.number.saturating_sub(1);
        }
    }

    fn count(&self, limited: Vec<(String, u32)>) -> Result<(), Duration> {
        let mut kept = self.0.lock().expect("no holder of this lock panics");
        kept.retain(|_, failures| failures.since.elapsed() < WINDOW);
        if kept.len() >= MOST {
            return Err(WINDOW);
        }
        let waits = limited.iter().filter_map(|(key, limit)| {
            let failures = kept.get(key)?;
            (failures.number >= *limit).then(|| WINDOW.saturating_sub(failures.since.elapsed()))
        });
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
        for (key, _) in limited {
            let failures = kept.entry(key).or_insert(Failures { number: 0, since: Instant::now() });
            failures.number += 1;
        }
        Ok(())
    }

    /// It was none.
    pub(super) fn succeeded(&self, name: &str, from: IpAddr) {
        let mut kept = self.0.lock().expect("no holder of this lock panics");
        for key in keys(name, from) {
            if let Some(failures) = kept.get_mut(&key) {
                failures.number = failures.number.saturating_sub(1);
            }
        }
        kept.remove(&keys(name, from)[0]);
    }
}

fn keys(name: &str, from: IpAddr) -> [String; 3] {
    // A name is at most as long as an account's.
    let name: String = name.chars().take(64).collect();
    let from = network(from);
    [format!("both {from} {name}"), format!("address {from}"), format!("name {name}")]
}

/// Of IPv6 a subscriber has at least the last 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_failures_a_name_waits_at_its_address_and_nowhere_else() {
        let (attempts, here, there) =
            (Attempts::default(), IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..5 {
            assert!(attempts.begin("ada", here).is_ok());
        }
        assert!(attempts.begin("ada", here).is_err());
        assert!(attempts.begin("ada", there).is_ok());
        assert!(attempts.begin("bob", here).is_ok());
    }

    #[test]
    fn an_address_that_tries_many_names_waits() {
        let (attempts, here) = (Attempts::default(), IpAddr::from([10, 0, 0, 1]));
        for number in 0..20 {
            assert!(attempts.begin(&format!("name{number}"), here).is_ok());
        }
        assert!(attempts.begin("ada", here).is_err());
    }

    #[test]
    fn who_was_right_begins_anew() {
        let (attempts, here) = (Attempts::default(), IpAddr::from([10, 0, 0, 1]));
        for _ in 0..50 {
            assert!(attempts.begin("ada", here).is_ok());
            attempts.succeeded("ada", here);
        }
    }

    #[test]
    fn who_has_a_whole_network_of_addresses_is_one() {
        let attempts = Attempts::default();
        let at = |host: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, host]);
        for host in 0..20 {
            assert!(attempts.begin(&format!("name{host}"), at(host)).is_ok());
        }
        assert!(attempts.begin("ada", at(99)).is_err());
    }
}
