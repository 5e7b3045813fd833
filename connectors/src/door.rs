//! Where a listening source lets its senders in: accepted, counted, greeted, served, and let go at the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use engine::Stop;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::warn;

use crate::{
    crowd::{Crowd, Seat},
    tls,
    wire::{self, Wire},
};

/// How long the greeting of a new connection may take.
pub(crate) const GREETING: Duration = Duration::from_secs(10);
/// How long messages under way may take to be answered once the source has to stop.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_secs(1);

/// A listening socket, and who may come in.
pub(crate) struct Door {
    pub(crate) listener: Arc<TcpListener>,
    pub(crate) tls: Option<tls::Acceptor>,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) keep_alive: Duration,
}

/// A sender that is in.
pub(crate) struct Guest {
    pub(crate) wire: Wire,
    pub(crate) peer: SocketAddr,
    pub(crate) seat: Seat,
}

impl Door {
    /// Serves everybody who connects until asked to stop; returns when all are gone.
    pub(crate) async fn receive<S, F>(self, channel: &str, stop: &Stop, serve: S)
    where
        S: Fn(Guest) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let Self { listener, tls, crowd, keep_alive } = self;
        let (tls, channel): (_, Arc<str>) = (tls.map(Arc::new), channel.into());
        let mut guests = JoinSet::new();
        loop {
            // Each arm may be dropped: a connection that was not accepted yet waits in the system's queue.
            let accepted = tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(_) = guests.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%channel, %error, "cannot accept a connection; will try again");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(seat) = crowd.seat(peer.ip()) else {
                warn!(%channel, %peer, "turned a connection away: too many are open");
                continue;
            };
            let (channel, tls, stop, serve) = (channel.clone(), tls.clone(), stop.clone(), serve.clone());
            guests.spawn(async move {
                match greet(tls.as_deref(), stream, keep_alive, &stop).await {
                    Ok(Some(wire)) => serve(Guest { wire: seat.watch(wire), peer, seat }).await,
                    Ok(None) => {}
                    Err(why) => warn!(%channel, %peer, %why, "a connection could not be opened"),
                }
            });
        }
        wind_down(guests).await;
    }
}

/// What is under way may still be answered; then the rest is cut.
async fn wind_down(mut guests: JoinSet<()>) {
    let _ = timeout(GRACE, async { while guests.join_next().await.is_some() {} }).await;
    guests.shutdown().await;
}

/// Greets one sender; `None` where the source has to stop first.
async fn greet(
    tls: Option<&tls::Acceptor>,
    stream: TcpStream,
    keep_alive: Duration,
    stop: &Stop,
) -> Result<Option<Wire>, String> {
    let greeting = async {
        wire::prepare(&stream, keep_alive).map_err(|error| error.to_string())?;
        let wire: Wire = match tls {
            Some(tls) => Box::new(tls.accept(stream).await?),
            None => Box::new(stream),
        };
        Ok(Some(wire))
    };
    tokio::select! {
        () = stop.requested() => Ok(None),
        greeted = timeout(GREETING, greeting) => greeted.unwrap_or_else(|_| Err("TLS failed: no greeting came".to_owned())),
    }
}
