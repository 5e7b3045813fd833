//! Calls a peer: a connection, with TLS where it is asked for.

use std::time::Duration;

use engine::{Hindered, OpenError};
use tokio::time::timeout;

use crate::{
    setting::Address,
    tls,
    wire::{self, Wire},
};

/// How long a peer that is only tried may take to pick up.
const TRY: Duration = Duration::from_secs(5);

/// Connects, and greets by TLS. The caller bounds the time.
pub(super) async fn call(
    address: &Address,
    tls: Option<&tls::Connector>,
    keep_alive: Duration,
) -> Result<Wire, Hindered> {
    let stream = wire::connect(address, keep_alive).await?;
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
        if tls.is_some() { wire::is_let_in(&mut wire).await } else { Ok(()) }
    };
    let tried = timeout(TRY, tried).await.unwrap_or_else(|_| Err(format!("no answer within {TRY:?}")));
    tried.map_err(|why| OpenError::new(format!("cannot connect to {address}: {why}")))
}
