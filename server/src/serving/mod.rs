//! The listening socket of console, API, metrics and probes.

mod door;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use channels::ServerSettings;
use engine::Stop;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{api, key, station::Station};

use door::Door;

/// How long to wait before a port in use is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long answers under way may take when the process ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The server's HTTP side. The channels carry messages without it.
pub(crate) struct Serving {
    address: Arc<OnceLock<String>>,
    station: Arc<Station>,
    stop: Stop,
    task: JoinHandle<()>,
}

impl Serving {
    /// Listens, now or as soon as the port is free.
    pub(crate) async fn begin(settings: &ServerSettings, station: Arc<Station>) -> Self {
        let address = Arc::new(OnceLock::new());
        let stop = Stop::default();
        let listener = TcpListener::bind(settings.listen).await;
        match &listener {
            Ok(listener) => announce(&station, &address, listener),
            Err(error) => {
                tracing::warn!(listen = %settings.listen, %error, "cannot listen; will try again");
            }
        }
        let (listen, ended) = (settings.listen, stop.clone());
        let (said, there) = (Arc::clone(&address), Arc::clone(&station));
        let task = tokio::spawn(async move {
            if let Ok(listener) = listener {
                serve(listener, &there, ended).await;
            } else if let Some(listener) = listen_at_last(listen, &ended).await {
                announce(&there, &said, &listener);
                tracing::info!(%listen, "listens at last");
                serve(listener, &there, ended).await;
            }
        });
        Self { address, station, stop, task }
    }

    /// Where it listens, if it does.
    pub(crate) fn address(&self) -> Option<String> {
        self.address.get().cloned()
    }

    /// Ends what is under way, and takes the address away.
    pub(crate) async fn end(mut self) {
        if self.address.get().is_some() {
            key::forget_address(&self.station.folder);
        }
        self.stop.request();
        if tokio::time::timeout(LAST_ANSWERS, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn listen_at_last(listen: SocketAddr, stop: &Stop) -> Option<TcpListener> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = stop.requested() => return None,
        }
        if let Ok(listener) = TcpListener::bind(listen).await {
            return Some(listener);
        }
    }
}

/// Writes down where the server listens, for commands on this machine.
fn announce(station: &Station, address: &OnceLock<String>, listener: &TcpListener) {
    let Ok(bound) = listener.local_addr() else { return };
    let scheme = if station.tls.is_some() { "https" } else { "http" };
    let shown = format!("{scheme}://{bound}");
    let reached = format!("{scheme}://{}", from_here(bound));
    let written = key::write_address(&station.folder, &reached, station.certificate.as_deref());
    if let Err(error) = written {
        tracing::warn!(%error, "cannot write the server's address; commands need --server");
    }
    let _ = address.set(shown);
}

/// An address on which this machine reaches a socket bound to all of its addresses.
fn from_here(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

async fn serve(listener: TcpListener, station: &Station, stop: Stop) {
    let router = api::router(Arc::clone(&station.context));
    Door { listener, tls: station.tls.clone(), router }.serve(&stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_on_all_addresses_is_reached_over_loopback() {
        let shown = |text: &str| from_here(text.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:8600"), "127.0.0.1:8600");
        assert_eq!(shown("[::]:8600"), "[::1]:8600");
        assert_eq!(shown("10.0.0.7:8600"), "10.0.0.7:8600");
    }
}
