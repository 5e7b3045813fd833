//! Calls a peer: a connection, with TLS where it is asked for.

use std::time::Duration;

use engine::OpenError;
use tokio::{io::AsyncReadExt, time::timeout};

use crate::{
    setting::Address,
    tls,
    wire::{self, Wire},
};

/// How long a peer that is only tried may take to pick up.
const TRY: Duration = Duration::from_secs(5);

/// How long a peer that does not let us in may take to say so.
const DOOR: Duration = Duration::from_millis(500);

/// Connects, and greets by TLS. The caller bounds the time.
pub(super) async fn call(
    address: &Address,
    tls: Option<&tls::Connector>,
    keep_alive: Duration,
) -> Result<Wire, String> {
    let stream = wire::connect(address, keep_alive).await.map_err(|error| error.to_string())?;
    match tls {
        Some(tls) => Ok(Box::new(tls.connect(stream, &address.host).await?)),
        None => Ok(Box::new(stream)),
    }
}

/// Whether a peer picks up, and where there is TLS lets us in; the connection is closed at once.
pub(super) async fn reach(
    address: &Address,
    tls: Option<&tls::Connector>,
    keep_alive: Duration,
) -> Result<(), OpenError> {
    let tried = async {
        let mut wire = call(address, tls, keep_alive).await?;
        if tls.is_some() { is_let_in(&mut wire).await } else { Ok(()) }
    };
    let tried = timeout(TRY, tried).await.unwrap_or_else(|_| Err(format!("no answer within {TRY:?}")));
    tried.map_err(|why| OpenError::new(format!("cannot connect to {address}: {why}")))
}

/// A peer may look at our certificate after its own greeting is done: that it shuts the door is heard only then.
async fn is_let_in(wire: &mut Wire) -> Result<(), String> {
    match timeout(DOOR, wire.read(&mut [0])).await {
        // It waits for a message, or has one for us.
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err("the peer hung up after the greeting".to_owned()),
        Ok(Err(error)) => Err(tls::explain_reading(&error)),
    }
}
