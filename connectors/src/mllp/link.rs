//! One connection to a peer that answers: frames go out, answers come back.

use std::{collections::VecDeque, io, time::Duration};

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout_at},
};

use super::frame::{Found, Marks, Reader};
use crate::{
    tls,
    wire::{self, Peer, Wire},
};

/// How many earlier messages of a connection are remembered, so that their late answers are known.
const REMEMBERED: usize = 64;

/// An open connection.
pub(super) struct Link {
    wire: Wire,
    marks: Marks,
    reader: Reader,
    /// The control ids of messages that were answered here.
    earlier: VecDeque<String>,
    used: Instant,
}

/// How a write failed, by what the peer may have got.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// No byte of it left.
    Nothing(String),
    /// Some did.
    Part(String),
}

/// Why no answer came.
#[derive(Debug)]
pub(super) enum Unheard {
    Late,
    Closed,
    Broken(String),
    /// The peer refused TLS, or speaks it where we do not: it understood nothing.
    Deaf(String),
}

impl Link {
    pub(super) fn new(wire: Wire, marks: Marks, max_size: usize) -> Self {
        let reader = Reader::new(marks.clone(), max_size);
        Self { wire, marks, reader, earlier: VecDeque::new(), used: Instant::now() }
    }

    /// Whether it may be used again: the peer has not hung up, and it was used lately.
    pub(super) fn is_usable(&mut self, idle: Option<Duration>) -> bool {
        if idle.is_some_and(|idle| self.used.elapsed() > idle) {
            return false;
        }
        match wire::look(self.wire.as_ref()) {
            Peer::Silent => true,
            Peer::Gone => false,
            Peer::Speaking => self.forget_what_is_there(),
        }
    }

    /// Writes a message. What is still unread of earlier answers is read before its own.
    pub(super) async fn write(&mut self, body: Bytes, deadline: Instant) -> Result<(), Unwritten> {
        let mut frame = self.marks.wrap(body);
        let whole = frame.remaining();
        let written = timeout_at(deadline, async {
            self.wire.write_all_buf(&mut frame).await?;
            self.wire.flush().await
        })
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        written.map_err(|error| {
            let why = format!("cannot write: {error}");
            if frame.remaining() == whole { Unwritten::Nothing(why) } else { Unwritten::Part(why) }
        })
    }

    /// The next frame of the peer.
    pub(super) async fn hear(&mut self, deadline: Instant) -> Result<Bytes, Unheard> {
        loop {
            match self.reader.find() {
                Some(Found::Frame(frame)) => return Ok(frame),
                Some(Found::Stray(_)) => continue,
                Some(Found::Part { .. }) => {
                    return Err(Unheard::Broken("only a part of an answer came".into()));
                }
                Some(Found::TooLong(_)) => {
                    return Err(Unheard::Broken("the answer is longer than `max_size`".into()));
                }
                None => {}
            }
            if self.reader.stray().is_tls() {
                return Err(Unheard::Deaf("the peer speaks TLS: give this destination `tls`".into()));
            }
            match timeout_at(deadline, self.reader.read_from(&mut self.wire)).await {
                Err(_) => return Err(Unheard::Late),
                Ok(Ok(0)) => return Err(Unheard::Closed),
                Ok(Err(error)) if tls::is_alert(&error) && self.earlier.is_empty() => {
                    return Err(Unheard::Deaf(tls::explain(&error)));
                }
                Ok(Err(error)) => return Err(Unheard::Broken(format!("cannot read the answer: {error}"))),
                Ok(Ok(_)) => {}
            }
        }
    }

    /// Notes that these messages have their answers.
    pub(super) fn answered(&mut self, control_ids: &[String]) {
        self.earlier.extend(control_ids.iter().cloned());
        let surplus = self.earlier.len().saturating_sub(REMEMBERED);
        self.earlier.drain(..surplus);
        self.used = Instant::now();
    }

    pub(super) fn was_earlier(&self, control_id: &str) -> bool {
        !control_id.is_empty() && self.earlier.iter().any(|earlier| earlier == control_id)
    }

    /// Reads what waits in the socket and forgets it: it answers nothing that is still to be written. False where
    /// the stream has ended, or holds what no peer should send.
    fn forget_what_is_there(&mut self) -> bool {
        while let Some(read) = self.reader.read_from(&mut self.wire).now_or_never() {
            if !matches!(read, Ok(count) if count > 0) {
                return false;
            }
            while let Some(found) = self.reader.find() {
                if matches!(found, Found::TooLong(_)) {
                    return false;
                }
            }
        }
        true
    }
}
