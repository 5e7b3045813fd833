//! One connection to a peer that answers: frames go out, answers come back.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Buf, Bytes};
use engine::{DeliveryId, Hindered, Hindrance, LateAnswer};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout, timeout_at},
};

use super::{
    asked::read_late,
    frame::{Found, Marks, Reader},
};
use crate::{
    tls,
    wire::{self, Peer, Wire},
};

/// How many earlier messages of a connection are remembered, so that their late answers are known.
const REMEMBERED: usize = 64;

/// How long what the socket is known to hold may take to come out of it.
const MOMENT: Duration = Duration::from_millis(100);

/// An open connection.
pub(super) struct Link {
    wire: Wire,
    marks: Marks,
    reader: Reader,
    /// Whose attempts ended here, by their messages' control ids.
    earlier: VecDeque<(String, DeliveryId)>,
    overheard: Arc<Overheard>,
    used: Instant,
}

/// Answers to earlier messages, until the engine asks for them.
#[derive(Default)]
pub(super) struct Overheard(Mutex<Vec<LateAnswer>>);

impl Overheard {
    pub(super) fn take(&self) -> Vec<LateAnswer> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is more than anybody would look at is let go.
    fn add(&self, answer: LateAnswer) {
        let mut overheard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if overheard.len() < REMEMBERED {
            overheard.push(answer);
        }
    }
}

/// How a write failed, by what the peer may have got.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// No byte of it left.
    Nothing(Hindered),
    /// Some did.
    Part(Hindered),
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
    pub(super) fn new(wire: Wire, marks: Marks, max_size: usize, overheard: Arc<Overheard>) -> Self {
        let reader = Reader::new(marks.clone(), max_size);
        Self { wire, marks, reader, earlier: VecDeque::new(), overheard, used: Instant::now() }
    }

    /// Whether it may be used again: the peer has not hung up, and it was used lately.
    pub(super) async fn is_usable(&mut self, idle: Option<Duration>) -> bool {
        let is_there = match wire::look(self.wire.as_ref()) {
            Peer::Silent => true,
            Peer::Gone => false,
            Peer::Speaking => self.read_what_is_there().await,
        };
        is_there && idle.is_none_or(|idle| self.used.elapsed() <= idle)
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
            let by = (error.kind() == io::ErrorKind::TimedOut).then_some(Hindrance::NoAnswer);
            let why = Hindered { words: format!("cannot write: {error}"), by };
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

    /// Notes that the attempt at these messages has ended.
    pub(super) fn ended(&mut self, control_ids: &[String], delivery: DeliveryId) {
        self.earlier.extend(control_ids.iter().map(|control_id| (control_id.clone(), delivery)));
        let surplus = self.earlier.len().saturating_sub(REMEMBERED);
        self.earlier.drain(..surplus);
        self.used = Instant::now();
    }

    /// Whether this answers an earlier message of the connection: then it is left for the engine to keep.
    pub(super) fn overhears(&mut self, answer: &Bytes) -> bool {
        let Some((control_id, response)) = read_late(answer) else { return false };
        let named = |(earlier, _): &&(String, DeliveryId)| !earlier.is_empty() && *earlier == control_id;
        let Some((_, delivery)) = self.earlier.iter().rev().find(named) else { return false };
        self.overheard.add(LateAnswer { delivery: *delivery, response });
        true
    }

    /// Reads what waits in the socket: it answers nothing that is still to be written. False where the stream has
    /// ended, or holds what no peer should send.
    async fn read_what_is_there(&mut self) -> bool {
        while wire::look(self.wire.as_ref()) == Peer::Speaking {
            match timeout(MOMENT, self.reader.read_from(&mut self.wire)).await {
                Ok(Ok(count)) if count > 0 => {}
                // A part of what is encrypted says nothing yet.
                Err(_) => return true,
                Ok(_) => return false,
            }
            while let Some(found) = self.reader.find() {
                match found {
                    Found::TooLong(_) => return false,
                    Found::Frame(answer) => {
                        self.overhears(&answer);
                    }
                    Found::Stray(_) | Found::Part { .. } => {}
                }
            }
        }
        wire::look(self.wire.as_ref()) != Peer::Gone
    }
}
