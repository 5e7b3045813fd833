//! A connection whose last bytes are noted, for whoever looks at its channel.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use engine::{Connected, Connections};
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{
    tls,
    wire::{Stream, Wire},
};

struct Watched {
    wire: Wire,
    seen: Connected,
}

/// Shows a connection among the channel's, until it is closed.
pub(crate) fn watched(wire: Wire, among: &Connections) -> Wire {
    // Who is gone already is not shown.
    let Ok(peer) = wire.socket().peer_addr() else { return wire };
    let seen = among.show(peer, wire.certificate().and_then(tls::end));
    Box::new(Watched { wire, seen })
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
            self.seen.came();
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
            self.seen.went();
        }
    }
}
