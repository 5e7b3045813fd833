//! The door of the API: who connects is counted, greeted by TLS where there is TLS, and served until either side has had enough.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use connectors::tls::Acceptor;
use engine::Stop;
use hyper::{Request, body::Incoming, server::conn::http1, service::Service as _, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long the greeting of TLS may take.
const GREETING: Duration = Duration::from_secs(10);

/// How long the head of a request may take, and how long a connection stays open that asks for nothing.
const HEAD: Duration = Duration::from_secs(15);

/// The longest head of a request.
const LONGEST_HEAD: usize = 64 << 10;

/// The pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_secs(1);

/// Connections at a time, and those of one address among them.
const MOST: usize = 2_000;
const MOST_OF_ONE: usize = 1_000;

/// A listening socket, and what is served there.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<Arc<Acceptor>>,
    pub(super) router: Router,
}

impl Door {
    /// Serves everybody who connects until asked to stop; returns when all have their answers.
    pub(super) async fn serve(self, stop: &Stop) {
        let seats = Arc::new(Seats::default());
        let mut guests = JoinSet::new();
        loop {
            // Each arm may be dropped: a connection that was not accepted yet waits in the system's queue.
            let accepted = tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(_) = guests.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Turned away without a word in the log: whoever wants to fill it opens connections.
                    let Some(seat) = seats.take(peer.ip().to_canonical()) else { continue };
                    let guest = Guest { peer, router: self.router.clone(), stop: stop.clone(), _seat: seat };
                    guests.spawn(guest.greet(stream, self.tls.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the API cannot accept a connection; will try again");
                    sleep(PAUSE).await;
                }
            }
        }
        while guests.join_next().await.is_some() {}
    }
}

/// Somebody who is connected.
struct Guest {
    peer: SocketAddr,
    router: Router,
    stop: Stop,
    _seat: Seat,
}

impl Guest {
    async fn greet(self, stream: TcpStream, tls: Option<Arc<Acceptor>>) {
        // Answers are small, and a person waits for them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return self.serve(stream).await };
        let greeted = tokio::select! {
            () = self.stop.requested() => return,
            greeted = timeout(GREETING, tls.accept(stream)) => greeted,
        };
        match greeted {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(why)) => {
                tracing::debug!(peer = %self.peer, %why, "a connection to the API could not be opened");
            }
            Err(_) => {}
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let (peer, router) = (self.peer, TowerToHyperService::new(self.router));
        let answer = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(TokioIo::new(stream), answer);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection to the API ended early");
                }
                return;
            }
            () = self.stop.requested() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// Who is connected, by address.
#[derive(Default)]
struct Seats(Mutex<HashMap<IpAddr, usize>>);

struct Seat {
    of: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let mut taken = self.0.lock().expect("no holder of this lock panics");
        let (all, ours) = (taken.values().sum::<usize>(), taken.get(&address).copied().unwrap_or(0));
        if all >= MOST || ours >= MOST_OF_ONE {
            return None;
        }
        taken.insert(address, ours + 1);
        Some(Seat { of: Arc::clone(self), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.of.0.lock().expect("no holder of this lock panics");
        if let Some(ours) = taken.get_mut(&self.address) {
            *ours -= 1;
            if *ours == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_room_for_others() {
        let seats = Arc::new(Seats::default());
        let greedy = IpAddr::from([10, 0, 0, 1]);
        let mut held: Vec<_> = std::iter::from_fn(|| seats.take(greedy)).collect();
        assert_eq!(held.len(), MOST_OF_ONE);
        assert!(seats.take(IpAddr::from([10, 0, 0, 2])).is_some());
        held.pop();
        assert!(seats.take(greedy).is_some());
        drop(held);
        assert!(seats.0.lock().unwrap().is_empty());
    }
}
