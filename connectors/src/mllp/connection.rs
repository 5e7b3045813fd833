//! One connection of a sender: its frames are taken one by one and answered in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use engine::{Answer, Content, Facts, Inbound, Inlet, Silence, Stop};
use formats::hl7::{
    batch::{self, Batch},
    header::Header,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tracing::{debug, warn};

use super::{
    answer::{Speaker, Wording},
    frame::{Found, Marks, Reader, Stray},
    manners::{Manners, Wanted},
};
use crate::{
    crowd::Seat,
    wire::{Stream, Wire},
};

/// How long a sender may take to read its answer.
const WRITING: Duration = Duration::from_secs(30);

/// How long a sender of too much may go on before it is cut off.
const DRAINING: Duration = Duration::from_secs(2);

/// What all connections of one source share.
pub(super) struct Host {
    pub(super) inlet: Inlet,
    pub(super) wording: Wording,
    pub(super) marks: Marks,
    pub(super) max_size: usize,
    pub(super) idle: Duration,
    pub(super) stop: Stop,
}

/// A sender, as long as it is connected.
pub(super) struct Connection {
    host: Arc<Host>,
    wire: Wire,
    reader: Reader,
    seat: Seat,
    peer: SocketAddr,
    facts: Arc<Facts>,
    /// MSH-10 of our last application answer (enhanced mode): the sender may acknowledge it.
    told: Option<Vec<u8>>,
}

/// Whether the connection goes on.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Goes,
    Ends,
}

/// How reading ended.
enum End {
    /// The sender hung up, or said nothing for too long.
    Gone(&'static str),
    /// We want no more of it.
    Asked,
}

impl Connection {
    pub(super) fn new(host: Arc<Host>, wire: Wire, peer: SocketAddr, seat: Seat) -> Self {
        let reader = Reader::new(host.marks.clone(), host.max_size);
        let facts = Arc::new(facts(wire.as_ref(), peer));
        Self { host, wire, reader, seat, peer, facts, told: None }
    }

    /// Serves until either side has had enough.
    pub(super) async fn run(mut self) {
        loop {
            let next = match self.read().await {
                Ok(found) => self.take(found).await,
                Err(End::Gone(why)) => {
                    self.count(self.reader.stray());
                    self.keep_part(why).await;
                    Next::Ends
                }
                Err(End::Asked) => Next::Ends,
            };
            if next == Next::Ends {
                // The peer may be gone already; there is nobody left to tell.
                let _ = timeout(WRITING, self.wire.shutdown()).await;
                return;
            }
        }
    }

    async fn read(&mut self) -> Result<Found, End> {
        loop {
            if self.host.stop.is_requested() {
                return Err(End::Asked);
            }
            if let Some(found) = self.reader.find() {
                return Ok(found);
            }
            self.refuse_babble()?;
            // Each arm may be dropped: what was read is in the reader, and asking again is free.
            let read = tokio::select! {
                biased;
                () = self.host.stop.requested() => return Err(End::Asked),
                () = self.seat.wanted() => {
                    debug!(channel = self.host.inlet.channel(), peer = %self.peer, "closed for a new connection");
                    return Err(End::Asked);
                }
                read = timeout(self.host.idle, self.reader.read_from(&mut self.wire)) => read,
            };
            match read {
                Ok(Ok(0) | Err(_)) => return Err(End::Gone("the connection ended within a frame")),
                Err(_) => return Err(End::Gone("nothing more came of a frame for as long as `idle` says")),
                Ok(Ok(_)) => self.seat.idle(),
            }
        }
    }

    /// A peer that speaks another protocol, or nothing but noise, is shown the door.
    fn refuse_babble(&mut self) -> Result<(), End> {
        let stray = self.reader.stray();
        if stray.is_tls() || stray.count > self.host.max_size as u64 {
            let cause = stray.cause();
            self.host.inlet.skipped(stray.count);
            warn!(channel = self.host.inlet.channel(), peer = %self.peer, cause, "closed a connection without a frame");
            return Err(End::Asked);
        }
        Ok(())
    }

    /// Counts what belongs to no frame, and tells an operator where it stood and what it may be.
    fn count(&self, stray: &Stray) {
        if stray.is_noise() {
            let (count, position, cause) = (stray.count, stray.position, stray.cause());
            self.host.inlet.skipped(count);
            warn!(channel = self.host.inlet.channel(), peer = %self.peer, count, position, cause, "skipped bytes");
        }
    }

    async fn take(&mut self, found: Found) -> Next {
        self.seat.busy();
        let next = match found {
            Found::Frame(frame) => self.exchange(frame).await,
            Found::Part { bytes, ended } => self.take_part(bytes, ended).await,
            Found::TooLong(beginning) => self.refuse_length(beginning).await,
            Found::Stray(stray) => {
                self.count(&stray);
                Next::Goes
            }
        };
        self.seat.idle();
        next
    }

    async fn exchange(&mut self, frame: Bytes) -> Next {
        match batch::split(&frame) {
            Ok(Some(batch)) => return self.exchange_batch(frame, batch).await,
            Err(error) => {
                let why = format!("the batch cannot be read: {error}");
                return self.refuse(frame, why).await;
            }
            Ok(None) => {}
        }
        if self.acknowledges_us(&frame) {
            return Next::Goes;
        }
        match Manners::of(&frame, self.host.wording.words().mode) {
            Manners::One(speaker) => self.exchange_once(self.inbound(&frame), frame, speaker).await,
            Manners::Two { commit, application } => self.exchange_twice(frame, commit, application).await,
        }
    }

    /// One frame in, one frame out.
    async fn exchange_once(&mut self, inbound: Inbound, frame: Bytes, speaker: Speaker) -> Next {
        let answer = self.host.inlet.receive(inbound).await;
        let words = self.host.wording.answer(&frame, &answer.reply, speaker);
        self.tell(words, vec![answer]).await
    }

    /// The standard to the letter: a commit answer, then the application's, each where it is wanted.
    async fn exchange_twice(&mut self, frame: Bytes, commit: Wanted, application: Wanted) -> Next {
        let pending = match self.host.inlet.accept(self.inbound(&frame)).await {
            Ok(pending) => pending,
            Err(answer) => {
                let words = if commit.on_error() {
                    self.host.wording.answer(&frame, &answer.reply, Speaker::Commit)
                } else if application.on_error() {
                    self.host.wording.answer(&frame, &answer.reply, Speaker::Application)
                } else {
                    return say_nothing(answer);
                };
                return self.tell(words, vec![answer]).await;
            }
        };
        if commit.on_success() {
            let kept = engine::Reply::of(engine::Outcome::Accepted);
            let words = self.host.wording.answer(&frame, &kept, Speaker::Commit);
            if self.write(words).await == Next::Ends {
                pending.answer().await.untold();
                return Next::Ends;
            }
        }
        let answer = pending.answer().await;
        let positive = self.host.wording.code(&answer.reply, Speaker::Application).is_positive();
        if positive && !application.on_success() || !positive && !application.on_error() {
            return say_nothing(answer);
        }
        let words = self.host.wording.answer(&frame, &answer.reply, Speaker::Application);
        self.told = Header::read(&words).ok().map(|header| header.control_id().to_vec());
        self.tell(words, vec![answer]).await
    }

    /// All messages of a batch are kept in one write, and answered by one batch.
    async fn exchange_batch(&mut self, frame: Bytes, batch: Batch) -> Next {
        let messages: Vec<Bytes> = batch.messages.iter().map(|place| frame.slice(place.clone())).collect();
        let mut inbounds: Vec<Inbound> = messages.iter().map(|message| self.inbound(message)).collect();
        for (place, inbound) in inbounds.iter_mut().enumerate() {
            let of = messages.len();
            let place = serde_json::json!({ "place": place + 1, "of": of });
            Arc::make_mut(&mut inbound.facts).insert("batch".to_owned(), place);
        }
        if !batch.flags.is_empty() {
            let flags = &batch.flags;
            warn!(channel = self.host.inlet.channel(), peer = %self.peer, ?flags, "a batch is not what its trailer says");
        }
        let answers = self.host.inlet.receive_batch(inbounds).await;
        let words = messages.iter().zip(&answers).map(|(message, answer)| {
            let speaker = match Manners::of(message, self.host.wording.words().mode) {
                Manners::One(speaker) => speaker,
                // A batch has one answer for each message, whatever each asks for.
                Manners::Two { .. } => Speaker::Application,
            };
            self.host.wording.answer(message, &answer.reply, speaker)
        });
        let words: Vec<Vec<u8>> = words.collect();
        self.tell(formats::hl7::acknowledgement::batch(&frame, &words), answers).await
    }

    /// Keeps what stood before another frame began; answers it where its sender ended it.
    async fn take_part(&mut self, part: Bytes, ended: bool) -> Next {
        let why = "another frame begins before this one has ended";
        if ended {
            return self.refuse(part, why.to_owned()).await;
        }
        let answer = self.host.inlet.receive(self.unreadable(&part, why.to_owned())).await;
        answer.untold();
        Next::Goes
    }

    /// Keeps the part of a frame that the end of the connection leaves, as evidence. Nobody is answered.
    async fn keep_part(&mut self, why: &str) {
        if let Some(part) = self.reader.finish() {
            warn!(channel = self.host.inlet.channel(), peer = %self.peer, bytes = part.len(), "{why}");
            let answer = self.host.inlet.receive(self.unreadable(&part, why.to_owned())).await;
            answer.untold();
        }
    }

    async fn refuse_length(&mut self, beginning: Bytes) -> Next {
        let why =
            format!("the frame is longer than {} bytes; only its beginning is kept", self.host.max_size);
        warn!(channel = self.host.inlet.channel(), peer = %self.peer, "a frame is longer than `max_size`; the connection is closed");
        self.refuse(beginning, why).await;
        self.drain().await;
        Next::Ends
    }

    /// Reads on for a moment and forgets it: a connection closed on unread bytes is reset, and the answer with it.
    async fn drain(&mut self) {
        let mut nowhere = [0; 8 * 1024];
        let reading = async {
            // The peer learns at once that nothing more comes; it may be gone already.
            let _ = self.wire.shutdown().await;
            while matches!(self.wire.read(&mut nowhere).await, Ok(count) if count > 0) {}
        };
        tokio::select! {
            () = self.host.stop.requested() => {}
            _ = timeout(DRAINING, reading) => {}
        }
    }

    /// Keeps bytes that cannot be a message, and says so.
    async fn refuse(&mut self, bytes: Bytes, why: String) -> Next {
        let speaker = match Manners::of(&bytes, self.host.wording.words().mode) {
            Manners::One(speaker) => speaker,
            Manners::Two { commit: Wanted::Never, .. } => Speaker::Application,
            Manners::Two { .. } => Speaker::Commit,
        };
        self.exchange_once(self.unreadable(&bytes, why), bytes, speaker).await
    }

    /// An acknowledgement of our own application answer asks for nothing and is no message.
    fn acknowledges_us(&mut self, frame: &[u8]) -> bool {
        let Some(told) = &self.told else { return false };
        let Ok(header) = Header::read(frame) else { return false };
        if header.message_code() != b"ACK" {
            return false;
        }
        let named = formats::hl7::acknowledgement::read(frame);
        named.is_ok_and(|named| named.control_id.as_bytes() == told.as_slice())
    }

    async fn tell(&mut self, words: Vec<u8>, answers: Vec<Answer>) -> Next {
        let next = if self.host.wording.words().silent == Silence::Never {
            Next::Goes
        } else {
            self.write(words).await
        };
        for answer in answers {
            match next {
                Next::Goes => answer.told(),
                Next::Ends => answer.untold(),
            }
        }
        next
    }

    async fn write(&mut self, words: Vec<u8>) -> Next {
        let mut frame = self.host.marks.wrap(words.into());
        let written = timeout(WRITING, async {
            self.wire.write_all_buf(&mut frame).await?;
            self.wire.flush().await
        });
        if let Ok(Ok(())) = written.await {
            return Next::Goes;
        }
        warn!(channel = self.host.inlet.channel(), peer = %self.peer, "the sender went before it had its answer");
        Next::Ends
    }

    fn inbound(&self, message: &Bytes) -> Inbound {
        Inbound { facts: Arc::clone(&self.facts), ..Inbound::new(Content::from(message.clone())) }
    }

    fn unreadable(&self, bytes: &Bytes, why: String) -> Inbound {
        Inbound { unreadable: Some(why), ..self.inbound(bytes) }
    }
}

/// The sender asked not to hear of this.
fn say_nothing(answer: Answer) -> Next {
    answer.told();
    Next::Goes
}

fn facts(wire: &dyn Stream, peer: SocketAddr) -> Facts {
    let mut facts = Facts::new();
    let mut fact = |name: &str, value: String| facts.insert(name.to_owned(), value.into());
    fact("connector", "mllp".to_owned());
    fact("peer", peer.to_string());
    fact("peer_ip", peer.ip().to_string());
    if let Ok(local) = wire.socket().local_addr() {
        fact("local", local.to_string());
    }
    if let Some(subject) = wire.subject() {
        fact("tls_subject", subject);
    }
    facts
}
