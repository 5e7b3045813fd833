//! One conversation with a server: many requests at once, each answered by its number.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use engine::{Hindered, Hindrance};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::packet::{self, Answer, INIT, LONGEST, Request};
use crate::wire;

/// So many requests may wait to be written.
const ROOM: usize = 64;

/// The conversation cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Lost(pub(super) Hindered);

/// A conversation. It ends when this is dropped.
pub(super) struct Session {
    requests: mpsc::Sender<Bytes>,
    asked: Arc<Asked>,
    next: AtomicU32,
    patience: Duration,
    extensions: Vec<Bytes>,
    _tasks: JoinSet<()>,
}

/// Who waits for which answer.
#[derive(Default)]
struct Asked {
    waiting: Mutex<HashMap<u32, oneshot::Sender<Answer>>>,
    is_over: AtomicBool,
}

impl Asked {
    fn answer(&self, number: u32, answer: Answer) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        // Whoever asked may have gone meanwhile.
        let _ = waiting.map(|waiting| waiting.send(answer));
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Session {
    /// Agrees on the version with the server.
    pub(super) async fn open<S>(mut stream: S, patience: Duration) -> Result<Self, Lost>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let greeting = async {
            // A greeting has the version where a request has its number.
            stream.write_all(&Request::new(INIT, 3).finish()).await.map_err(|error| lost(&error))?;
            stream.flush().await.map_err(|error| lost(&error))?;
            let said = read_packet(&mut stream)
                .await
                .ok_or_else(|| Lost("the server does not speak SFTP".into()))?;
            packet::version(said).ok_or_else(|| Lost("the server does not speak SFTP".into()))
        };
        let greeted = timeout(patience, greeting).await;
        let (version, extensions) = greeted
            .unwrap_or_else(|_| Err(Lost(Hindered::by(Hindrance::NoAnswer, "no greeting in time"))))?;
        if version < 3 {
            return Err(Lost(format!("the server speaks version {version} of SFTP, not 3").into()));
        }
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (requests, mut queue) = mpsc::channel::<Bytes>(ROOM);
        let asked = Arc::new(Asked::default());
        let mut tasks = JoinSet::new();
        let (hearing, saying) = (Arc::clone(&asked), Arc::clone(&asked));
        tasks.spawn(async move {
            while let Some(packet) = read_packet(&mut reader).await {
                let Some((number, answer)) = packet::read(packet) else { break };
                hearing.answer(number, answer);
            }
            hearing.end();
        });
        tasks.spawn(async move {
            while let Some(request) = queue.recv().await {
                if writer.write_all(&request).await.is_err()
                    || (queue.is_empty() && writer.flush().await.is_err())
                {
                    break;
                }
            }
            saying.end();
        });
        Ok(Self { requests, asked, next: AtomicU32::new(1), patience, extensions, _tasks: tasks })
    }

    /// Asks for something; `fill` writes what follows the number.
    pub(super) async fn ask(&self, kind: u8, fill: impl FnOnce(Request) -> Request) -> Result<Answer, Lost> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.asked.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, tell);
        let request = fill(Request::new(kind, number)).finish();
        if self.is_over() || self.requests.send(request).await.is_err() {
            return Err(Lost("the connection was cut".into()));
        }
        match timeout(self.patience, told).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Lost("the connection was cut".into())),
            Err(_) => {
                // A late answer must not be taken for another one's: this conversation ends.
                self.asked.end();
                Err(Lost(wire::late()))
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.asked.is_over.load(Ordering::SeqCst)
    }

    pub(super) fn has(&self, extension: &str) -> bool {
        self.extensions.iter().any(|has| has == extension.as_bytes())
    }
}

fn lost(error: &std::io::Error) -> Lost {
    Lost(format!("the connection was cut: {error}").into())
}

/// Reads one packet, without its length. `None` at the end, or where what comes is none.
async fn read_packet(reader: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    let length = reader.read_u32().await.ok()? as usize;
    if length == 0 || length > LONGEST {
        return None;
    }
    let mut packet = vec![0; length];
    reader.read_exact(&mut packet).await.ok()?;
    Some(packet.into())
}
