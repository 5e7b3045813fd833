//! One server and the connections that are kept to it.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use engine::{Connections, Hindered, Hindrance, SendError};
use hyper::header::{HeaderValue, PROXY_AUTHORIZATION};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{
    auth::basic,
    draft::Draft,
    link::{Answer, Link, Unanswered},
    many::Many,
    payload::Payload,
    proxy::Proxy,
    taking::Taking,
};
use crate::{
    secret::Secret,
    tls::{self, Tls},
    watched::watched,
    web::place::{Origin, Scheme},
    wire::{self, Wire},
};

/// The longest head that a proxy answers with.
const LONGEST_HEAD: u64 = 16 * 1024;

/// A server, and how it is reached.
pub(crate) struct Server {
    pub(crate) origin: Origin,
    proxy: Option<Proxy>,
    tls: Option<tls::Connector>,
    patience: Patience,
    /// Connections that nobody uses now, the one used last at the end.
    kept: Mutex<Vec<Link>>,
    /// The one that carries many requests at once, where the server speaks HTTP/2.
    shared: tokio::sync::Mutex<Option<Arc<Many>>>,
    /// The server was found to take one request at a time: nobody waits for another's connection.
    takes_one: AtomicBool,
    /// Where its connections are shown, if they are those of a channel.
    shown: Option<Connections>,
}

/// A connection to the server.
enum Opened {
    One(Link),
    Many(Arc<Many>),
}

/// So often a connection is taken for an attempt, as long as nothing was touched.
const CHANGES: usize = 3;

/// What is offered in the greeting.
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) connecting: Duration,
    pub(crate) idle: Duration,
    pub(crate) keep_alive: Duration,
}

impl Server {
    pub(crate) fn new(
        origin: Origin,
        (tls, root): (&Tls, &Path),
        proxy: Option<Proxy>,
        patience: Patience,
    ) -> Result<Self, String> {
        let tls = match origin.scheme {
            Scheme::Plain => None,
            Scheme::Tls => Some(tls::Connector::offering(tls, root, &[HTTP_2, HTTP_1])?),
        };
        let (kept, shared) = (Mutex::default(), tokio::sync::Mutex::default());
        let takes_one = AtomicBool::new(false);
        Ok(Self { origin, proxy, tls, patience, kept, shared, takes_one, shown: None })
    }

    /// Shows its connections among a channel's.
    pub(crate) fn show(&mut self, among: &Connections) {
        self.shown = Some(among.clone());
    }

    /// Asks over a kept connection, else over a new one. A kept one that took nothing is opened anew.
    pub(crate) async fn ask(
        &self,
        draft: &Draft,
        taking: &mut Taking<'_>,
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        while let Some(mut link) = self.take() {
            match link.ask(self.request(draft), taking, deadline).await {
                Ok(answer) => return Ok(self.keep(link, answer)),
                Err(Unanswered::Touched(why)) => return Err(SendError::unknown(why)),
                Err(Unanswered::Untouched(_)) => {}
            }
        }
        for _ in 0..CHANGES {
            let (opened, is_new) = self.connection(deadline).await.map_err(SendError::not_delivered)?;
            let asked = match opened {
                Opened::One(mut link) => {
                    let asked = link.ask(self.request(draft), taking, deadline).await;
                    asked.map(|answer| self.keep(link, answer))
                }
                Opened::Many(many) => {
                    let asked = many.ask(draft.request_among_many(&self.origin), taking, deadline).await;
                    if !is_new && matches!(asked, Err(Unanswered::Untouched(_))) {
                        many.leave();
                        continue;
                    }
                    asked
                }
            };
            return asked.map_err(|unanswered| match unanswered {
                Unanswered::Touched(why) => SendError::unknown(why),
                Unanswered::Untouched(why) => SendError::not_delivered(why),
            });
        }
        Err(SendError::not_delivered("the server closes each connection before it is used"))
    }

    /// The connection that others use too, else a new one; says whether it is new.
    async fn connection(&self, deadline: Instant) -> Result<(Opened, bool), Hindered> {
        if self.tls.is_none() || self.takes_one.load(Ordering::SeqCst) {
            let opened = self.open(deadline).await?;
            if let Opened::Many(many) = &opened {
                self.takes_one.store(false, Ordering::SeqCst);
                *self.shared.lock().await = Some(Arc::clone(many));
            }
            return Ok((opened, true));
        }
        // Whoever comes while one is being opened waits for it: it is for all.
        let shared = timeout_at(deadline, self.shared.lock()).await;
        let mut shared = shared.map_err(|_| wire::late())?;
        if let Some(many) = shared.as_ref()
            && many.is_usable(self.patience.idle).await
        {
            return Ok((Opened::Many(Arc::clone(many)), false));
        }
        *shared = None;
        let opened = self.open(deadline).await?;
        match &opened {
            Opened::Many(many) => *shared = Some(Arc::clone(many)),
            Opened::One(_) => self.takes_one.store(true, Ordering::SeqCst),
        }
        Ok((opened, true))
    }

    /// Whether the server picks up, and where there is TLS lets us in; the connection is closed at once.
    pub(crate) async fn reach(&self, deadline: Instant) -> Result<(), String> {
        let mut wire = self.call(deadline).await?;
        if self.tls.is_some() { wire::is_let_in(&mut wire).await } else { Ok(()) }
    }

    fn request(&self, draft: &Draft) -> hyper::Request<Payload> {
        match (&self.proxy, &self.tls) {
            // A proxy is asked itself for what is not encrypted, and sees it.
            (Some(proxy), None) => {
                let mut request = draft.request_by_proxy(&self.origin);
                if let Some(credentials) = credentials(proxy) {
                    request.headers_mut().insert(PROXY_AUTHORIZATION, credentials);
                }
                request
            }
            _ => draft.request(&self.origin),
        }
    }

    /// A kept connection whose server is still there.
    fn take(&self) -> Option<Link> {
        loop {
            let link = self.lock().pop()?;
            if link.is_usable(self.patience.idle) {
                return Some(link);
            }
        }
    }

    /// Keeps a connection for the next request, and lets go of those that nobody has used for long.
    fn keep(&self, link: Link, answer: Answer) -> Answer {
        let mut kept = self.lock();
        kept.retain(|link| link.is_usable(self.patience.idle));
        kept.push(link);
        drop(kept);
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Link>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self, deadline: Instant) -> Result<Opened, Hindered> {
        let mut wire = self.call(deadline).await?;
        if let Some(among) = &self.shown {
            wire = watched(wire, among);
        }
        if wire.protocol() != Some(HTTP_2) {
            return Ok(Opened::One(Link::open(wire).await?));
        }
        let deadline = deadline.min(Instant::now() + self.patience.connecting);
        let opened = Many::open(wire, deadline).await;
        let many = opened.map_err(|why| wire::cannot_connect(&self.origin.address, why))?;
        Ok(Opened::Many(Arc::new(many)))
    }

    /// Connects, through a proxy where there is one, and greets by TLS.
    async fn call(&self, deadline: Instant) -> Result<Wire, Hindered> {
        let deadline = deadline.min(Instant::now() + self.patience.connecting);
        let address = self.proxy.as_ref().map_or(&self.origin.address, |proxy| &proxy.connect);
        let calling = async {
            let mut stream = wire::connect(address, self.patience.keep_alive).await?;
            let Some(tls) = &self.tls else { return Ok(Box::new(stream) as Wire) };
            if let Some(proxy) = &self.proxy {
                self.pass(proxy, &mut stream).await?;
            }
            Ok(Box::new(tls.connect(stream, &self.origin.address.host).await?) as Wire)
        };
        let called = timeout_at(deadline, calling).await.unwrap_or_else(|_| Err(wire::late()));
        called.map_err(|why| wire::cannot_connect(address, why))
    }

    /// Asks a proxy for a way through to the server.
    async fn pass(&self, proxy: &Proxy, stream: &mut TcpStream) -> Result<(), Hindered> {
        let to = &self.origin.address;
        let mut head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
        if let Some(credentials) = credentials(proxy) {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(credentials.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        stream.write_all(&head).await.map_err(|error| error.to_string())?;
        match through(stream).await? {
            200..300 => Ok(()),
            status => {
                let by = matches!(status, 401 | 403 | 407).then_some(Hindrance::SignedOut);
                Err(Hindered { words: format!("the proxy answered {status} for {to}"), by })
            }
        }
    }
}

/// The status of a proxy's answer. It is read byte by byte: what follows it is the server's.
async fn through(stream: &mut TcpStream) -> Result<u16, String> {
    let mut head = Vec::new();
    let mut bytes = stream.take(LONGEST_HEAD);
    while !head.ends_with(b"\r\n\r\n") {
        let byte = bytes.read_u8().await.map_err(|_| "the proxy hung up".to_owned())?;
        head.push(byte);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("HTTP/1."));
    let status = status.and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    status.ok_or_else(|| "the proxy does not speak HTTP".to_owned())
}

fn credentials(proxy: &Proxy) -> Option<HeaderValue> {
    let password = proxy.password.clone().unwrap_or_else(|| Secret::from(String::new()));
    Some(basic(proxy.user.as_ref()?, &password))
}
