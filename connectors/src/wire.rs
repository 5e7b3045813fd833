//! TCP connections as connectors need them: kept alive, without delay, plain or with TLS.

use std::{io, net::SocketAddr, time::Duration};

use engine::{Hindered, Hindrance};
use rustls::pki_types::CertificateDer;
use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{client, server};

use crate::{setting::Address, tls};

/// How often TCP asks a silent peer before it is taken for gone.
const ASKS: u32 = 5;

/// How long a peer that does not let us in may take to say so.
const DOOR: Duration = Duration::from_millis(500);

/// A connection, whatever is under it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    fn socket(&self) -> &TcpStream;

    /// The certificate that the peer showed.
    fn certificate(&self) -> Option<&CertificateDer<'static>> {
        None
    }

    /// Whom it names.
    fn subject(&self) -> Option<String> {
        tls::subject(self.certificate()?)
    }

    /// What both ends agreed to speak (ALPN).
    fn protocol(&self) -> Option<&[u8]> {
        None
    }
}

pub(crate) type Wire = Box<dyn Stream>;

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for server::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.get_ref().1.peer_certificates()?.first()
    }
}

impl Stream for client::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.get_ref().1.peer_certificates()?.first()
    }

    fn protocol(&self) -> Option<&[u8]> {
        self.get_ref().1.alpn_protocol()
    }
}

/// What is to be known of a peer that does not answer: whether it hung up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Silent,
    Speaking,
    Gone,
}

/// Asks the socket itself, without waiting for the runtime to hear of it.
pub(crate) fn look(stream: &dyn Stream) -> Peer {
    look_at(&SockRef::from(stream.socket()))
}

/// The same of a socket whose stream somebody else reads.
pub(crate) fn look_at(socket: &Socket) -> Peer {
    let mut byte = [std::mem::MaybeUninit::uninit()];
    match socket.peek(&mut byte) {
        Ok(0) => Peer::Gone,
        Ok(_) => Peer::Speaking,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Peer::Silent,
        Err(_) => Peer::Gone,
    }
}

/// Connects to the first of the host's addresses that answers.
pub(crate) async fn connect(address: &Address, keep_alive: Duration) -> Result<TcpStream, Hindered> {
    let found = lookup_host((address.host.as_str(), address.port)).await;
    let found = found.map_err(|error| Hindered::by(Hindrance::NameUnknown, error.to_string()))?;
    let found: Vec<SocketAddr> = found.collect();
    let stream = TcpStream::connect(found.as_slice()).await.map_err(|error| unreached(&error))?;
    prepare(&stream, keep_alive).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Why nobody picked up.
pub(crate) fn unreached(error: &io::Error) -> Hindered {
    let is_late = error.kind() == io::ErrorKind::TimedOut;
    let by = if is_late { Hindrance::NoAnswer } else { Hindrance::CannotConnect };
    Hindered::by(by, error.to_string())
}

/// Nobody said anything within the time for it.
pub(crate) fn late() -> Hindered {
    Hindered::by(Hindrance::NoAnswer, "no answer in time")
}

/// The same with whom we wanted to reach.
pub(crate) fn cannot_connect(to: impl std::fmt::Display, why: impl Into<Hindered>) -> Hindered {
    why.into().worded(|why| format!("cannot connect to {to}: {why}")).or_by(Hindrance::CannotConnect)
}

/// A peer may look at our certificate after its own greeting is done: that it shuts the door is heard only then.
pub(crate) async fn is_let_in(wire: &mut Wire) -> Result<(), String> {
    match timeout(DOOR, wire.read(&mut [0])).await {
        // It waits for a message, or has one for us.
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err("the peer hung up after the greeting".to_owned()),
        Ok(Err(error)) => Err(tls::explain_reading(&error)),
    }
}

/// Small messages leave at once, and a peer that vanished is noticed.
pub(crate) fn prepare(stream: &TcpStream, keep_alive: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let alive = TcpKeepalive::new()
        .with_time(keep_alive.max(Duration::from_secs(1)))
        .with_interval((keep_alive / ASKS).max(Duration::from_secs(1)))
        .with_retries(ASKS);
    SockRef::from(stream).set_tcp_keepalive(&alive)
}
