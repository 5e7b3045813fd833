//! One connection of a sender: each request is read whole, taken as a message, and answered for what became of it.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use engine::{Facts, Inlet, ReplyWords, Stop};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{ALLOW, EXPECT, HeaderValue, WWW_AUTHENTICATE},
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, timeout, timeout_at},
};
use tracing::{debug, warn};

use super::{
    board::Board,
    facts,
    proof::{Auth, Proof},
    token::{Bearer, Verifier},
    words::{self, Slips, Words},
};
use crate::{crowd::Seat, door::Guest, wire::Wire};

/// How long what is not wanted is read on, so that the sender reads why.
const DRAINING: Duration = Duration::from_secs(2);

/// The longest head of a request.
const LONGEST_HEAD: usize = 64 * 1024;

/// What one source makes of the requests that are let in.
#[async_trait]
pub(crate) trait Intake: Send + Sync {
    async fn take(&self, request: LetIn<'_>) -> Result<Response<Words>, Refusal>;
}

/// A request whose sender may send here.
pub(crate) struct LetIn<'r> {
    pub(crate) host: &'r Host,
    /// Answers go through here, so that it is known when they have left.
    pub(crate) slips: &'r Slips,
    pub(crate) head: Parts,
    pub(crate) facts: Facts,
    pub(crate) body: Incoming,
}

/// What all connections of one source share.
pub(crate) struct Host {
    /// The protocol, as a fact of each message.
    pub(crate) connector: &'static str,
    pub(crate) intake: Box<dyn Intake>,
    pub(crate) inlet: Inlet,
    pub(crate) words: ReplyWords,
    pub(crate) auth: Option<Auth>,
    /// Looks at the tokens of `auth.jwt`.
    pub(crate) verifier: Option<Verifier>,
    pub(crate) path: String,
    pub(crate) methods: Vec<Method>,
    pub(crate) max_size: usize,
    pub(crate) idle: Duration,
    pub(crate) body_within: Duration,
    pub(crate) stop: Stop,
}

/// A sender, as long as it is connected.
struct Sender<'h> {
    /// Who else takes something at this port.
    board: &'h Board,
    /// The channel that let it in.
    door: &'h Host,
    peer: SocketAddr,
    facts: Facts,
    seat: &'h Seat,
    slips: Slips,
    /// Whether a request is being taken or answered.
    is_busy: AtomicBool,
}

/// Why a request becomes no message: what its sender is told.
pub(crate) type Refusal = Box<Response<Words>>;

/// Serves until either side has had enough.
pub(crate) async fn serve(board: Arc<Board>, host: Arc<Host>, guest: Guest) {
    let Guest { wire, peer, seat } = guest;
    let slips = Slips::default();
    let facts = facts::of_connection(wire.as_ref(), peer);
    let sender = Sender {
        board: &board,
        door: &host,
        peer,
        facts,
        seat: &seat,
        slips: slips.clone(),
        is_busy: AtomicBool::new(false),
    };
    let taking = service_fn(|request| sender.take(request));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(host.idle)
            // Who says that nothing more comes still hears its answer.
            .half_close(true)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(TokioIo::new(Flushed { wire, slips }), taking)
    );
    let asked = async {
        tokio::select! {
            () = host.stop.requested() => {}
            () = seat.wanted() => {}
        }
    };
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                debug!(channel = host.inlet.channel(), %peer, %error, "a connection ended early");
            }
            return;
        }
        () = asked => {}
    }
    connection.as_mut().graceful_shutdown();
    if sender.is_busy.load(Ordering::SeqCst) {
        // An answer under way is still written; the door bounds how long that may take.
        let _ = connection.await;
    }
}

impl Sender<'_> {
    async fn take(&self, request: Request<Incoming>) -> Result<Response<Words>, std::convert::Infallible> {
        self.is_busy.store(true, Ordering::SeqCst);
        self.seat.busy();
        let response = if let Some(host) = self.board.find(request.uri().path()) {
            Reading { host: &host, sender: self }.answer(request).await
        } else {
            let (head, mut body) = request.into_parts();
            drain(self.door, &head.headers, &mut body).await;
            let refusal = words::refusal(StatusCode::NOT_FOUND, "nothing is taken at this path");
            self.refused(self.door, *refusal)
        };
        self.seat.idle();
        Ok(response)
    }

    fn refused(&self, host: &Host, refusal: Response<Words>) -> Response<Words> {
        let status = refusal.status().as_u16();
        warn!(channel = host.inlet.channel(), peer = %self.peer, status, "a request became no message");
        refusal
    }
}

/// A request that is read for one channel.
struct Reading<'r> {
    host: &'r Host,
    sender: &'r Sender<'r>,
}

impl Reading<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Response<Words> {
        let (head, mut body) = request.into_parts();
        let caller = match self.let_in(&head.method, &head.headers, &body).await {
            Ok(caller) => caller,
            Err(refusal) => {
                drain(self.host, &head.headers, &mut body).await;
                return self.sender.refused(self.host, *refusal);
            }
        };
        let facts = self.facts(&head, caller);
        let let_in = LetIn { host: self.host, slips: &self.sender.slips, head, facts, body };
        match self.host.intake.take(let_in).await {
            Ok(response) => response,
            Err(refusal) => self.sender.refused(self.host, *refusal),
        }
    }

    fn facts(&self, head: &Parts, caller: Option<String>) -> Facts {
        let secret = self.host.auth.as_ref().and_then(Auth::header);
        let mut facts = self.sender.facts.clone();
        facts.insert("connector".to_owned(), self.host.connector.into());
        facts::of_request(&mut facts, head, secret);
        if let Some(caller) = caller {
            facts.insert("caller".to_owned(), caller.into());
        }
        facts
    }

    /// Whether what the head says may be sent here at all, and by whom.
    async fn let_in(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: &Incoming,
    ) -> Result<Option<String>, Refusal> {
        let caller = self.caller(headers).await?;
        if !self.host.methods.contains(method) {
            return Err(self.host.wrong_method());
        }
        if body.size_hint().lower() > self.host.max_size as u64 {
            return Err(self.host.too_long());
        }
        Ok(caller)
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
        if let Some(verifier) = &self.host.verifier {
            return match verifier.bearer(headers).await {
                Bearer::Known(caller) => Ok(Some(caller)),
                Bearer::Unknown => Err(self.host.unknown_sender()),
                Bearer::NotNow(why) => {
                    warn!(channel = self.host.inlet.channel(), why, "a token cannot be looked at");
                    let told = "who sends this cannot be found out now";
                    Err(words::refusal(StatusCode::SERVICE_UNAVAILABLE, told))
                }
            };
        }
        match self.host.auth.as_ref().map_or(Proof::Later, |auth| auth.of_head(headers)) {
            Proof::From(caller) => Ok(Some(caller)),
            Proof::Later => Ok(None),
            Proof::None => Err(self.host.unknown_sender()),
        }
    }
}

impl Host {
    pub(crate) fn unknown_sender(&self) -> Refusal {
        let mut refusal = words::refusal(StatusCode::UNAUTHORIZED, "who sends this is not known here");
        let challenge = self.auth.as_ref().map_or("", Auth::challenge);
        refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        refusal
    }

    fn wrong_method(&self) -> Refusal {
        let mut refusal =
            words::refusal(StatusCode::METHOD_NOT_ALLOWED, "messages do not come by this method");
        let allowed: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        let allowed = HeaderValue::from_str(&allowed.join(", ")).expect("methods are tokens");
        refusal.headers_mut().insert(ALLOW, allowed);
        refusal
    }

    pub(crate) fn too_long(&self) -> Refusal {
        let why = format!("the body is longer than {} bytes", self.max_size);
        words::refusal(StatusCode::PAYLOAD_TOO_LARGE, &why)
    }
}

impl LetIn<'_> {
    /// The whole body, before its time is over and before we have to stop.
    pub(crate) async fn gather(&mut self) -> Result<Bytes, Refusal> {
        let deadline = Instant::now() + self.host.body_within;
        let mut gathered = BytesMut::new();
        while let Some(chunk) = self.chunk(deadline).await? {
            if gathered.len() + chunk.len() > self.host.max_size {
                self.drain().await;
                return Err(self.host.too_long());
            }
            gathered.extend_from_slice(&chunk);
        }
        Ok(gathered.freeze())
    }

    /// The next piece of the body, before its time is over and before we have to stop.
    pub(crate) async fn chunk(&mut self, deadline: Instant) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = tokio::select! {
                () = self.host.stop.requested() => {
                    return Err(words::refusal(StatusCode::SERVICE_UNAVAILABLE, "the channel stops"));
                }
                frame = timeout_at(deadline, self.body.frame()) => frame,
            };
            let frame = frame.map_err(|_| {
                words::refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come to its end in time")
            })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|_| words::refusal(StatusCode::BAD_REQUEST, "the body broke off"))?;
            if let Ok(chunk) = frame.into_data() {
                return Ok(Some(chunk));
            }
        }
    }

    /// Reads on for a moment, so that the sender reads why nothing more is wanted.
    pub(crate) async fn drain(&mut self) {
        // It is being sent, whatever its head asked first.
        drain(self.host, &HeaderMap::new(), &mut self.body).await;
    }
}

/// Reads on for a moment and forgets it: a connection closed on unread bytes is reset, and the answer with it.
async fn drain(host: &Host, headers: &HeaderMap, body: &mut Incoming) {
    // Who waits to be asked for its body has not sent it.
    if headers.contains_key(EXPECT) {
        return;
    }
    let draining = async { while matches!(body.frame().await, Some(Ok(_))) {} };
    tokio::select! {
        () = host.stop.requested() => {}
        _ = timeout(DRAINING, draining) => {}
    }
}

/// A connection that says when what was written has left.
struct Flushed {
    wire: Wire,
    slips: Slips,
}

impl AsyncRead for Flushed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Flushed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, buffer)
    }

    /// Called once everything was written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.wire).poll_flush(context);
        if let Poll::Ready(Ok(())) = flushed {
            self.slips.told();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
