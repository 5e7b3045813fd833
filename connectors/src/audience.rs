//! Who is shown a connection that several channels share: each of them, for as long as it uses it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use engine::{Connected, Connections};

/// Those who use a connection, whether it is open or not.
#[derive(Default)]
pub(crate) struct Audience(Mutex<Users>);

#[derive(Default)]
struct Users {
    next: u64,
    all: BTreeMap<u64, Connections>,
    /// It is open as long as somebody has it.
    open: Weak<Shown>,
}

/// A connection that is open, and those who are shown it.
pub(crate) struct Shown {
    own: Connected,
    places: Mutex<BTreeMap<u64, Connected>>,
}

/// Somebody uses it, until this is dropped.
pub(crate) struct Place {
    audience: Arc<Audience>,
    number: u64,
}

impl Audience {
    pub(crate) fn join(self: &Arc<Self>, among: &Connections) -> Place {
        let mut users = self.users();
        let number = users.next;
        users.next += 1;
        users.all.insert(number, among.clone());
        if let Some(shown) = users.open.upgrade() {
            shown.places().insert(number, shown.own.also(among));
        }
        Place { audience: Arc::clone(self), number }
    }

    /// It is open: everybody who uses it is shown it, as long as what is given back lives.
    pub(crate) fn opened(&self, peer: SocketAddr) -> Arc<Shown> {
        let mut users = self.users();
        let own = Connections::default().show(peer, None);
        let places = users.all.iter().map(|(number, among)| (*number, own.also(among))).collect();
        let shown = Arc::new(Shown { own, places: Mutex::new(places) });
        users.open = Arc::downgrade(&shown);
        shown
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    /// Noted without a lock.
    pub(crate) fn came(&self) {
        self.own.came();
    }

    pub(crate) fn went(&self) {
        self.own.went();
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<u64, Connected>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = self.audience.users();
        users.all.remove(&self.number);
        if let Some(shown) = users.open.upgrade() {
            shown.places().remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(of: &Connections) -> Vec<SocketAddr> {
        of.view(10).0.into_iter().map(|view| view.peer).collect()
    }

    #[test]
    fn each_user_is_shown_it_from_when_it_comes_until_it_goes_or_it_is_closed() {
        let (audience, peer) = (Arc::new(Audience::default()), SocketAddr::from(([10, 0, 0, 9], 22)));
        let (first, second) = (Connections::default(), Connections::default());
        let _place = audience.join(&first);
        assert!(peers(&first).is_empty());
        let shown = audience.opened(peer);
        let later = audience.join(&second.to("record"));
        shown.came();
        assert_eq!((peers(&first), peers(&second)), (vec![peer], vec![peer]));
        let seen = &second.view(1).0[0];
        assert!(seen.came.is_some() && seen.went.is_none() && seen.destination.as_deref() == Some("record"));
        drop(later);
        assert_eq!((peers(&first), peers(&second)), (vec![peer], vec![]));
        drop(shown);
        assert!(peers(&first).is_empty());
        let again = audience.opened(peer);
        assert_eq!(peers(&first), [peer]);
        drop(again);
    }
}
