//! Sends HL7 messages to a peer and reads its acknowledgements.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::{Checks, Claim, Destination, DestinationSettings, Doubt, OpenError, Opening};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    call,
    frame::Marks,
    send::{Meeting, Sender},
    settings::{Framing, Way},
};
use crate::{
    Examine,
    setting::{Address, Listen, Period, Size},
    tls::{self, Tls},
};

/// Sends HL7 v2 messages over MLLP and waits for the acknowledgement of each.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "connect": "lab.example.org:2575" }))]
pub(super) struct Settings {
    /// Where to connect. Either this or `listen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Address")]
    pub(super) connect: Option<Address>,

    /// Where to wait for the peer to connect (server mode). Either this or `connect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Listen")]
    pub(super) listen: Option<Listen>,

    /// How long one attempt may take, from connecting to the answer.
    #[serde(default = "timeout")]
    pub(super) timeout: Period,

    /// What the peer answers. `required`: an acknowledgement whose MSA-2 is the message's MSH-10. `any`: MSA-2 is
    /// not compared, for peers that leave it empty, cut it or write their own. `none`: it never answers.
    #[serde(default)]
    pub(super) answer: Expected,

    /// The longest answer taken.
    #[serde(default = "max_size")]
    pub(super) max_size: Size,

    /// TLS. When connecting: `authorities` to trust (the system's by default) and, where the peer asks for it,
    /// `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    pub(super) tls: Option<Tls>,

    /// A connection that was not used for so long is closed and opened anew.
    #[serde(default = "idle")]
    pub(super) idle: Period,

    /// How long a connection is quiet before TCP asks whether the peer is still there.
    #[serde(default = "keep_alive")]
    pub(super) keep_alive: Period,

    /// The bytes around each message.
    #[serde(default)]
    pub(super) framing: Framing,
}

/// What the peer answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Expected {
    #[default]
    Required,
    Any,
    None,
}

fn timeout() -> Period {
    Period::seconds(30)
}

fn max_size() -> Size {
    Size(64_000_000)
}

fn idle() -> Period {
    Period::seconds(300)
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
impl DestinationSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        self.way().check(checks);
        self.framing.check(checks);
        if self.timeout.0.is_zero() {
            checks.error("period-too-short", "timeout", "no attempt could succeed");
        }
    }

    fn claims(&self) -> Vec<Claim> {
        self.way().claims()
    }

    /// A peer that takes HL7 knows a repeat by its MSH-10.
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        let meeting = match (&self.connect, &self.listen) {
            (Some(address), _) => {
                let tls = self.way().connector(address, opening)?;
                Meeting::Connect { address: address.clone(), tls }
            }
            (None, Some(listen)) => self.listening(*listen, opening).await?,
            (None, None) => return Err(OpenError::new("needs `connect` or `listen`")),
        };
        Ok(Box::new(Sender {
            meeting,
            marks: Marks::from(&self.framing),
            expected: self.answer,
            max_size: self.max_size.0,
            timeout: self.timeout.0,
            idle: self.idle.0,
            keep_alive: self.keep_alive.0,
            kept: Mutex::default(),
            overheard: Arc::default(),
            connections: opening.connections.clone(),
        }))
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let Some(address) = &self.connect else { return Ok(()) };
        let tls = self.way().connector(address, opening)?;
        call::reach(address, tls.as_ref(), self.keep_alive.0).await
    }
}

impl Settings {
    async fn listening(&self, listen: Listen, opening: &Opening) -> Result<Meeting, OpenError> {
        let tls = self.tls.as_ref().map(|tls| tls::Acceptor::new(tls, &opening.root)).transpose();
        let tls = tls.map_err(|why| OpenError::new(format!("cannot listen on {listen}: {why}")))?;
        let listener = opening
            .ports
            .listen(listen.0)
            .await
            .map_err(|error| OpenError::io(format!("cannot listen on {listen}"), error))?;
        Ok(Meeting::Listen { listener, tls })
    }
}
