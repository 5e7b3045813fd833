//! Listening sockets that outlive the source that uses them.

use std::{
    any::Any,
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::net::TcpListener;

/// Lends listening sockets, so that a reload opens its port without closing it first.
///
/// A socket closes when the last source that borrowed it lets go; a reload opens the new source
/// before it drops the old one.
#[derive(Clone, Default)]
pub struct Ports(Arc<Mutex<Lent>>);

#[derive(Default)]
struct Lent {
    sockets: HashMap<SocketAddr, Weak<TcpListener>>,
    shared: HashMap<SocketAddr, Weak<dyn Any + Send + Sync>>,
}

impl Ports {
    /// The listening socket of `address`: the one that is open, or a new one.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Arc<TcpListener>> {
        if let Some(open) = self.open(address) {
            return Ok(open);
        }
        let listener = Arc::new(TcpListener::bind(address).await?);
        self.lock().sockets.insert(address, Arc::downgrade(&listener));
        Ok(listener)
    }

    /// What those have in common who borrow the socket of one address, as long as one of them keeps it.
    pub fn shared<T: Any + Default + Send + Sync>(&self, address: SocketAddr) -> Arc<T> {
        if address.port() == 0 {
            return Arc::default();
        }
        let mut lent = self.lock();
        let there = lent.shared.get(&address).and_then(Weak::upgrade);
        if let Some(there) = there.and_then(|there| there.downcast::<T>().ok()) {
            return there;
        }
        let fresh = Arc::<T>::default();
        let kept: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(&fresh);
        lent.shared.insert(address, Arc::downgrade(&kept));
        fresh
    }

    fn open(&self, address: SocketAddr) -> Option<Arc<TcpListener>> {
        // Port 0 means a new port each time.
        if address.port() == 0 { None } else { self.lock().sockets.get(&address)?.upgrade() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
