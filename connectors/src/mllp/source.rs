//! Takes HL7 messages from whoever connects, or from a peer it connects to.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{Checks, Claim, OpenError, Opening, Source, SourceSettings};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    answer::Wording,
    call,
    frame::Marks,
    run::{Calling, Listening, Manner},
    settings::{Framing, Way},
};
use crate::{
    Examine,
    crowd::Crowd,
    door::Door,
    setting::{Address, Listen, Period, Size},
    tls::{self, Tls},
};

/// Takes HL7 v2 messages over MLLP and answers each on the same connection.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "listen": "0.0.0.0:2575" }))]
pub(super) struct Settings {
    /// Where to listen. Either this or `connect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Listen")]
    pub(super) listen: Option<Listen>,

    /// Where to connect to a peer that then sends (client mode). Either this or `listen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Address")]
    pub(super) connect: Option<Address>,

    /// The longest message taken. A longer one is answered AR and the connection closed.
    #[serde(default = "max_size")]
    pub(super) max_size: Size,

    /// TLS. When listening: `certificate`, `key` and, to ask senders for theirs, `clients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    pub(super) tls: Option<Tls>,

    /// How many connections may be open at once.
    #[serde(default = "connections")]
    #[schemars(range(min = 1))]
    pub(super) connections: usize,

    /// How many connections one address may have open at once. When it has as many, the one that was idle
    /// longest is closed for the new one.
    #[serde(default = "connections_per_address")]
    #[schemars(range(min = 1))]
    pub(super) connections_per_address: usize,

    /// A connection on which nothing comes for so long is closed.
    #[serde(default = "idle")]
    pub(super) idle: Period,

    /// How long a connection is quiet before TCP asks whether the peer is still there.
    #[serde(default = "keep_alive")]
    pub(super) keep_alive: Period,

    /// The bytes around each message.
    #[serde(default)]
    pub(super) framing: Framing,
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
    Period::seconds(24 * 3600)
}

fn keep_alive() -> Period {
    Period::seconds(60)
}

impl Settings {
    fn way(&self) -> Way<'_> {
        Way { listen: self.listen, connect: self.connect.as_ref(), tls: self.tls.as_ref() }
    }
}

impl Examine for Settings {
    fn examine(&self, root: &std::path::Path, checks: &mut Checks<'_>) {
        self.way().examine(root, checks);
    }
}

#[async_trait]
impl SourceSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        self.way().check(checks);
        self.framing.check(checks);
        if self.max_size.0 < 1024 {
            checks.error("size-too-small", "max_size", "no HL7 message fits in less than 1024 bytes");
        }
        if self.idle.0.is_zero() {
            checks.error("period-too-short", "idle", "every connection would be closed at once");
        }
    }

    fn claims(&self) -> Vec<Claim> {
        self.way().claims()
    }

    fn connections(&self) -> usize {
        self.connections
    }

    fn usual_format(&self) -> &'static str {
        "hl7"
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        match (&self.listen, &self.connect) {
            (Some(listen), _) => self.open_listening(*listen, opening).await,
            (None, Some(address)) => self.open_calling(address, opening),
            (None, None) => Err(OpenError::new("needs `listen` or `connect`")),
        }
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let Some(address) = &self.connect else { return Ok(()) };
        let tls = self.way().connector(address, opening)?;
        call::reach(address, tls.as_ref(), self.keep_alive.0).await
    }
}

impl Settings {
    async fn open_listening(&self, listen: Listen, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        let failed = |why: &str| OpenError::new(format!("cannot listen on {listen}: {why}"));
        let tls = self.tls.as_ref().map(|tls| tls::Acceptor::new(tls, &opening.root)).transpose();
        let tls = tls.map_err(|why| failed(&why))?;
        let listener = opening
            .ports
            .listen(listen.0)
            .await
            .map_err(|error| OpenError::io(format!("cannot listen on {listen}"), error))?;
        let door = Door { listener, tls, crowd: self.crowd(opening), keep_alive: self.keep_alive.0 };
        Ok(Box::new(Listening { door, manner: self.manner(opening) }))
    }

    fn open_calling(&self, address: &Address, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        let tls = self.way().connector(address, opening)?;
        let (crowd, keep_alive) = (self.crowd(opening), self.keep_alive.0);
        Ok(Box::new(Calling {
            address: address.clone(),
            tls,
            crowd,
            keep_alive,
            manner: self.manner(opening),
        }))
    }

    fn crowd(&self, opening: &Opening) -> Arc<Crowd> {
        Crowd::new(self.connections, self.connections_per_address, opening.connections.clone())
    }

    fn manner(&self, opening: &Opening) -> Manner {
        Manner {
            wording: Wording::new(opening.words.clone(), opening.charset.as_deref()),
            marks: Marks::from(&self.framing),
            max_size: self.max_size.0,
            idle: self.idle.0,
        }
    }
}
