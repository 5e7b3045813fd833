//! Carries each message to a server in a request of its own.

mod send;

use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;
use engine::{Checks, Destination, DestinationSettings, Doubt, OpenError, Opening};
use hyper::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use self::send::Sender;
use crate::{
    Examine,
    setting::{Period, Size},
    tls::Tls,
    web::{
        Access, Auth, Draft, Proxy, TRY,
        headers::{self, Text},
        meaning::Statuses,
        place::has_expression,
    },
};

/// Sends each message as the body of a request, and goes by the status of the answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "url": "https://record.example.org/orders" }))]
pub(super) struct Settings {
    /// Where to. Path and query may be made of the message, the host may not. What an expression puts into the path
    /// is best encoded by `url_encode`; `query` encodes by itself.
    #[schemars(extend("x-template" = true, "pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#@]+([/?].*)?$", "examples" = ["https://record.example.org/orders"]))]
    url: String,

    /// The method. POST, PUT and PATCH carry the message in their body; the others carry none.
    #[serde(default = "method")]
    #[schemars(extend("x-template" = true, "pattern" = "^(POST|PUT|PATCH|DELETE|GET|HEAD)$"))]
    method: String,

    /// Headers by their names. Without `Content-Type`, which is `content_type`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, Text>,

    /// Parameters that are added to the query of the URL, encoded as they must be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    query: BTreeMap<String, Text>,

    /// What the body is (`application/fhir+json`). By default it is what the body looks like: `application/hl7-v2`,
    /// `application/json`, `application/xml`, `text/plain; charset=utf-8`, else `application/octet-stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text")]
    content_type: Option<Text>,

    /// The statuses by which the message counts as sent: `201`, or `2xx` for all of a hundred.
    #[serde(default = "success")]
    #[schemars(length(min = 1))]
    success: Vec<Statuses>,

    /// Who we are to the server. A client's certificate stands under `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    auth: Option<Auth>,

    /// A header (`Idempotency-Key`) that gets the identity of the delivery: the same at each attempt, and at no other
    /// delivery. For servers that know a repeat by it: what may have arrived is then sent again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "Idempotency-Key")]
    idempotency_key: Option<String>,

    /// How long one attempt may take, from connecting to the end of the answer.
    #[serde(default = "timeout")]
    timeout: Period,

    /// How long connecting may take, TLS included.
    #[serde(default = "connect_timeout")]
    connect_timeout: Period,

    /// The longest answer taken, unpacked. Of a longer one the beginning is kept.
    #[serde(default = "max_size")]
    max_size: Size,

    /// TLS, where the URL begins with `https://`: `authorities` to trust (the system's by default) and, where the server
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

fn method() -> String {
    "POST".to_owned()
}

fn success() -> Vec<Statuses> {
    vec![Statuses::SUCCESS]
}

fn timeout() -> Period {
    Period::seconds(30)
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
        let key = self.idempotency_key.iter().map(|name| ("idempotency_key".to_owned(), name));
        headers::check(headers::names(&self.headers).chain(key), self.auth.as_ref(), checks);
    }

    /// A POST that may have arrived is for a person to decide; by HTTP's own word the others may be repeated.
    fn doubt(&self) -> Doubt {
        let method = Method::from_bytes(self.method.as_bytes());
        let is_idempotent = method.is_ok_and(|method| Draft::is_idempotent(&method));
        if is_idempotent || self.idempotency_key.is_some() { Doubt::Resend } else { Doubt::Hold }
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(self.sender(opening)?))
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let sender = self.sender(opening)?;
        sender.client.reach(Instant::now() + TRY).await.map_err(OpenError::new)
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

    fn sender(&self, opening: &Opening) -> Result<Sender, OpenError> {
        let client = self.access().client(&opening.root, self.max_size.0);
        let client = client.map_err(|why| OpenError::new(format!("cannot send by HTTP: {why}")))?;
        Ok(Sender { settings: self.clone(), client: client.shown(&opening.connections) })
    }

    /// Whether a setting was written for one message and stands here for all.
    fn is_unfilled(text: &str, written: &str) -> bool {
        text == written && has_expression(written)
    }
}
