//! The other side of MLLP, as small as can be: a client that sends, a listener that answers as it is told.
//!
//! For the command line and for tests; channels have their own source and destination.

use std::{
    fmt, io,
    net::SocketAddr,
    path::Path,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use engine::{Hindered, Stop};
use formats::hl7::{
    acknowledgement::{self, Answer, Code},
    batch,
};
use jiff::Zoned;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, ToSocketAddrs},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::frame::{Found, Marks, Reader};
use crate::{
    setting::{Address, Period},
    tls::{self, Tls},
    wire::{self, Wire},
};

/// The longest message or answer taken.
const LONGEST: usize = 64_000_000;
const KEEP_ALIVE: Duration = Duration::from_mins(1);
/// How long the greeting of a new connection may take.
const GREETING: Duration = Duration::from_secs(10);

/// The TLS of a client, its files read.
pub struct Secure(tls::Connector);

impl Secure {
    /// Relative files start at `root`.
    pub fn new(tls: &Tls, root: &Path) -> Result<Self, String> {
        tls::Connector::new(tls, root).map(Self)
    }
}

/// A connection to a peer that answers.
pub struct Client {
    wire: Wire,
    reader: Reader,
}

impl Client {
    /// Connects; the error is for a person. Give it a deadline.
    pub async fn connect(address: &Address, secure: Option<&Secure>) -> Result<Self, String> {
        let failed = |why: Hindered| wire::cannot_connect(address, why).words;
        let stream = wire::connect(address, KEEP_ALIVE).await.map_err(failed)?;
        let wire: Wire = match secure {
            Some(Secure(tls)) => Box::new(tls.connect(stream, &address.host).await.map_err(failed)?),
            None => Box::new(stream),
        };
        Ok(Self { wire, reader: Reader::new(Marks::default(), LONGEST) })
    }

    /// Sends one message in its frame, byte for byte.
    pub async fn send(&mut self, message: Bytes) -> io::Result<()> {
        self.wire.write_all_buf(&mut Marks::default().wrap(message)).await?;
        self.wire.flush().await
    }

    /// The next answer. Never waits less than the peer does: give it a deadline.
    pub async fn answer(&mut self) -> Result<Bytes, String> {
        loop {
            match self.reader.find() {
                Some(Found::Frame(answer)) => return Ok(answer),
                Some(Found::Stray(_)) => {}
                Some(Found::Part { .. } | Found::TooLong(_)) => {
                    return Err("only a part of an answer came".to_owned());
                }
                None if self.reader.stray().is_tls() => return Err("the peer speaks TLS".to_owned()),
                None => match self.reader.read_from(&mut self.wire).await {
                    Ok(0) => return Err("the peer hung up before it answered".to_owned()),
                    Ok(_) => {}
                    Err(error) => return Err(tls::explain_reading(&error)),
                },
            }
        }
    }
}

/// How a listener answers each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With this code, after this pause.
    Answers(Code, Duration),
    Silent,
}

impl FromStr for Manner {
    type Err = String;

    /// Reads `AA`, `AE`, `AR`, `CA`, `CE`, `CR`, `none` or `late:5s`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Silent);
        }
        if let Some(pause) = text.strip_prefix("late:") {
            return Ok(Self::Answers(Code::AA, pause.parse::<Period>()?.0));
        }
        Code::parse(text)
            .map(|code| Self::Answers(code, Duration::ZERO))
            .ok_or_else(|| format!("`{text}` is no answer: AA, AE, AR, CA, CE, CR, none or late:5s"))
    }
}

/// What came to a listener, and from whom.
#[derive(Debug)]
pub enum Received {
    Message {
        peer: SocketAddr,
        message: Bytes,
        /// Told when the message is safe: it is answered then. Dropped untold, the connection is closed unanswered.
        safe: oneshot::Sender<()>,
    },
    /// Something that is no message, in words without what it holds.
    Odd { peer: SocketAddr, what: String },
}

/// A peer that receives.
pub struct Listener {
    socket: TcpListener,
    tls: Option<tls::Acceptor>,
    manner: Manner,
    answers: AtomicU64,
}

impl Listener {
    /// Takes the port. Relative files of `tls` start at `root`.
    pub async fn bind(
        address: impl ToSocketAddrs + fmt::Display,
        manner: Manner,
        tls: Option<(&Tls, &Path)>,
    ) -> Result<Self, String> {
        let failed = |why: String| format!("cannot listen on {address}: {why}");
        let tls = tls.map(|(tls, root)| tls::Acceptor::new(tls, root)).transpose().map_err(failed)?;
        let socket = TcpListener::bind(&address).await.map_err(|error| failed(error.to_string()))?;
        Ok(Self { socket, tls, manner, answers: AtomicU64::new(0) })
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Hands on what comes, and answers it, until asked to stop or until nobody listens to it.
    pub async fn run(self, received: mpsc::Sender<Received>, stop: Stop) {
        let shared = std::sync::Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.requested() => break,
                () = received.closed() => break,
                Some(_) = connections.join_next() => continue,
                accepted = shared.socket.accept() => accepted,
            };
            if let Ok((stream, peer)) = accepted {
                let (shared, received) = (std::sync::Arc::clone(&shared), received.clone());
                connections.spawn(async move {
                    let greeting = timeout(GREETING, shared.greet(stream)).await;
                    let what = match greeting {
                        Ok(Ok(wire)) => shared.serve(wire, peer, &received).await.err(),
                        Ok(Err(why)) => Some(why),
                        Err(_) => Some("no greeting came".to_owned()),
                    };
                    if let Some(what) = what {
                        // Whoever listens no more needs no word of it.
                        let _ = received.send(Received::Odd { peer, what }).await;
                    }
                });
            }
        }
        connections.shutdown().await;
    }

    async fn greet(&self, stream: tokio::net::TcpStream) -> Result<Wire, String> {
        wire::prepare(&stream, KEEP_ALIVE).map_err(|error| error.to_string())?;
        match &self.tls {
            Some(tls) => Ok(Box::new(tls.accept(stream).await?)),
            None => Ok(Box::new(stream)),
        }
    }

    /// Serves one connection until its peer goes; the error says why it was closed before.
    async fn serve(
        &self,
        mut wire: Wire,
        peer: SocketAddr,
        received: &mpsc::Sender<Received>,
    ) -> Result<(), String> {
        let mut reader = Reader::new(Marks::default(), LONGEST);
        loop {
            let odd = match reader.find() {
                Some(Found::Frame(message)) => {
                    let (safe, is_safe) = oneshot::channel();
                    let handed_on = Received::Message { peer, message: message.clone(), safe };
                    if received.send(handed_on).await.is_err() || is_safe.await.is_err() {
                        return Ok(());
                    }
                    let answered = self.answer(&mut wire, &message).await;
                    answered.map_err(|error| format!("cannot answer: {error}"))?;
                    continue;
                }
                Some(Found::Stray(stray)) => format!("{} bytes skipped: {}", stray.count, stray.cause()),
                Some(Found::Part { bytes, .. }) => format!("part of a message, {} bytes", bytes.len()),
                Some(Found::TooLong(_)) => return Err(format!("a message longer than {LONGEST} bytes")),
                None => match reader.read_from(&mut wire).await {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(_) => continue,
                },
            };
            if received.send(Received::Odd { peer, what: odd }).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn answer(&self, wire: &mut Wire, message: &[u8]) -> io::Result<()> {
        let Manner::Answers(code, pause) = self.manner else { return Ok(()) };
        sleep(pause).await;
        let words = match batch::split(message) {
            Ok(Some(found)) => {
                let answers: Vec<_> =
                    found.messages.into_iter().map(|place| self.acknowledge(&message[place], code)).collect();
                acknowledgement::batch(message, &answers)
            }
            Ok(None) | Err(_) => self.acknowledge(message, code),
        };
        wire.write_all_buf(&mut Marks::default().wrap(words.into())).await?;
        wire.flush().await
    }

    fn acknowledge(&self, message: &[u8], code: Code) -> Vec<u8> {
        let number = self.answers.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = Answer {
            code,
            text: None,
            error: None,
            when: &Zoned::now(),
            control_id: &format!("L{number}"),
            charset: None,
        };
        acknowledgement::build(message, &answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manner_is_a_code_silence_or_delay() {
        assert_eq!("AE".parse(), Ok(Manner::Answers(Code::AE, Duration::ZERO)));
        assert_eq!("none".parse(), Ok(Manner::Silent));
        assert_eq!("late:5s".parse(), Ok(Manner::Answers(Code::AA, Duration::from_secs(5))));
        assert!("".parse::<Manner>().is_err() && "aa".parse::<Manner>().is_err());
    }
}
