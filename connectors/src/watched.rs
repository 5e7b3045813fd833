//! A connection whose last bytes are noted, for whoever looks at its channel.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use engine::{Connected, Connections};
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{
    audience::{Audience, Shown},
    tls,
    wire::{Stream, Wire},
};

struct Watched {
    wire: Wire,
    seen: Seen,
}

/// Where its bytes are noted.
enum Seen {
    /// Shown to one channel.
    Own(Connected),
    /// To all that share it.
    Shared(Arc<Shown>),
}

/// Shows a connection among the channel's, until it is closed.
pub(crate) fn watched(wire: Wire, among: &Connections) -> Wire {
    // Who is gone already is not shown.
    let Ok(peer) = wire.socket().peer_addr() else { return wire };
    let seen = among.show(peer, wire.certificate().and_then(tls::end));
    Box::new(Watched { wire, seen: Seen::Own(seen) })
}

/// Shows a connection to everybody who uses it, until it is closed.
pub(crate) fn watched_by(wire: Wire, audience: &Audience) -> Wire {
    let Ok(peer) = wire.socket().peer_addr() else { return wire };
    Box::new(Watched { wire, seen: Seen::Shared(audience.opened(peer)) })
}

impl Stream for Watched {
    fn socket(&self) -> &TcpStream {
        self.wire.socket()
    }

    fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.wire.certificate()
    }

    fn protocol(&self) -> Option<&[u8]> {
        self.wire.protocol()
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.wire).poll_read(context, buffer);
        if buffer.filled().len() > before {
            match &self.seen {
                Seen::Own(seen) => seen.came(),
                Seen::Shared(shown) => shown.came(),
            }
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write(context, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write_vectored(context, bytes);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

impl Watched {
    fn note(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            match &self.seen {
                Seen::Own(seen) => seen.went(),
                Seen::Shared(shown) => shown.went(),
            }
        }
    }
}
