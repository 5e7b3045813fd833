//! The settings of both ways: which belong together, and what is opened with them.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use engine::{Checks, Claim, OpenError, Opening, OtherBytes, Source, SourceSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Listening, Searching, ledger::Ledger};
use crate::{
    Examine,
    crowd::Crowd,
    dicomweb::archive::Archive,
    door::Door,
    host::{self, Verifier},
    room::{LEAST_MEMORY, NO_MEMORY},
    setting::{Listen, Period, Size},
    tls::{self, Side, Tls},
    web::{Access, Auth, Proxy, TRY},
};

/// Listens for STOW-RS, each instance of a request a message; or searches a server, each new instance a message.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "listen": "0.0.0.0:8042", "path": "/dicom-web" }))]
pub(in crate::dicomweb) struct Settings {
    /// Where to listen. Several channels may listen on one port, told apart by their `path`, with the same `tls`.
    /// Either this or `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Listen")]
    listen: Option<Listen>,

    /// When listening: the root beneath which `/studies` is posted to. `/dicom-web` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^/[^?#\\s]*$", "examples" = ["/dicom-web"]))]
    path: Option<String>,

    /// When listening: who may send. Without it everybody may who reaches the port (and, where `tls.clients` is given, has a
    /// certificate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "host::Auth")]
    pub(super) senders: Option<host::Auth>,

    /// The root of a server that is searched. Either this or `listen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#@]+(/[^?#\\s]*)?$", "examples" = ["https://pacs.example.org/dicom-web"]))]
    url: Option<String>,

    /// When searching: parameters of a search for studies (QIDO-RS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^[^?#\\s]*$", "examples" = ["ModalitiesInStudy=CT"]))]
    pub(super) search: Option<String>,

    /// When searching: only studies of so many days are searched for, today's the last. A server that has many older ones
    /// is asked for less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 36500), example = &7)]
    pub(super) days: Option<u32>,

    /// When searching: the pause between the end of one search and the next. Half a minute by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    every: Option<Period>,

    /// When searching: what is taken of each instance. `instances`: the whole, as a DICOM file. `metadata`: its attributes
    /// as DICOM JSON, without pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Take")]
    pub(super) take: Option<Take>,

    /// When searching: who we are to the server. A client's certificate stands under `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    auth: Option<Auth>,

    /// When searching: a proxy between us and the server. Without one none is used, whatever the environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Proxy")]
    proxy: Option<Proxy>,

    /// Whether another instance may come under a name (SOP instance UID) that was taken before, and another patient in a study
    /// that was. By default such an instance is kept and refused; the same bytes again are the same instance.
    #[serde(default)]
    replace: bool,

    /// The longest instance taken. A longer one is answered A700 among those that failed; on a server it is passed over, and
    /// shown as what is wrong. 4 GB, since an instance goes to the disk from a megabyte on as it comes; of
    /// metadata 512 MB, which are in memory meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Size")]
    max_size: Option<Size>,

    /// When listening: how much of instances that are on their way in may be in memory at once. What comes beyond is answered A700, and may be
    /// sent again.
    #[serde(default = "memory")]
    pub(super) memory: Size,

    /// TLS. When listening: `certificate`, `key` and, to ask senders for theirs, `clients`. When searching: `authorities` to
    /// trust and, where the server asks for it, `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,

    /// When listening: how many connections may be open at once.
    #[serde(default = "connections")]
    #[schemars(range(min = 1))]
    connections: usize,

    /// When listening: how many connections one address may have open at once. When it has as many, the one that was idle
    /// longest is closed for the new one.
    #[serde(default = "connections_per_address")]
    #[schemars(range(min = 1))]
    connections_per_address: usize,

    /// When listening: how long a connection may take until the head of its next request is there; then it is closed.
    #[serde(default = "idle")]
    pub(super) idle: Period,

    /// How long each piece of an instance may take to come, and each answer of a server that is searched.
    #[serde(default = "timeout")]
    pub(super) timeout: Period,

    /// When searching: how long connecting may take, TLS included.
    #[serde(default = "connect_timeout")]
    connect_timeout: Period,

    /// How long a connection is quiet before TCP asks whether the other side is still there.
    #[serde(default = "keep_alive")]
    keep_alive: Period,
}

/// What is taken of each instance that is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Take {
    #[default]
    Instances,
    Metadata,
}

/// The longest instance by default, posted and fetched.
const LONGEST_INSTANCE: usize = 4_000_000_000;
const LONGEST_METADATA: usize = 512_000_000;

fn memory() -> Size {
    Size(512_000_000)
}

fn connections() -> usize {
    100
}

fn connections_per_address() -> usize {
    20
}

fn idle() -> Period {
    Period::seconds(60)
}

fn timeout() -> Period {
    Period::seconds(60)
}

fn connect_timeout() -> Period {
    Period::seconds(10)
}

fn keep_alive() -> Period {
    Period::seconds(60)
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        match &self.url {
            Some(url) => self.access(url).examine(root, checks),
            None => {
                if let Some(tls) = &self.tls {
                    tls.examine(Side::Listens, root, "tls", checks);
                }
            }
        }
    }
}

#[async_trait]
impl SourceSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        match (self.listen, &self.url) {
            (Some(_), Some(_)) => {
                checks.error("listen-or-connect", "url", "takes `listen` or `url`, not both");
            }
            (None, None) => checks.error("listen-or-connect", "", "needs `listen` or `url`"),
            (Some(_), None) => self.check_listening(checks),
            (None, Some(url)) => self.check_searching(url, checks),
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let Some(listen) = self.listen.filter(|listen| listen.0.port() != 0) else { return Vec::new() };
        let path = format!("/{}", self.path().trim_matches('/'));
        let manner = self.tls.as_ref().map_or(String::new(), |tls| format!("{tls:?}"));
        vec![Claim::Path { port: listen.0, path, manner }]
    }

    fn connections(&self) -> usize {
        if self.listen.is_some() { self.connections } else { 0 }
    }

    fn usual_format(&self) -> &'static str {
        if self.take == Some(Take::Metadata) { "json" } else { "dicom" }
    }

    fn others(&self) -> OtherBytes {
        if self.replace { OtherBytes::Flag } else { OtherBytes::Refuse }
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        match (self.listen, &self.url) {
            (Some(listen), _) => self.open_listening(listen, opening).await,
            (None, Some(url)) => self.open_searching(url, opening),
            (None, None) => Err(OpenError::new("needs `listen` or `url`")),
        }
    }

    /// Connects, and has the server search for one study.
    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let Some(url) = &self.url else { return Ok(()) };
        let looked = self.archive(url, opening)?.look(Instant::now() + TRY).await;
        looked.map_err(|why| OpenError::new(format!("cannot search the DICOMweb server: {why}")))
    }
}

impl Settings {
    pub(super) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/dicom-web")
    }

    fn check_listening(&self, checks: &mut Checks<'_>) {
        let given = [
            ("search", self.search.is_some()),
            ("days", self.days.is_some()),
            ("every", self.every.is_some()),
            ("take", self.take.is_some()),
            ("auth", self.auth.is_some()),
            ("proxy", self.proxy.is_some()),
        ];
        unused(&given, "with `url`; who may send stands under `senders`", checks);
        if let Some(senders) = &self.senders {
            senders.check(&mut checks.within("senders"));
            if senders.signs_bodies() {
                let why =
                    "a body is looked at as it comes, and its signature only when it has: use another way";
                checks.error("wrong-value", "senders.hmac", why);
            }
        }
        if let Some(tls) = &self.tls {
            tls.check(Side::Listens, "tls", checks);
        }
        if self.memory.0 < LEAST_MEMORY {
            checks.error("wrong-value", "memory", NO_MEMORY);
        }
        for (name, period) in [("idle", self.idle), ("timeout", self.timeout)] {
            if period.0.is_zero() {
                checks.error("period-too-short", name, "no request could be read");
            }
        }
    }

    fn check_searching(&self, url: &str, checks: &mut Checks<'_>) {
        unused(
            &[("path", self.path.is_some()), ("senders", self.senders.is_some())],
            "with `listen`",
            checks,
        );
        self.access(url).check(checks);
        if self.every().is_zero() {
            checks.error("period-too-short", "every", "the server would be asked without a pause");
        }
        for name in ["limit=", "offset=", "includefield="] {
            if self.search().split('&').any(|parameter| parameter.starts_with(name)) {
                let why = format!("holds `{name}…`: that is for the source itself to say");
                checks.error("wrong-value", "search", why);
            }
        }
    }

    /// The longest instance that is taken.
    pub(super) fn most(&self) -> usize {
        let usual = if self.take == Some(Take::Metadata) { LONGEST_METADATA } else { LONGEST_INSTANCE };
        self.max_size.map_or(usual, |most| most.0)
    }

    pub(super) fn search(&self) -> &str {
        self.search.as_deref().unwrap_or_default()
    }

    pub(super) fn every(&self) -> Duration {
        self.every.unwrap_or(Period::seconds(30)).0
    }

    fn access<'s>(&'s self, url: &'s str) -> Access<'s> {
        Access {
            url: ("url", url),
            auth: self.auth.as_ref(),
            tls: self.tls.as_ref(),
            proxy: self.proxy.as_ref(),
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            idle: Period::seconds(30),
            keep_alive: self.keep_alive,
        }
    }

    fn archive(&self, url: &str, opening: &Opening) -> Result<Archive, OpenError> {
        let client = self.access(url).client(&opening.root, self.most());
        let client =
            client.map_err(|why| OpenError::new(format!("cannot search the DICOMweb server: {why}")))?;
        Ok(Archive::new(client.shown(&opening.connections), url))
    }

    async fn open_listening(&self, listen: Listen, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        let tls = self.tls.as_ref().map(|tls| tls::Acceptor::new(tls, &opening.root)).transpose();
        let tls = tls.map_err(|why| OpenError::new(format!("cannot listen on {listen}: {why}")))?;
        let listener = opening
            .ports
            .listen(listen.0)
            .await
            .map_err(|error| OpenError::io(format!("cannot listen on {listen}"), error))?;
        let verifier = self.senders.as_ref().and_then(|senders| senders.jwt.as_ref());
        let verifier = verifier.map(|jwt| Verifier::new(jwt, &opening.root)).transpose();
        let verifier = verifier.map_err(|why| OpenError::new(format!("cannot look at tokens: {why}")))?;
        let board = opening.ports.shared(listen.0);
        let open = opening.connections.clone();
        let crowd = Crowd::new(self.connections, self.connections_per_address, open);
        let door = Door { listener, tls, crowd, keep_alive: self.keep_alive.0 };
        let words = opening.words.clone();
        Ok(Box::new(Listening { door, board, verifier, settings: self.clone(), words }))
    }

    fn open_searching(&self, url: &str, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        let archive = self.archive(url, opening)?;
        let ledger = Ledger::open(&opening.notes, &opening.channel, &[url, self.search()]);
        let ledger =
            ledger.map_err(|error| OpenError::io("cannot read which instances were taken", error))?;
        let trouble = opening.trouble.clone();
        Ok(Box::new(Searching { settings: self.clone(), url: url.to_owned(), archive, ledger, trouble }))
    }
}

fn unused(given: &[(&str, bool)], when: &str, checks: &mut Checks<'_>) {
    for (name, _) in given.iter().filter(|(_, given)| *given) {
        checks.error("unused-field", name, format!("only means something {when}"));
    }
}
