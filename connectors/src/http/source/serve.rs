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

use bytes::{Bytes, BytesMut};
use engine::{Content, Facts, Inbound, Inlet, ReplyWords, Stop};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{ALLOW, EXPECT, HeaderValue, WWW_AUTHENTICATE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tracing::{debug, warn};

use super::{
    board::Board,
    facts,
    proof::{Auth, Proof},
    token::{Bearer, Verifier},
    words::{self, Slips, Words},
};
use crate::{
    crowd::Seat,
    door::Guest,
    web::content::{self, Packed},
    wire::Wire,
};

/// How long what is not wanted is read on, so that the sender reads why.
const DRAINING: Duration = Duration::from_secs(2);

/// The longest head of a request.
const LONGEST_HEAD: usize = 64 * 1024;

/// What all connections of one source share.
pub(super) struct Host {
    pub(super) inlet: Inlet,
    pub(super) words: ReplyWords,
    pub(super) auth: Option<Auth>,
    /// Looks at the tokens of `auth.jwt`.
    pub(super) verifier: Option<Verifier>,
    pub(super) path: String,
    pub(super) methods: Vec<Method>,
    pub(super) max_size: usize,
    pub(super) idle: Duration,
    pub(super) body_within: Duration,
    pub(super) stop: Stop,
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
type Refusal = Box<Response<Words>>;

/// Serves until either side has had enough.
pub(super) async fn serve(board: Arc<Board>, host: Arc<Host>, guest: Guest) {
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
            self.refused(self.door, refusal)
        };
        self.seat.idle();
        Ok(response)
    }

    fn refused(&self, host: &Host, refusal: Refusal) -> Response<Words> {
        let status = refusal.status().as_u16();
        warn!(channel = host.inlet.channel(), peer = %self.peer, status, "a request became no message");
        *refusal
    }
}

/// A request that is read for one channel.
struct Reading<'r> {
    host: &'r Host,
    sender: &'r Sender<'r>,
}

impl Reading<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Response<Words> {
        match self.read(request).await {
            Ok(inbound) => {
                let answer = self.host.inlet.receive(inbound).await;
                words::answer(&self.host.words, answer, &self.sender.slips)
            }
            Err(refusal) => self.sender.refused(self.host, refusal),
        }
    }

    /// Reads a request to its end and makes a message of it.
    async fn read(&self, request: Request<Incoming>) -> Result<Inbound, Refusal> {
        let (head, mut body) = request.into_parts();
        let let_in = self.let_in(&head.method, &head.headers, &body).await;
        let caller = match let_in {
            Ok(caller) => caller,
            Err(refusal) => {
                drain(self.host, &head.headers, &mut body).await;
                return Err(refusal);
            }
        };
        let packed = self.gather(&mut body).await?;
        if self.host.auth.as_ref().is_some_and(|auth| !auth.fits_body(&head.headers, &packed)) {
            return Err(self.unknown_sender());
        }
        let body =
            content::unpack(&head.headers, packed, self.host.max_size).map_err(|packed| match packed {
                Packed::Unknown => words::refusal(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "the content encoding is not known here",
                ),
                Packed::Broken => words::refusal(StatusCode::BAD_REQUEST, "the body cannot be unpacked"),
                Packed::Long => self.too_long(),
            })?;
        let secret = self.host.auth.as_ref().and_then(Auth::header);
        let mut facts = self.sender.facts.clone();
        facts::of_request(&mut facts, &head, secret);
        if let Some(caller) = caller {
            facts.insert("caller".to_owned(), caller.into());
        }
        Ok(Inbound { facts: facts.into(), ..Inbound::new(Content::from(body)) })
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
            return Err(self.wrong_method());
        }
        if body.size_hint().lower() > self.host.max_size as u64 {
            return Err(self.too_long());
        }
        Ok(caller)
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
        if let Some(verifier) = &self.host.verifier {
            return match verifier.bearer(headers).await {
                Bearer::Known(caller) => Ok(Some(caller)),
                Bearer::Unknown => Err(self.unknown_sender()),
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
            Proof::None => Err(self.unknown_sender()),
        }
    }

    /// The whole body, before its time is over and before we have to stop.
    async fn gather(&self, body: &mut Incoming) -> Result<Bytes, Refusal> {
        let reading = timeout(self.host.body_within, async {
            let mut gathered = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame =
                    frame.map_err(|_| words::refusal(StatusCode::BAD_REQUEST, "the body broke off"))?;
                let Ok(chunk) = frame.into_data() else { continue };
                if gathered.len() + chunk.len() > self.host.max_size {
                    return Err(self.too_long());
                }
                gathered.extend_from_slice(&chunk);
            }
            Ok(gathered.freeze())
        });
        let read = tokio::select! {
            () = self.host.stop.requested() => {
                return Err(words::refusal(StatusCode::SERVICE_UNAVAILABLE, "the channel stops"));
            }
            read = reading => read,
        };
        let read = read.unwrap_or_else(|_| {
            Err(words::refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come to its end in time"))
        });
        if read.as_ref().is_err_and(|refusal| refusal.status() == StatusCode::PAYLOAD_TOO_LARGE) {
            drain(self.host, &HeaderMap::new(), body).await;
        }
        read
    }

    fn unknown_sender(&self) -> Refusal {
        let mut refusal = words::refusal(StatusCode::UNAUTHORIZED, "who sends this is not known here");
        let challenge = self.host.auth.as_ref().map_or("", Auth::challenge);
        refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        refusal
    }

    fn wrong_method(&self) -> Refusal {
        let mut refusal =
            words::refusal(StatusCode::METHOD_NOT_ALLOWED, "messages do not come by this method");
        let allowed: Vec<&str> = self.host.methods.iter().map(Method::as_str).collect();
        let allowed = HeaderValue::from_str(&allowed.join(", ")).expect("methods are tokens");
        refusal.headers_mut().insert(ALLOW, allowed);
        refusal
    }

    fn too_long(&self) -> Refusal {
        let why = format!("the body is longer than {} bytes", self.host.max_size);
        words::refusal(StatusCode::PAYLOAD_TOO_LARGE, &why)
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
