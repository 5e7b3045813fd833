//! One attempt at one delivery, by a server that says beforehand what it can do.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use engine::{Destination, Outbound, Response, SendError};
use hyper::{
    HeaderMap, Method,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    http::uri::PathAndQuery,
};
use tokio::time::Instant;

use super::{
    Asked, Returns, Settings,
    answer::{self, NO_PATH},
    request::{Repeats, Request},
};
use crate::{
    fhir::capability::{Capabilities, Need},
    web::{
        Answer, AnswerBody, Client, Draft,
        headers::{self, value},
        meaning::{self, Statuses},
        place,
    },
};

/// The longest CapabilityStatement.
const LONGEST_STATEMENT: usize = 64_000_000;

/// So long a statement is believed that says no: the server may have learned in the meantime.
const BELIEVED: Duration = Duration::from_mins(1);

const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Sends resources to one server.
pub(super) struct Sender {
    settings: Settings,
    client: Client,
    /// What the server said, and when.
    said: Mutex<(Arc<Capabilities>, Instant)>,
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let deadline = self.client.deadline();
        let request = self.settings.request(outbound)?;
        if outbound.doubts > 0 && request.repeats == Repeats::Twice && !self.is_patch() {
            let why = "it may have arrived, and a patch or an operation in it would be carried out twice";
            return Err(SendError::refused(why));
        }
        self.able(&request.needs, deadline).await?;
        let draft = self.draft(&request, outbound)?;
        let answer = self.client.ask(draft, &[Statuses::SUCCESS], deadline).await?;
        let status = answer.status;
        let judged = answer::judged(answer, request.answers);
        // A resource that is not there is of this message, where the rest of the server is.
        if NO_PATH.contains(&status.as_u16()) && self.statement(deadline).await.is_err() {
            return Err(SendError::not_delivered(format!(
                "the server answered {}, and nothing for /metadata: is `base` right?",
                status.as_u16()
            )));
        }
        judged
    }
}

impl Sender {
    /// Connects, and reads what the server says it can do. A server that cannot do what the settings ask is refused.
    pub(super) async fn open(
        settings: Settings,
        client: Client,
        until: Option<Instant>,
    ) -> Result<Self, String> {
        let said = Mutex::new((Arc::default(), Instant::now()));
        let sender = Self { settings, client, said };
        let deadline = until.unwrap_or_else(|| sender.client.deadline());
        if sender.settings.capabilities == Asked::Ignored {
            if until.is_some() {
                sender.client.reach(deadline).await?;
            }
            return Ok(sender);
        }
        sender.learn(deadline).await?;
        let said = sender.said();
        match sender.settings.needs().iter().find_map(|need| said.lack(need)) {
            Some(lack) => Err(lacking(&lack)),
            None => Ok(sender),
        }
    }

    fn is_patch(&self) -> bool {
        self.settings.interaction == super::Interaction::Patch
    }

    /// Whether the server can do what a request needs; one that says no is asked anew, though not each time.
    async fn able(&self, needs: &[Need], deadline: Instant) -> Result<(), SendError> {
        if self.settings.capabilities == Asked::Ignored {
            return Ok(());
        }
        if self.lack(needs).is_some() && self.when() + BELIEVED < Instant::now() {
            self.learn(deadline).await.map_err(SendError::not_delivered)?;
        }
        self.lack(needs).map_or(Ok(()), |lack| Err(SendError::refused(lacking(&lack))))
    }

    fn lack(&self, needs: &[Need]) -> Option<String> {
        let said = self.said();
        needs.iter().find_map(|need| said.lack(need))
    }

    async fn learn(&self, deadline: Instant) -> Result<(), String> {
        let body = self.statement(deadline).await?;
        let learned = Arc::new(Capabilities::read(&body)?);
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = (learned, Instant::now());
        Ok(())
    }

    fn said(&self) -> Arc<Capabilities> {
        Arc::clone(&self.said.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    fn when(&self) -> Instant {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// What the server answers for `/metadata`.
    async fn statement(&self, deadline: Instant) -> Result<bytes::Bytes, String> {
        let headers = Client::headers("application/fhir+json");
        let target = self.target("metadata", "").map_err(|error| error.to_string())?;
        let draft = Draft { method: Method::GET, target, headers, body: bytes::Bytes::new() };
        let asked = self.client.ask_for(draft, &[Statuses::SUCCESS], LONGEST_STATEMENT, deadline).await;
        let Answer { status, body, .. } = asked.map_err(|error| meaning::plain(&error))?;
        match body {
            AnswerBody::Whole(body) if status.is_success() => Ok(body),
            AnswerBody::Long(_) if status.is_success() => {
                Err("its CapabilityStatement is longer than 64 MB".to_owned())
            }
            _ => Err(format!("it answered {} for /metadata", status.as_u16())),
        }
    }

    fn draft(&self, request: &Request, outbound: &Outbound) -> Result<Draft, SendError> {
        let target = self.target(&request.path, &request.query)?;
        let headers = self.headers(request, outbound)?;
        Ok(Draft { method: request.method.clone(), target, headers, body: request.body.clone() })
    }

    /// A path beneath the base, and a query that is encoded.
    fn target(&self, path: &str, query: &str) -> Result<PathAndQuery, SendError> {
        let base = self.settings.base.trim_end_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        let mark = if query.is_empty() { "" } else { "?" };
        let text = format!("{base}{slash}{path}{mark}{query}");
        let target = place::target(&text, self.client.parameter().into_iter()).map_err(SendError::refused)?;
        target.parse().map_err(|_| SendError::refused("the resource has no place beneath `base`"))
    }

    fn headers(&self, request: &Request, outbound: &Outbound) -> Result<HeaderMap, SendError> {
        let mut headers = Client::headers("application/fhir+json");
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.content_type));
        let returns = match self.settings.returns {
            Returns::Minimal => "return=minimal",
            Returns::Representation => "return=representation",
        };
        headers.insert(PREFER, HeaderValue::from_static(returns));
        headers::add(&mut headers, &self.settings.headers, outbound)?;
        if let Some(unless) = &request.unless {
            headers.insert(IF_NONE_EXIST, value("condition", unless)?);
        }
        Ok(headers)
    }
}

fn lacking(lack: &str) -> String {
    format!("the server's CapabilityStatement {lack} (`capabilities: ignored` where it can nevertheless)")
}
