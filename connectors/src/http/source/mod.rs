//! Takes each request that comes as a message, and answers it for what became of it.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use engine::{Checks, Claim, Content, Inbound, Inlet, OpenError, Opening, Source, SourceSettings, Stop};
use hyper::{Method, Response, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Examine,
    crowd::Crowd,
    door::Door,
    host::{Auth, Board, Host, Intake, LetIn, Refusal, Verifier, serve, words},
    setting::{Listen, Period, Size},
    tls::{self, Side, Tls},
    web::content::{self, Packed},
};

/// Listens for requests whose bodies are messages, and answers each with the status of what became of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "listen": "0.0.0.0:8080", "path": "/orders" }))]
pub(super) struct Settings {
    /// Where to listen. Several channels may listen on one port, told apart by their `path`, with the same `tls`.
    listen: Listen,

    /// The path that is taken, with all that lies beneath it and is no other channel's. Requests to any other hear 404.
    #[serde(default = "path")]
    #[schemars(extend("pattern" = "^/[^?#\\s]*$", "examples" = ["/orders"]))]
    path: String,

    /// The methods by which messages come. Requests by any other hear 405.
    #[serde(default = "methods")]
    #[schemars(length(min = 1))]
    methods: Vec<Taken>,

    /// Who may send. Without it everybody may who reaches the port (and, where `tls.clients` is given, has a certificate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    auth: Option<Auth>,

    /// The longest body taken, unpacked. A longer one is answered 413.
    #[serde(default = "max_size")]
    max_size: Size,

    /// TLS: `certificate`, `key` and, to ask senders for theirs, `clients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,

    /// How many connections may be open at once.
    #[serde(default = "connections")]
    #[schemars(range(min = 1))]
    connections: usize,

    /// How many connections one address may have open at once. When it has as many, the one that was idle
    /// longest is closed for the new one.
    #[serde(default = "connections_per_address")]
    #[schemars(range(min = 1))]
    connections_per_address: usize,

    /// How long a connection may take until the head of its next request is there; then it is closed.
    #[serde(default = "idle")]
    idle: Period,

    /// How long the body of a request may take to come; then it is answered 408.
    #[serde(default = "body_within")]
    body_within: Period,

    /// How long a connection is quiet before TCP asks whether the sender is still there.
    #[serde(default = "keep_alive")]
    keep_alive: Period,
}

/// A method by which messages can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
enum Taken {
    Post,
    Put,
    Patch,
    Delete,
    Get,
}

impl Taken {
    fn method(self) -> Method {
        match self {
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
            Self::Get => Method::GET,
        }
    }
}

fn path() -> String {
    "/".to_owned()
}

fn methods() -> Vec<Taken> {
    vec![Taken::Post, Taken::Put]
}

fn max_size() -> Size {
    Size(64_000_000)
}

fn connections() -> usize {
    1000
}

fn connections_per_address() -> usize {
    100
}

fn idle() -> Period {
    Period::seconds(60)
}

fn body_within() -> Period {
    Period::seconds(60)
}

fn keep_alive() -> Period {
    Period::seconds(60)
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        if let Some(tls) = &self.tls {
            tls.examine(Side::Listens, root, "tls", checks);
        }
    }
}

#[async_trait]
impl SourceSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        if let Some(auth) = &self.auth {
            auth.check(&mut checks.within("auth"));
        }
        if let Some(tls) = &self.tls {
            tls.check(Side::Listens, "tls", checks);
        }
        for (name, period) in [("idle", self.idle), ("body_within", self.body_within)] {
            if period.0.is_zero() {
                checks.error("period-too-short", name, "no request could be read");
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let path = format!("/{}", self.path.trim_matches('/'));
        let manner = self.tls.as_ref().map_or(String::new(), |tls| format!("{tls:?}"));
        let claim = Claim::Path { port: self.listen.0, path, manner };
        if self.listen.0.port() == 0 { Vec::new() } else { vec![claim] }
    }

    fn connections(&self) -> usize {
        self.connections
    }

    fn usual_format(&self) -> &'static str {
        "json"
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        let listen = self.listen;
        let tls = self.tls.as_ref().map(|tls| tls::Acceptor::new(tls, &opening.root)).transpose();
        let tls = tls.map_err(|why| OpenError::new(format!("cannot listen on {listen}: {why}")))?;
        let listener = opening
            .ports
            .listen(listen.0)
            .await
            .map_err(|error| OpenError::io(format!("cannot listen on {listen}"), error))?;
        let verifier = self.auth.as_ref().and_then(|auth| auth.jwt.as_ref());
        let verifier = verifier.map(|jwt| Verifier::new(jwt, &opening.root)).transpose();
        let verifier = verifier.map_err(|why| OpenError::new(format!("cannot look at tokens: {why}")))?;
        let board = opening.ports.shared(listen.0);
        let open = opening.connections.clone();
        let crowd = Crowd::new(self.connections, self.connections_per_address, open);
        let door = Door { listener, tls, crowd, keep_alive: self.keep_alive.0 };
        let words = opening.words.clone();
        Ok(Box::new(Listening { door, board, verifier, settings: self.clone(), words }))
    }
}

/// Senders connect to it.
struct Listening {
    door: Door,
    board: Arc<Board>,
    verifier: Option<Verifier>,
    settings: Settings,
    words: engine::ReplyWords,
}

#[async_trait]
impl Source for Listening {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let Self { door, board, verifier, settings, words } = *self;
        let channel = inlet.channel().to_owned();
        let host = Arc::new(Host {
            connector: "http",
            intake: Box::new(Whole),
            inlet,
            words,
            auth: settings.auth,
            verifier,
            path: settings.path,
            methods: settings.methods.into_iter().map(Taken::method).collect(),
            max_size: settings.max_size.0,
            idle: settings.idle.0,
            body_within: settings.body_within.0,
            stop: stop.clone(),
        });
        let _listed = board.list(&host);
        let serving = move |guest| serve(Arc::clone(&board), Arc::clone(&host), guest);
        door.receive(&channel, &stop, serving).await;
        Ok(())
    }
}

/// Each request is one message.
struct Whole;

#[async_trait]
impl Intake for Whole {
    async fn take(&self, mut request: LetIn<'_>) -> Result<Response<words::Words>, Refusal> {
        let host = request.host;
        let packed = request.gather().await?;
        if host.auth.as_ref().is_some_and(|auth| !auth.fits_body(&request.head.headers, &packed)) {
            return Err(host.unknown_sender());
        }
        let body = content::unpack(&request.head.headers, packed, host.max_size);
        let body = body.map_err(|packed| match packed {
            Packed::Unknown => {
                words::refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content encoding is not known here")
            }
            Packed::Broken => words::refusal(StatusCode::BAD_REQUEST, "the body cannot be unpacked"),
            Packed::Long => host.too_long(),
        })?;
        let inbound = Inbound { facts: request.facts.into(), ..Inbound::new(Content::from(body)) };
        let answer = host.inlet.receive(inbound).await;
        Ok(words::answer(&host.words, answer, request.slips))
    }
}
