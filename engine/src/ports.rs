//! Listening sockets that outlive the source that uses them.

use std::{
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
pub struct Ports(Arc<Mutex<HashMap<SocketAddr, Weak<TcpListener>>>>);

impl Ports {
    /// The listening socket of `address`: the one that is open, or a new one.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Arc<TcpListener>> {
        if let Some(open) = self.open(address) {
            return Ok(open);
        }
        let listener = Arc::new(TcpListener::bind(address).await?);
        self.lock().insert(address, Arc::downgrade(&listener));
        Ok(listener)
    }

    fn open(&self, address: SocketAddr) -> Option<Arc<TcpListener>> {
        // Port 0 means a new port each time.
        if address.port() == 0 { None } else { self.lock().get(&address)?.upgrade() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Weak<TcpListener>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
