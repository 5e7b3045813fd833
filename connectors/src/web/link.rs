//! One connection to a server: requests go out one after the other, each answered before the next.
//!
//! Nothing of it runs between two requests, so whether the server has hung up in the meantime is read from the
//! socket itself, before the first byte of the next one leaves.

use std::{error::Error, io, pin::Pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use engine::{Hindered, Hindrance};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Request, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, Socket};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    taking::Taking,
    tally::{Counted, Tally},
};
use crate::{
    tls,
    web::{content, payload::Payload},
    wire::{self, Peer, Wire},
};

/// The longest head of an answer.
pub(super) const LONGEST_HEAD: usize = 256 * 1024;

/// How long a connection may take to be ready for the next request once the answer to one is read.
pub(super) const MOMENT: Duration = Duration::from_millis(20);

/// An open connection.
pub(crate) struct Link {
    asking: SendRequest<Payload>,
    /// What reads and writes; `None` once the connection has ended.
    driver: Option<Driver>,
    /// What the connection ended by.
    fault: Option<hyper::Error>,
    socket: Socket,
    tally: Arc<Tally>,
    asked: u32,
    used: Instant,
}

type Driver = Pin<Box<http1::Connection<TokioIo<Counted>, Payload>>>;

/// What a server said.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: AnswerBody,
}

#[derive(Debug, Clone)]
pub(crate) enum AnswerBody {
    Whole(Bytes),
    /// Longer than we take: its beginning.
    Long(Bytes),
    /// It did not come to its end.
    Cut(String),
}

/// Why no answer came, by what the server may have got.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// No byte of the request left, or the server understood none.
    Untouched(Hindered),
    /// Some did.
    Touched(Hindered),
}

impl Link {
    pub(crate) async fn open(wire: Wire) -> Result<Self, String> {
        let socket = SockRef::from(wire.socket()).try_clone().map_err(|error| error.to_string())?;
        let tally = Arc::<Tally>::default();
        let counted = Counted::new(wire, Arc::clone(&tally));
        let (asking, connection) = http1::Builder::new()
            .max_buf_size(LONGEST_HEAD)
            .handshake(TokioIo::new(counted))
            .await
            .map_err(|error| error.to_string())?;
        let driver = Some(Box::pin(connection));
        Ok(Self { asking, driver, fault: None, socket, tally, asked: 0, used: Instant::now() })
    }

    /// Whether it may be asked again: it was used lately, and the server neither hung up nor spoke unasked.
    pub(crate) fn is_usable(&self, idle: Duration) -> bool {
        self.driver.is_some()
            && self.used.elapsed() <= idle
            && wire::look_at(&SockRef::from(&self.socket)) == Peer::Silent
    }

    /// Asks, and waits for the whole answer.
    pub(crate) async fn ask(
        &mut self,
        request: Request<Payload>,
        taking: &mut Taking<'_>,
        deadline: Instant,
    ) -> Result<Answer, Unanswered> {
        let before = self.tally.written();
        let Self { asking, driver, fault, tally, .. } = self;
        let answer = driven((driver, fault), async {
            let responding = timeout_at(deadline, async {
                asking.ready().await?;
                asking.send_request(request).await
            });
            let (head, body) = responding.await.map_err(|_| Lost::Late)??.into_parts();
            let body = taking.take(&head, body, deadline).await;
            // A server may answer before it has read all: the rest of the request is then still on its way.
            let is_over = matches!(body, AnswerBody::Whole(_))
                && timeout(MOMENT, asking.ready()).await.is_ok_and(|ready| ready.is_ok())
                && tally.is_flushed();
            Ok((head, body, is_over))
        });
        let answer = answer.await.map_err(|lost| {
            let touched = self.tally.written() != before;
            self.explain(&lost, touched)
        });
        self.used = Instant::now();
        self.asked += 1;
        let (head, body, is_over) = answer?;
        if !is_over {
            self.driver = None;
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    fn explain(&self, lost: &Lost, touched: bool) -> Unanswered {
        if self.tally.hears_tls() {
            let why = "the server speaks TLS: `url` begins with `https://`";
            return Unanswered::Untouched(Hindered::by(Hindrance::Tls, why));
        }
        let Lost::Broken(error) = lost else {
            let why = Hindered::by(Hindrance::NoAnswer, "no answer came in time");
            return if touched { Unanswered::Touched(why) } else { Unanswered::Untouched(why) };
        };
        // Who asks a connection that has ended learns no more than that: why it did is the connection's to say.
        let at_fault = cause::<io::Error>(error).or_else(|| cause(self.fault.as_ref()?));
        // A server looks at our certificate after its own greeting is done.
        if let Some(at_fault) = at_fault.filter(|error| self.asked == 0 && tls::is_alert(error)) {
            return Unanswered::Untouched(Hindered::by(Hindrance::Tls, tls::explain(at_fault)));
        }
        let why = match at_fault {
            Some(at_fault) => tls::explain_reading(at_fault),
            None if error.is_parse_too_large() => "the head of the answer is too long".to_owned(),
            None if error.is_parse() => "what came back is not HTTP".to_owned(),
            None => "the server hung up before it answered".to_owned(),
        };
        let why = why.into();
        if touched { Unanswered::Touched(why) } else { Unanswered::Untouched(why) }
    }
}

/// How an exchange failed.
enum Lost {
    Late,
    Broken(hyper::Error),
}

impl From<hyper::Error> for Lost {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error)
    }
}

/// Keeps a connection reading and writing while something waits for what comes of it.
async fn driven<T>(
    (driver, fault): (&mut Option<Driver>, &mut Option<hyper::Error>),
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    while let Some(running) = driver {
        tokio::select! {
            // What waits in the socket is read first: it answers nothing that is still to be asked.
            biased;
            ended = running.as_mut() => {
                *fault = ended.err();
                *driver = None;
            }
            done = work.as_mut() => return done,
        }
    }
    work.await
}

pub(super) async fn gather(mut body: Incoming, most: usize, deadline: Instant) -> AnswerBody {
    let mut gathered = BytesMut::new();
    loop {
        match timeout_at(deadline, body.frame()).await {
            Ok(None) => return AnswerBody::Whole(gathered.freeze()),
            Ok(Some(Ok(frame))) => {
                let Ok(chunk) = frame.into_data() else { continue };
                let room = most - gathered.len();
                gathered.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return AnswerBody::Long(gathered.freeze());
                }
            }
            Ok(Some(Err(_))) => return AnswerBody::Cut("the server hung up within its answer".to_owned()),
            Err(_) => return AnswerBody::Cut("the answer did not come to its end in time".to_owned()),
        }
    }
}

pub(super) fn unpacked(headers: &HeaderMap, body: Bytes, most: usize) -> AnswerBody {
    match content::unpack(headers, body.clone(), most) {
        Ok(body) => AnswerBody::Whole(body),
        Err(content::Packed::Unknown) => AnswerBody::Whole(body),
        Err(content::Packed::Long) => AnswerBody::Long(Bytes::new()),
        Err(content::Packed::Broken) => AnswerBody::Cut("the answer cannot be unpacked".to_owned()),
    }
}

/// The first cause of this kind behind an error.
pub(super) fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref())
}
