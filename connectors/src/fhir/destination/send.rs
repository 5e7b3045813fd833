//! One attempt at one delivery, by a server that says beforehand what it can do.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use engine::{Destination, Outbound, Response, SendError};
use hyper::{
    HeaderMap,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use tokio::time::Instant;

use super::{
    Interaction, Returns, Settings,
    answer::{self, NO_PATH},
    merged,
    request::{Repeats, Request},
};
use crate::{
    fhir::{
        capability::{Asked, Capabilities, Need},
        server::{FHIR, Server, lacking},
    },
    web::{
        Client, Draft,
        headers::{self, value},
        meaning::Statuses,
    },
};

/// So long a statement is believed that says no: the server may have learned in the meantime.
const BELIEVED: Duration = Duration::from_mins(1);

const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Sends resources to one server.
pub(super) struct Sender {
    settings: Settings,
    server: Server,
    /// What the server said, and when.
    said: Mutex<(Arc<Capabilities>, Instant)>,
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let deadline = self.server.client.deadline();
        let mut request = self.settings.request(outbound)?;
        if outbound.doubts > 0 && request.repeats == Repeats::Twice && !self.is_patch() {
            let why = "it may have arrived, and a patch or an operation in it would be carried out twice";
            return Err(SendError::refused(why));
        }
        self.able(&request.needs, deadline).await?;
        let merged = merged::follow(&self.server, &mut request, deadline).await?;
        let draft = self.draft(&request, outbound)?;
        let answer = self.server.client.ask(draft, &[Statuses::SUCCESS], deadline).await?;
        let status = answer.status;
        let judged = answer::judged(answer, request.answers);
        // A resource that is not there is of this message, where the rest of the server is.
        if NO_PATH.contains(&status.as_u16()) && self.server.statement(deadline).await.is_err() {
            return Err(SendError::not_delivered(format!(
                "the server answered {}, and nothing for /metadata: is `base` right?",
                status.as_u16()
            )));
        }
        judged.map(|mut response| {
            if !merged.is_empty() {
                response.facts.insert("merged".to_owned(), merged.into());
            }
            response
        })
    }
}

impl Sender {
    /// Connects, and reads what the server says it can do. A server that cannot do what the settings ask is refused.
    pub(super) async fn open(
        settings: Settings,
        server: Server,
        until: Option<Instant>,
    ) -> Result<Self, String> {
        let said = Mutex::new((Arc::default(), Instant::now()));
        let sender = Self { settings, server, said };
        let deadline = until.unwrap_or_else(|| sender.server.client.deadline());
        if sender.settings.capabilities == Asked::Ignored {
            if until.is_some() {
                sender.server.client.reach(deadline).await?;
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
        self.settings.interaction == Interaction::Patch
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
        let learned = Arc::new(self.server.capabilities(deadline).await?);
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = (learned, Instant::now());
        Ok(())
    }

    fn said(&self) -> Arc<Capabilities> {
        Arc::clone(&self.said.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    fn when(&self) -> Instant {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn draft(&self, request: &Request, outbound: &Outbound) -> Result<Draft, SendError> {
        let target = self.server.target(&request.path, &request.query).map_err(SendError::refused)?;
        let headers = self.headers(request, outbound)?;
        Ok(Draft { method: request.method.clone(), target, headers, body: request.body.clone().into() })
    }

    fn headers(&self, request: &Request, outbound: &Outbound) -> Result<HeaderMap, SendError> {
        let mut headers = Client::headers(FHIR);
        if Draft::has_body(&request.method) {
            let returns = match self.settings.returns {
                Returns::Minimal => "return=minimal",
                Returns::Representation => "return=representation",
            };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.content_type));
            headers.insert(PREFER, HeaderValue::from_static(returns));
        }
        headers::add(&mut headers, &self.settings.headers, outbound)?;
        if let Some(unless) = &request.unless {
            headers.insert(IF_NONE_EXIST, value("condition", unless)?);
        }
        Ok(headers)
    }
}
