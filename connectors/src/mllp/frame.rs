//! The envelope of MLLP: a start byte, the message, the end bytes, found in a stream that may be cut anywhere.
//!
//! Whatever the pieces in which the bytes arrive, the same frames come out; and never more than
//! `max_size` bytes and one read wait in memory.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr2};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::settings::Framing;

/// How much of a large message is read at once, straight to where it stays.
const READ: usize = 64 * 1024;
/// How much is read at once of anything else, by way of the stack: a connection that is silent has no buffer, and a message
/// holds no more memory than it has bytes.
const ROOM: usize = 16 * 1024;
/// How much of a frame that is too long is kept, to be answered and looked at.
const BEGINNING: usize = 64 * 1024;
/// How much of the bytes outside any frame is looked at to tell what they are.
const LOOK: usize = 16;
/// What begins a message, a file of batches and a batch.
const HEADERS: [&[u8]; 3] = [b"MSH", b"FHS", b"BHS"];

/// The bytes around each message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    start: u8,
    end: Bytes,
}

impl Default for Marks {
    fn default() -> Self {
        Self { start: 0x0b, end: Bytes::from_static(&[0x1c, 0x0d]) }
    }
}

impl From<&Framing> for Marks {
    fn from(framing: &Framing) -> Self {
        let usual = Self::default();
        let end = if framing.end.0.is_empty() { usual.end } else { framing.end.0.clone().into() };
        Self { start: framing.start.0.first().copied().unwrap_or(usual.start), end }
    }
}

impl Marks {
    /// The message in its frame, not copied. What remains of it after a failed write was not taken by the socket.
    pub fn wrap(&self, body: Bytes) -> impl Buf + Send + use<> {
        Bytes::copy_from_slice(&[self.start]).chain(body).chain(self.end.clone())
    }

    /// Whether a reader would take this message for another one: it holds what ends a frame, or begins one.
    pub fn are_in(&self, body: &[u8]) -> bool {
        let mut from = 0;
        while let Some(offset) = memchr2(self.start, self.end[0], &body[from..]) {
            let at = from + offset;
            if matches!(self.mark(&body[at..]), Mark::End | Mark::Start) {
                return true;
            }
            from = at + 1;
        }
        // The end bytes could begin in the message and end behind it.
        self.end.len() > 1 && body.ends_with(&self.end[..1]) && self.end[1..].starts_with(&self.end[..1])
    }

    /// What a start byte, or a first end byte, means with what follows it.
    fn mark(&self, rest: &[u8]) -> Mark {
        if rest[0] != self.start {
            return match (rest.starts_with(&self.end), self.end.starts_with(rest)) {
                (true, _) => Mark::End,
                (false, true) => Mark::Undecided,
                (false, false) => Mark::Data,
            };
        }
        let follows = &rest[1..];
        if HEADERS.iter().any(|header| follows.starts_with(header)) {
            Mark::Start
        } else if HEADERS.iter().any(|header| header.starts_with(follows)) {
            Mark::Undecided
        } else {
            Mark::Data
        }
    }
}

enum Mark {
    End,
    Start,
    Data,
    /// More bytes are needed to tell.
    Undecided,
}

/// What stands in the stream, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A whole message.
    Frame(Bytes),
    /// The part of a frame that stood before another one began; `ended` where its sender did end it, badly.
    Part { bytes: Bytes, ended: bool },
    /// Bytes between frames, skipped.
    Stray(Stray),
    /// A frame longer than `max_size`: its beginning. Nothing can be read after it.
    TooLong(Bytes),
}

/// Bytes that belong to no frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stray {
    pub count: u64,
    /// Where the first of them stood on this connection, from 0.
    pub position: u64,
    beginning: Vec<u8>,
    blank: bool,
}

impl Stray {
    /// What they may be, for an operator.
    pub fn cause(&self) -> &'static str {
        match self.beginning.as_slice() {
            beginning if self.is_tls() && beginning[0] == 0x16 => {
                "the peer speaks TLS and this port does not: give it `tls`"
            }
            _ if self.is_tls() => "the peer speaks TLS",
            [b'G', b'E', b'T', b' ', ..] | [b'P', b'O', b'S', b'T', b' ', ..] => "the peer speaks HTTP",
            beginning if HEADERS.iter().any(|header| beginning.starts_with(header)) => {
                "a message without its start byte"
            }
            _ => "bytes between frames",
        }
    }

    /// Whether they look like a record of TLS: a greeting or an alert.
    pub fn is_tls(&self) -> bool {
        matches!(self.beginning.as_slice(), [0x15 | 0x16, 0x03, 0..=4, ..])
    }

    /// Whether they are more than the line ends that some senders put between frames.
    pub fn is_noise(&self) -> bool {
        self.count > 0 && !self.blank
    }

    fn add(&mut self, bytes: &[u8], position: u64) {
        if self.count == 0 {
            (self.position, self.blank) = (position, true);
        }
        self.count += bytes.len() as u64;
        self.blank = self.blank && bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0));
        let room = LOOK.saturating_sub(self.beginning.len()).min(bytes.len());
        self.beginning.extend_from_slice(&bytes[..room]);
    }
}

/// Finds frames in what it reads; never looks at a byte twice.
#[derive(Debug)]
pub struct Reader {
    marks: Marks,
    max_size: usize,
    buffer: BytesMut,
    /// How much of the buffer was looked at, within a frame.
    scanned: usize,
    inside: bool,
    /// Where the buffer begins on this connection.
    position: u64,
    stray: Stray,
}

impl Reader {
    pub fn new(marks: Marks, max_size: usize) -> Self {
        Self {
            marks,
            max_size,
            buffer: BytesMut::new(),
            scanned: 0,
            inside: false,
            position: 0,
            stray: Stray::default(),
        }
    }

    /// Reads what there is, at least one byte; 0 at the end. Safe to cancel.
    pub async fn read_from(&mut self, from: &mut (impl AsyncRead + Unpin + ?Sized)) -> io::Result<usize> {
        if self.buffer.len() >= ROOM {
            self.buffer.reserve(READ);
            return from.read_buf(&mut (&mut self.buffer).limit(READ)).await;
        }
        poll_fn(|context| {
            let mut room = [const { MaybeUninit::uninit() }; ROOM];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut *from).poll_read(context, &mut read))?;
            self.buffer.extend_from_slice(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        })
        .await
    }

    /// Takes bytes that were read elsewhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next thing that is wholly here.
    pub fn find(&mut self) -> Option<Found> {
        if !self.inside {
            self.enter();
            if !self.inside {
                return None;
            }
            let stray = std::mem::take(&mut self.stray);
            if stray.is_noise() {
                return Some(Found::Stray(stray));
            }
        }
        self.find_end()
    }

    /// The bytes outside any frame since the last one.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }

    /// How many bytes wait here.
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// The stream has ended: the part of a frame that it leaves.
    pub fn finish(&mut self) -> Option<Bytes> {
        let part = std::mem::take(&mut self.buffer).freeze();
        (std::mem::take(&mut self.inside) && !part.is_empty()).then_some(part)
    }

    /// Skips to behind the next start byte.
    fn enter(&mut self) {
        let start = memchr(self.marks.start, &self.buffer);
        let skipped = start.unwrap_or(self.buffer.len());
        if skipped > 0 {
            self.stray.add(&self.buffer[..skipped], self.position);
            self.skip(skipped);
        }
        if start.is_some() {
            self.skip(1);
            self.inside = true;
            self.scanned = 0;
        }
    }

    fn find_end(&mut self) -> Option<Found> {
        while let Some(offset) = memchr2(self.marks.start, self.marks.end[0], &self.buffer[self.scanned..]) {
            self.scanned += offset;
            if self.scanned > self.max_size {
                break;
            }
            match self.marks.mark(&self.buffer[self.scanned..]) {
                Mark::End => return Some(self.frame()),
                Mark::Start if self.scanned == 0 => self.skip(1),
                Mark::Start => return Some(self.part()),
                Mark::Data => self.scanned += 1,
                Mark::Undecided => return None,
            }
        }
        if self.scanned <= self.max_size {
            self.scanned = self.buffer.len();
        }
        (self.scanned > self.max_size).then(|| {
            let beginning = self.buffer.split_to(self.max_size.min(BEGINNING)).freeze();
            Found::TooLong(beginning)
        })
    }

    fn frame(&mut self) -> Found {
        let body = self.take();
        self.skip(self.marks.end.len());
        self.inside = false;
        Found::Frame(body)
    }

    fn part(&mut self) -> Found {
        let bytes = self.take();
        self.skip(1);
        let ended = bytes.trim_ascii_end().last() == self.marks.end.first();
        Found::Part { bytes, ended }
    }

    /// A small message is copied out of its buffer, which is then used again: shared, it would be kept whole by each.
    fn take(&mut self) -> Bytes {
        self.position += self.scanned as u64;
        let taken = if self.scanned < ROOM {
            let copy = Bytes::copy_from_slice(&self.buffer[..self.scanned]);
            self.buffer.advance(self.scanned);
            copy
        } else {
            self.buffer.split_to(self.scanned).freeze()
        };
        self.scanned = 0;
        taken
    }

    fn skip(&mut self, count: usize) {
        self.buffer.advance(count);
        self.position += count as u64;
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], max_size: usize) -> (Vec<Found>, Option<Bytes>) {
        let mut reader = Reader::new(Marks::default(), max_size);
        reader.feed(bytes);
        let mut found = Vec::new();
        while let Some(next) = reader.find() {
            let last = matches!(next, Found::TooLong(_));
            found.push(next);
            if last {
                return (found, None);
            }
        }
        (found, reader.finish())
    }

    fn frame(body: &'static str) -> Found {
        Found::Frame(Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn several_frames_in_one_packet_come_out_in_order() {
        let (found, rest) = all(b"\x0bMSH|1\x1c\x0d\x0bMSH|2\x1c\x0d", 100);
        assert_eq!(found, [frame("MSH|1"), frame("MSH|2")]);
        assert_eq!(rest, None);
    }

    #[test]
    fn an_end_byte_without_the_other_is_data() {
        let (found, _) = all(b"\x0bMSH|a\x1cb\x1c\x1c\x0d", 100);
        assert_eq!(found, [frame("MSH|a\x1cb\x1c")]);
    }

    #[test]
    fn a_header_behind_a_start_byte_begins_a_new_frame() {
        let (found, _) = all(b"\x0bMSH|a\x0bMSH|b\x1c\x0d", 100);
        assert_eq!(
            found,
            [Found::Part { bytes: Bytes::from_static(b"MSH|a"), ended: false }, frame("MSH|b")]
        );
        let (found, _) = all(b"\x0bMSH|a\x1c\n\x0bBHS|b\x1c\x0d", 100);
        assert!(matches!(&found[0], Found::Part { ended: true, .. }));
        assert_eq!(all(b"\x0bMSH|a\x0bc\x1c\x0d", 100).0, [frame("MSH|a\x0bc")]);
    }

    #[test]
    fn bytes_between_frames_are_skipped_and_told_with_their_place() {
        let (found, _) = all(b"\x0bMSH|1\x1c\x0d\r\n\x0bMSH|2\x1c\x0djunk\x0bMSH|3\x1c\x0d", 100);
        let Found::Stray(stray) = &found[2] else { panic!("{found:?}") };
        assert_eq!((stray.count, stray.position), (4, 18));
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn a_greeting_of_tls_is_known_before_any_frame() {
        let mut reader = Reader::new(Marks::default(), 100);
        reader.feed(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);
        assert_eq!(reader.find(), None);
        assert!(reader.stray().is_tls() && reader.stray().cause().contains("TLS"));
    }

    #[test]
    fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
        assert_eq!(all(b"\x0bMSH|1\x1c\x0d", 5).0, [frame("MSH|1")]);
        assert_eq!(all(b"\x0bMSH|12\x1c\x0d", 5).0, [Found::TooLong(Bytes::from_static(b"MSH|1"))]);
    }

    #[test]
    fn the_end_of_the_stream_leaves_the_part_of_a_frame() {
        assert_eq!(all(b"\x0bMSH|1\x1c", 100), (vec![], Some(Bytes::from_static(b"MSH|1\x1c"))));
        assert_eq!(all(b"junk", 100), (vec![], None));
    }

    #[test]
    fn a_message_that_would_break_its_own_frame_is_known() {
        let marks = Marks::default();
        assert!(marks.are_in(b"MSH|\x1c\x0dPID"));
        assert!(marks.are_in(b"MSH|\x0bMSH|"));
        assert!(!marks.are_in(b"MSH|\x1c\x0b\x0d"));
    }
}
