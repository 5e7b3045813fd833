//! One attempt at one delivery: a request, and its answer, before one deadline.

use async_trait::async_trait;
use engine::{Destination, Outbound, Response, SendError};
use hyper::{HeaderMap, Method, header::CONTENT_TYPE, http::uri::PathAndQuery};

use super::Settings;
use crate::web::{
    Client, Draft, Payload,
    content::{beginning, usual_type},
    headers::{self, named, value},
    meaning::{Asked, judge},
    place,
};

/// Sends messages to one endpoint.
pub(super) struct Sender {
    pub(super) settings: Settings,
    pub(super) client: Client,
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let deadline = self.client.deadline();
        let draft = self.draft(outbound)?;
        let answer = self.client.ask(draft, &self.settings.success, deadline).await?;
        let reads_message = |name: &String| name == "url" || name.starts_with("query.");
        let asked =
            if outbound.texts.keys().any(reads_message) { Asked::OfThisMessage } else { Asked::OfAll };
        judge(answer, &self.settings.success, asked)
    }
}

impl Sender {
    fn draft(&self, outbound: &Outbound) -> Result<Draft, SendError> {
        let settings = &self.settings;
        let method = outbound.text("method", &settings.method).to_ascii_uppercase();
        let method = method
            .parse()
            .ok()
            .filter(|method: &Method| Draft::has_body(method) || Draft::is_idempotent(method));
        let method =
            method.ok_or_else(|| SendError::refused("`method` became no method that is known here"))?;
        let body =
            if Draft::has_body(&method) { Payload::of([outbound.body.clone()]) } else { Payload::default() };
        Ok(Draft { target: self.target(outbound)?, headers: self.headers(outbound, &method)?, method, body })
    }

    /// Path and query, frozen with the message. The server is the one of today.
    fn target(&self, outbound: &Outbound) -> Result<PathAndQuery, SendError> {
        let url = outbound.text("url", &self.settings.url);
        if Settings::is_unfilled(url, &self.settings.url) {
            let why = "it was queued before `url` read the message: have it made again with `relais rerun`";
            return Err(SendError::refused(why));
        }
        let written = self
            .settings
            .query
            .iter()
            .map(|(name, text)| (name.as_str(), outbound.text(&format!("query.{name}"), &text.0)));
        let parameters: Vec<(&str, &str)> = written.chain(self.client.parameter()).collect();
        let target = place::target(url, parameters.into_iter()).map_err(SendError::refused)?;
        target.parse().map_err(|_| SendError::refused("`url` became no URL"))
    }

    fn headers(&self, outbound: &Outbound, method: &Method) -> Result<HeaderMap, SendError> {
        let mut headers = Client::headers("*/*");
        if Draft::has_body(method) {
            let usual = usual_type(&beginning(&outbound.body)?);
            let written = self.settings.content_type.as_ref();
            let kind = written.map_or(usual, |text| outbound.text("content_type", &text.0));
            headers.insert(CONTENT_TYPE, value("content_type", kind)?);
        }
        headers::add(&mut headers, &self.settings.headers, outbound)?;
        if let Some(name) = &self.settings.idempotency_key {
            headers.insert(named(name)?, value("idempotency_key", &outbound.effect.to_string())?);
        }
        Ok(headers)
    }
}
