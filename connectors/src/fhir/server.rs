//! A FHIR server: what lies beneath its base, and what it says it can do.

use bytes::Bytes;
use hyper::{Method, http::uri::PathAndQuery};
use tokio::time::Instant;

use super::capability::Capabilities;
use crate::web::{Answer, AnswerBody, Client, Draft, Payload, Taking, meaning, meaning::Statuses, place};

/// The longest CapabilityStatement.
const LONGEST_STATEMENT: usize = 64_000_000;

/// What resources are called on the wire.
pub(crate) const FHIR: &str = "application/fhir+json";

/// Asks one server.
pub(crate) struct Server {
    pub(crate) client: Client,
    base: String,
}

impl Server {
    pub(crate) fn new(client: Client, base: &str) -> Self {
        Self { client, base: base.trim_end_matches('/').to_owned() }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// A path beneath the base, and a query that is encoded.
    pub(crate) fn target(&self, path: &str, query: &str) -> Result<PathAndQuery, String> {
        let slash = if path.is_empty() { "" } else { "/" };
        let mark = if query.is_empty() { "" } else { "?" };
        self.whole(&format!("{}{slash}{path}{mark}{query}", self.base))
    }

    /// Path and query of a whole URL, asked of this server whatever host it names.
    pub(super) fn whole(&self, url: &str) -> Result<PathAndQuery, String> {
        let target = place::target(url, self.client.parameter().into_iter())?;
        target.parse().map_err(|_| "it has no place beneath `base`".to_owned())
    }

    /// What the server says it can do.
    pub(super) async fn capabilities(&self, deadline: Instant) -> Result<Capabilities, String> {
        Capabilities::read(&self.statement(deadline).await?)
    }

    /// What the server answers for `/metadata`.
    pub(crate) async fn statement(&self, deadline: Instant) -> Result<Bytes, String> {
        let target = self.target("metadata", "")?;
        let draft =
            Draft { method: Method::GET, target, headers: Client::headers(FHIR), body: Payload::default() };
        let asked =
            self.client.ask_for(draft, &[Statuses::SUCCESS], Taking::most(LONGEST_STATEMENT), deadline).await;
        let Answer { status, body, .. } = asked.map_err(|error| meaning::plain(&error))?;
        match body {
            AnswerBody::Whole(body) if status.is_success() => Ok(body),
            AnswerBody::Long(_) if status.is_success() => {
                Err("its CapabilityStatement is longer than 64 MB".to_owned())
            }
            _ => Err(format!("it answered {} for /metadata", status.as_u16())),
        }
    }
}

/// That a server does not say it can do what is needed, and what to do.
pub(super) fn lacking(lack: &str) -> String {
    format!("the server's CapabilityStatement {lack} (`capabilities: ignored` where it can nevertheless)")
}
