//! One attempt at one delivery: a connection, a frame, its answer, all before one deadline.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use engine::{Connections, Destination, Hindered, Hindrance, LateAnswer, Outbound, Response, SendError};
use futures_util::FutureExt;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, timeout_at},
};

use super::{
    asked::{Asked, Heard},
    call::call,
    destination::Expected,
    frame::Marks,
    link::{Link, Overheard, Unheard, Unwritten},
};
use crate::{
    setting::Address,
    tls,
    watched::watched,
    wire::{self, Wire},
};

/// How many connections of peers wait for their turn (server mode).
const WAITING: usize = 16;

/// How a connection comes about.
pub(super) enum Meeting {
    /// We connect.
    Connect { address: Address, tls: Option<tls::Connector> },
    /// The peer does.
    Listen { listener: Arc<TcpListener>, tls: Option<tls::Acceptor> },
}

/// Sends messages to one peer, over connections that are kept.
pub(super) struct Sender {
    pub(super) meeting: Meeting,
    pub(super) marks: Marks,
    pub(super) expected: Expected,
    pub(super) max_size: usize,
    pub(super) timeout: Duration,
    pub(super) idle: Duration,
    pub(super) keep_alive: Duration,
    /// Connections that nobody uses now, the one used last at the end.
    pub(super) kept: Mutex<Vec<Link>>,
    pub(super) overheard: Arc<Overheard>,
    pub(super) connections: Connections,
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let body = &outbound.body.whole()?;
        if body.is_empty() {
            return Err(SendError::refused("there is nothing to send: the message is empty"));
        }
        if self.marks.are_in(body) {
            return Err(SendError::refused("the message holds the bytes that end a frame or begin one"));
        }
        let asked = Asked::of(body, self.expected);
        let deadline = Instant::now() + self.timeout;
        let mut link = self.write(body, deadline).await?;
        let result = match self.expected {
            Expected::None => Some(Ok(Response::default())),
            Expected::Required | Expected::Any => self.hear(&mut link, &asked, deadline).await?,
        };
        let Some(result) = result else {
            return Err(SendError::unknown("the peer answered for another message"));
        };
        link.ended(&asked.control_ids, outbound.id);
        self.keep(link);
        result
    }

    fn overheard(&self) -> Vec<LateAnswer> {
        self.overheard.take()
    }
}

impl Sender {
    /// Writes to a kept connection, else to a new one. A kept one that took nothing is opened anew within the attempt.
    async fn write(&self, body: &Bytes, deadline: Instant) -> Result<Link, SendError> {
        if let Some(mut link) = self.take().await {
            match link.write(body.clone(), deadline).await {
                Ok(()) => return Ok(link),
                Err(Unwritten::Part(why)) => return Err(SendError::unknown(why)),
                Err(Unwritten::Nothing(_)) => {}
            }
        }
        let mut link = self.open(deadline).await.map_err(SendError::not_delivered)?;
        match link.write(body.clone(), deadline).await {
            Ok(()) => Ok(link),
            Err(Unwritten::Part(why)) => Err(SendError::unknown(why)),
            Err(Unwritten::Nothing(why)) => Err(SendError::not_delivered(why)),
        }
    }

    /// Waits for the answer to what was asked; `None` where the peer answers for something we never asked.
    ///
    /// A link that is not handed on is closed, so that a late answer is never taken for another message's.
    async fn hear(
        &self,
        link: &mut Link,
        asked: &Asked,
        deadline: Instant,
    ) -> Result<Option<Result<Response, SendError>>, SendError> {
        loop {
            let answer = link.hear(deadline).await.map_err(|unheard| self.explain(unheard))?;
            match asked.hear(&answer) {
                Heard::Answer(result) => return Ok(Some(result)),
                Heard::Other if link.overhears(&answer) => {}
                Heard::Other => return Ok(None),
                Heard::Unclear(why) => return Err(SendError::unknown(why)),
            }
        }
    }

    fn explain(&self, unheard: Unheard) -> SendError {
        match unheard {
            Unheard::Late => {
                let why = format!("no answer came within {:?}", self.timeout);
                SendError::unknown(Hindered::by(Hindrance::NoAnswer, why))
            }
            Unheard::Closed => SendError::unknown("the peer hung up before it answered"),
            Unheard::Broken(why) => SendError::unknown(why),
            Unheard::Deaf(why) => SendError::not_delivered(Hindered::by(Hindrance::Tls, why)),
        }
    }

    /// A kept connection whose peer is still there.
    async fn take(&self) -> Option<Link> {
        self.welcome();
        loop {
            let mut link = self.lock().pop()?;
            if link.is_usable(self.longest_idle()).await {
                return Some(link);
            }
        }
    }

    fn keep(&self, link: Link) {
        self.lock().push(link);
    }

    /// A peer that connected to us says itself when it has had enough.
    fn longest_idle(&self) -> Option<Duration> {
        matches!(self.meeting, Meeting::Connect { .. }).then_some(self.idle)
    }

    /// Takes in the peers that connected since (server mode). The newest is used first: a peer that connects
    /// anew may have left its old connection half dead.
    fn welcome(&self) {
        let Meeting::Listen { listener, tls: None } = &self.meeting else { return };
        let mut accepted = Vec::new();
        while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
            accepted.push(stream);
        }
        for stream in accepted {
            if wire::prepare(&stream, self.keep_alive).is_ok() {
                self.keep(self.link(Box::new(stream)));
            }
        }
        let mut kept = self.lock();
        let surplus = kept.len().saturating_sub(WAITING);
        kept.drain(..surplus);
    }

    async fn open(&self, deadline: Instant) -> Result<Link, Hindered> {
        let opened = match &self.meeting {
            Meeting::Connect { address, tls } => {
                timeout_at(deadline, call(address, tls.as_ref(), self.keep_alive))
                    .await
                    .unwrap_or_else(|_| Err(wire::late()))
                    .map_err(|why| wire::cannot_connect(address, why))?
            }
            Meeting::Listen { listener, tls } => timeout_at(deadline, self.accept(listener, tls.as_ref()))
                .await
                .map_err(|_| "no peer has connected")?,
        };
        Ok(self.link(opened))
    }

    /// Waits for a peer that greets as it should.
    async fn accept(&self, listener: &TcpListener, tls: Option<&tls::Acceptor>) -> Wire {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if let Some(wire) = self.greet(stream, tls).await {
                return wire;
            }
        }
    }

    async fn greet(&self, stream: TcpStream, tls: Option<&tls::Acceptor>) -> Option<Wire> {
        wire::prepare(&stream, self.keep_alive).ok()?;
        let wire: Wire = match tls {
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => Box::new(stream),
                Err(why) => {
                    tracing::warn!(%why, "a peer's connection could not be opened");
                    return None;
                }
            },
            None => Box::new(stream),
        };
        (wire::look(wire.as_ref()) != wire::Peer::Gone).then_some(wire)
    }

    fn link(&self, wire: Wire) -> Link {
        let wire = watched(wire, &self.connections);
        Link::new(wire, self.marks.clone(), self.max_size, Arc::clone(&self.overheard))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
