//! The body of a request: pieces that leave one after the other, and are never put together.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use engine::Content;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

/// So much of what lies in a file is read at once.
const PIECE: u64 = 256 << 10;

/// What a request carries. Cloned for each time it is sent; the bytes are shared.
#[derive(Default)]
pub(crate) struct Payload {
    pieces: Arc<[Content]>,
    /// The piece that leaves next, and how much of it has left.
    next: usize,
    at: u64,
    /// What is being read from a file.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// From its beginning, however far this one has come.
impl Clone for Payload {
    fn clone(&self) -> Self {
        Self { pieces: Arc::clone(&self.pieces), ..Self::default() }
    }
}

impl Payload {
    pub(crate) fn of(pieces: impl IntoIterator<Item = Content>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        Self { pieces, ..Self::default() }
    }

    fn left(&self) -> &[Content] {
        &self.pieces[self.next..]
    }

    /// The bytes that leave next; of what lies in a file, a read that is begun.
    fn begin(&mut self) -> Option<Bytes> {
        let piece = self.left().first()?.clone();
        if let Some(bytes) = piece.bytes() {
            self.next += 1;
            return Some(bytes.clone());
        }
        let (length, from) = (piece.len() as u64, self.at);
        self.at = length.min(from + PIECE);
        let some = piece.slice(from..self.at);
        if self.at == length {
            (self.next, self.at) = (self.next + 1, 0);
        }
        self.reading = Some(tokio::task::spawn_blocking(move || some.whole().map_err(io::Error::other)));
        None
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::of([bytes.into()])
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.reading.is_none()
            && let Some(bytes) = self.begin()
        {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        Poll::Ready(Some(read.map_err(io::Error::other).flatten().map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left().is_empty() && self.reading.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.reading.is_some() {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.left().iter().map(|piece| piece.len() as u64).sum::<u64>() - self.at)
    }
}
