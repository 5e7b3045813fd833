//! The two ways a source meets its senders: they connect, or it connects to one of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use engine::{Inlet, OpenError, Source, Stop};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{
    answer::Wording,
    call::call,
    connection::{Connection, Host},
    frame::Marks,
};
use crate::{
    crowd::Crowd,
    door::{Door, GRACE, GREETING},
    setting::Address,
    tls,
    wire::Wire,
};

/// The pauses between two tries to reach a peer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What both ways need.
pub(super) struct Manner {
    pub(super) wording: Wording,
    pub(super) marks: Marks,
    pub(super) max_size: usize,
    pub(super) idle: Duration,
}

/// Senders connect to it.
pub(super) struct Listening {
    pub(super) door: Door,
    pub(super) manner: Manner,
}

/// It connects to its sender.
pub(super) struct Calling {
    pub(super) address: Address,
    pub(super) tls: Option<tls::Connector>,
    pub(super) crowd: Arc<Crowd>,
    pub(super) keep_alive: Duration,
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
        let Self { door, manner } = *self;
        let host = manner.host(inlet, stop.clone());
        let channel = host.inlet.channel().to_owned();
        door.receive(&channel, &stop, move |guest| {
            Connection::new(Arc::clone(&host), guest.wire, guest.peer, guest.seat).run()
        })
        .await;
        Ok(())
    }
}

#[async_trait]
impl Source for Calling {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let Self { address, tls, crowd, keep_alive, manner } = *self;
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
                        let wire = seat.watch(wire);
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
    let wire = called.unwrap_or_else(|_| Err("no answer".into()))?;
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
