//! Stores each instance on a DICOMweb server (STOW-RS), and believes only what the answer says of that instance.

mod group;
mod send;

use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;
use engine::{Checks, Destination, DestinationSettings, Doubt, OpenError, Opening};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use self::{group::Grouping, send::Sender};
use super::archive::Archive;
use crate::{
    Examine,
    setting::{Period, Size},
    tls::Tls,
    web::{
        Access, Auth, Proxy, TRY,
        headers::{self, Text},
        place::has_expression,
    },
};

/// Sends each message, a DICOM file, to a DICOMweb server by STOW-RS.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "url": "https://pacs.example.org/dicom-web" }))]
pub(in crate::dicomweb) struct Settings {
    /// The server's root, beneath which `/studies` lies. No part of it is made of the message.
    #[schemars(extend("pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#@]+(/[^?#\\s]*)?$", "examples" = ["https://pacs.example.org/dicom-web"]))]
    url: String,

    /// Headers by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, Text>,

    /// Who we are to the server. A client's certificate stands under `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    auth: Option<Auth>,

    /// How many instances that are ready at the same time one request may hold. As many can be ready as `workers` send: with
    /// `order: none` or a key. Each is sent, refused or in doubt by what the answer says of it.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 200))]
    together: usize,

    /// How long instances of one request may be together. A longer one goes by itself.
    #[serde(default = "together_size")]
    together_size: Size,

    /// How long one attempt may take, from connecting to the end of the answer.
    #[serde(default = "timeout")]
    timeout: Period,

    /// How long connecting may take, TLS included.
    #[serde(default = "connect_timeout")]
    connect_timeout: Period,

    /// The longest answer taken, unpacked. An instance that the server says it has already is fetched and compared: it may
    /// be as long as what was sent.
    #[serde(default = "max_size")]
    max_size: Size,

    /// TLS, where `url` begins with `https://`: `authorities` to trust (the system's by default) and, where the server
    /// asks for it, `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,

    /// A proxy between us and the server. Without one none is used, whatever the environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Proxy")]
    proxy: Option<Proxy>,

    /// A connection that was not used for so long is closed and opened anew.
    #[serde(default = "idle")]
    idle: Period,

    /// How long a connection is quiet before TCP asks whether the server is still there.
    #[serde(default = "keep_alive")]
    keep_alive: Period,
}

fn one() -> usize {
    1
}

fn together_size() -> Size {
    Size(64_000_000)
}

fn timeout() -> Period {
    Period::seconds(300)
}

fn connect_timeout() -> Period {
    Period::seconds(10)
}

fn max_size() -> Size {
    Size(16_000_000)
}

fn idle() -> Period {
    Period::seconds(30)
}

fn keep_alive() -> Period {
    Period::seconds(60)
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        self.access().examine(root, checks);
    }
}

#[async_trait]
impl DestinationSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        self.access().check(checks);
        headers::check(headers::names(&self.headers), self.auth.as_ref(), checks);
        if has_expression(&self.url) {
            let why = "is not made of a message: an instance names its study itself";
            checks.error("wrong-value", "url", why);
        }
    }

    /// The same instance a second time is the same instance.
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        let grouping = (self.together > 1).then(|| Grouping::new(self.together, self.together_size.0));
        Ok(Box::new(Sender::new(self.archive(opening)?, self.headers.clone(), grouping)))
    }

    /// Connects, and has the server search for one study.
    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let looked = self.archive(opening)?.look(Instant::now() + TRY).await;
        looked.map_err(|why| OpenError::new(format!("cannot send to the DICOMweb server: {why}")))
    }
}

impl Settings {
    fn access(&self) -> Access<'_> {
        Access {
            url: ("url", &self.url),
            auth: self.auth.as_ref(),
            tls: self.tls.as_ref(),
            proxy: self.proxy.as_ref(),
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            idle: self.idle,
            keep_alive: self.keep_alive,
        }
    }

    fn archive(&self, opening: &Opening) -> Result<Archive, OpenError> {
        let client = self.access().client(&opening.root, self.max_size.0);
        let client =
            client.map_err(|why| OpenError::new(format!("cannot send to the DICOMweb server: {why}")))?;
        Ok(Archive::new(client.shown(&opening.connections), &self.url))
    }
}
