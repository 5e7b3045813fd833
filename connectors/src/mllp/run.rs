//! The two ways a source meets its senders: they connect, or it connects to one of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use engine::{Inlet, OpenError, Source, Stop};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{
    answer::Wording,
    call::call,
    connection::{Connection, Host},
    crowd::{Crowd, Seat},
    frame::Marks,
};
use crate::{
    setting::Address,
    tls,
    wire::{self, Wire},
};

/// How long the greeting of a new connection may take.
const GREETING: Duration = Duration::from_secs(10);
/// How long messages under way may take to be answered once the source has to stop.
const GRACE: Duration = Duration::from_secs(10);
/// The pauses between two tries to reach a peer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What both ways need.
pub(super) struct Manner {
    pub(super) wording: Wording,
    pub(super) marks: Marks,
    pub(super) max_size: usize,
    pub(super) idle: Duration,
    pub(super) keep_alive: Duration,
    pub(super) crowd: Arc<Crowd>,
}

/// Senders connect to it.
pub(super) struct Listening {
    pub(super) listener: Arc<TcpListener>,
    pub(super) tls: Option<Arc<tls::Acceptor>>,
    pub(super) manner: Manner,
}

/// It connects to its sender.
pub(super) struct Calling {
    pub(super) address: Address,
    pub(super) tls: Option<tls::Connector>,
    pub(super) manner: Manner,
}

impl Manner {
    fn host(self, inlet: Inlet, stop: Stop) -> Arc<Host> {
        let Self { wording, marks, max_size, idle, .. } = self;
        Arc::new(Host { inlet, wording, marks, max_size, idle, stop })
    }
}

#[async_trait]
impl Source for Listening {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let Self { listener, tls, manner } = *self;
        let (crowd, keep_alive) = (Arc::clone(&manner.crowd), manner.keep_alive);
        let host = manner.host(inlet, stop.clone());
        let mut connections = JoinSet::new();
        loop {
            // Each arm may be dropped: a connection that was not accepted yet waits in the system's queue.
            let accepted = tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(seat) = crowd.seat(peer.ip()) else {
                        warn!(channel = host.inlet.channel(), %peer, "turned a connection away: too many are open");
                        continue;
                    };
                    connections.spawn(serve(
                        Arc::clone(&host),
                        tls.clone(),
                        (stream, peer, keep_alive),
                        seat,
                    ));
                }
                Err(error) => {
                    warn!(channel = host.inlet.channel(), %error, "cannot accept a connection; will try again");
                    sleep(FIRST_PAUSE).await;
                }
            }
        }
        wind_down(connections).await;
        Ok(())
    }
}

/// What is under way may still be answered; then the rest is cut.
async fn wind_down(mut connections: JoinSet<()>) {
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

/// Greets one sender and serves it.
async fn serve(
    host: Arc<Host>,
    tls: Option<Arc<tls::Acceptor>>,
    (stream, peer, keep_alive): (TcpStream, SocketAddr, Duration),
    seat: Seat,
) {
    let greeting = async {
        wire::prepare(&stream, keep_alive).map_err(|error| error.to_string())?;
        let wire: Wire = match &tls {
            Some(tls) => Box::new(tls.accept(stream).await?),
            None => Box::new(stream),
        };
        Ok(wire)
    };
    let greeted: Result<Wire, String> = tokio::select! {
        () = host.stop.requested() => return,
        greeted = timeout(GREETING, greeting) => greeted.unwrap_or_else(|_| Err("TLS failed: no greeting came".to_owned())),
    };
    match greeted {
        Ok(wire) => Connection::new(host, wire, peer, seat).run().await,
        Err(why) => warn!(channel = host.inlet.channel(), %peer, %why, "a connection could not be opened"),
    }
}

#[async_trait]
impl Source for Calling {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let Self { address, tls, manner } = *self;
        let (crowd, keep_alive) = (Arc::clone(&manner.crowd), manner.keep_alive);
        let host = manner.host(inlet, stop.clone());
        let mut pause = FIRST_PAUSE;
        while !stop.is_requested() {
            let opened = tokio::select! {
                () = stop.requested() => break,
                opened = meet(&address, tls.as_ref(), keep_alive) => opened,
            };
            match opened {
                Ok((wire, peer)) => {
                    pause = FIRST_PAUSE;
                    info!(channel = host.inlet.channel(), %address, "connected");
                    if let Some(seat) = crowd.seat(peer.ip()) {
                        serve_until(&stop, Connection::new(Arc::clone(&host), wire, peer, seat)).await;
                    }
                }
                Err(why) => {
                    warn!(channel = host.inlet.channel(), %address, %why, "cannot connect; will try again");
                }
            }
            tokio::select! {
                () = stop.requested() => break,
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
        Ok(())
    }
}

async fn meet(
    address: &Address,
    tls: Option<&tls::Connector>,
    keep_alive: Duration,
) -> Result<(Wire, SocketAddr), String> {
    let called = timeout(GREETING, call(address, tls, keep_alive)).await;
    let wire = called.unwrap_or_else(|_| Err("no answer".to_owned()))?;
    let peer = wire.socket().peer_addr().map_err(|error| error.to_string())?;
    Ok((wire, peer))
}

/// Serves a connection to its end; once asked to stop, for no longer than the grace.
async fn serve_until(stop: &Stop, connection: Connection) {
    let serving = connection.run();
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return,
        () = stop.requested() => {}
    }
    // An answer under way may still be written; what is left is the engine's to recover.
    let _ = timeout(GRACE, serving).await;
}
