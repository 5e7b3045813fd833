//! What went through a connection: what may be tried again hangs on whether a byte left.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

use crate::{tls, wire::Wire};

/// What went through a connection so far.
#[derive(Default)]
pub(super) struct Tally {
    written: AtomicU64,
    /// Nothing waits to be written.
    is_flushed: AtomicBool,
    has_read: AtomicBool,
    /// The first bytes that came are those of TLS, on a connection without it.
    hears_tls: AtomicBool,
    /// Why nothing more could be read, in words.
    fault: Mutex<Option<String>>,
    word: Notify,
}

impl Tally {
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.is_flushed.load(Ordering::SeqCst)
    }

    pub(super) fn hears_tls(&self) -> bool {
        self.hears_tls.load(Ordering::SeqCst)
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the first bytes from the other side; `false` where none will come.
    pub(super) async fn first_word(&self) -> bool {
        self.word.notified().await;
        self.has_read.load(Ordering::SeqCst)
    }

    fn came(&self, came: &[u8]) {
        if self.has_read.swap(true, Ordering::SeqCst) {
            return;
        }
        self.hears_tls.store(matches!(came, [0x15 | 0x16, 3, ..]), Ordering::SeqCst);
        self.word.notify_one();
    }

    fn ended(&self, error: Option<&io::Error>) {
        let why = error.map(tls::explain_reading);
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.word.notify_one();
    }
}

/// A connection that counts what leaves.
pub(super) struct Counted {
    wire: Wire,
    tally: Arc<Tally>,
}

impl Counted {
    pub(super) fn new(wire: Wire, tally: Arc<Tally>) -> Self {
        Self { wire, tally }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.wire).poll_read(context, buffer);
        let came = &buffer.filled()[before..];
        match &read {
            Poll::Ready(Ok(())) if came.is_empty() && room > 0 => self.tally.ended(None),
            Poll::Ready(Ok(())) => self.tally.came(came),
            Poll::Ready(Err(error)) => self.tally.ended(Some(error)),
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.tally.is_flushed.store(false, Ordering::SeqCst);
        let written = Pin::new(&mut self.wire).poll_write(context, buffer);
        if let Poll::Ready(Ok(count)) = &written {
            self.tally.written.fetch_add(*count as u64, Ordering::SeqCst);
        }
        written
    }

    /// Called once everything was written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.wire).poll_flush(context);
        if flushed.is_ready() {
            self.tally.is_flushed.store(true, Ordering::SeqCst);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
