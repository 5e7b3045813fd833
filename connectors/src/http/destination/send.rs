//! One attempt at one delivery: a request, and its answer, before one deadline.

use async_trait::async_trait;
use engine::{Destination, Outbound, Response, SendError};
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, USER_AGENT},
    http::uri::PathAndQuery,
};
use tokio::time::Instant;
use url::Url;

use super::{
    Settings,
    auth::Credentials,
    draft::Draft,
    link::Answer,
    meaning::{Asked, judge},
    server::Server,
};
use crate::http::{
    content::usual_type,
    place::{self, Origin},
};

/// So often a server may send us on within one attempt.
const TURNS: usize = 5;

const WHO_WE_ARE: &str = concat!("Relais/", env!("CARGO_PKG_VERSION"));

/// Sends messages to one endpoint.
pub(super) struct Sender {
    pub(super) settings: Settings,
    pub(super) server: Server,
    pub(super) credentials: Credentials,
}

#[async_trait]
impl Destination for Sender {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let deadline = Instant::now() + self.settings.timeout.0;
        let draft = self.draft(outbound)?;
        let answer = self.ask(draft, deadline).await?;
        let reads_message = |name: &String| name == "url" || name.starts_with("query.");
        let asked =
            if outbound.texts.keys().any(reads_message) { Asked::OfThisMessage } else { Asked::OfAll };
        judge(answer, &self.settings.success, asked)
    }
}

impl Sender {
    /// Whether the server picks up, and the authorization server knows us.
    pub(super) async fn reach(&self, deadline: Instant) -> Result<(), String> {
        self.server.reach(deadline).await?;
        let Credentials::Tokens(tokens) = &self.credentials else { return Ok(()) };
        tokens.current(deadline).await.map(drop).map_err(|error| error.to_string())
    }

    /// Asks; once more with a new token where the server does not take ours, and further on where it sends us on.
    async fn ask(&self, mut draft: Draft, deadline: Instant) -> Result<Answer, SendError> {
        let mut is_renewed = false;
        let mut turns = 0;
        loop {
            self.credentials.sign(&mut draft, deadline).await?;
            let answer = self.server.ask(&draft, self.settings.max_size.0, deadline).await?;
            if answer.status == StatusCode::UNAUTHORIZED && !is_renewed && self.credentials.renew(&draft) {
                is_renewed = true;
                continue;
            }
            match self.sent_on(&draft, &answer)? {
                None => return Ok(answer),
                Some(target) if turns < TURNS => {
                    turns += 1;
                    draft.target = target;
                }
                Some(_) => return Err(SendError::not_delivered("the server sends us in a circle")),
            }
        }
    }

    /// Where the server sends the same request. It is followed on the server itself alone: nothing of a message or
    /// of our credentials goes where the channel does not say.
    fn sent_on(&self, draft: &Draft, answer: &Answer) -> Result<Option<PathAndQuery>, SendError> {
        let is_reading = matches!(draft.method, Method::GET | Method::HEAD);
        let is_sent_on = match answer.status.as_u16() {
            307 | 308 => true,
            301 | 302 => is_reading,
            _ => false,
        };
        let is_success = self.settings.success.iter().any(|statuses| statuses.holds(answer.status));
        let Some(location) = answer.headers.get(LOCATION).filter(|_| is_sent_on && !is_success) else {
            return Ok(None);
        };
        let unclear = || SendError::not_delivered("the server sends us on, and does not say where");
        let here = format!("{}{}", self.server.origin.beginning(), draft.target);
        let here = Url::parse(&here).map_err(|_| unclear())?;
        let there =
            location.to_str().ok().and_then(|location| here.join(location).ok()).ok_or_else(unclear)?;
        match Origin::of_url(&there) {
            Some(origin) if origin == self.server.origin => {
                place::of_url(&there).parse().map(Some).map_err(|_| unclear())
            }
            elsewhere => {
                let to = elsewhere.map_or_else(|| "another protocol".to_owned(), |origin| origin.beginning());
                Err(SendError::not_delivered(format!(
                    "the server sends us on to {to}: if that is right, it is for `url`"
                )))
            }
        }
    }

    fn draft(&self, outbound: &Outbound) -> Result<Draft, SendError> {
        let settings = &self.settings;
        let method = outbound.text("method", &settings.method).to_ascii_uppercase();
        let method = method
            .parse()
            .ok()
            .filter(|method: &Method| Draft::has_body(method) || Draft::is_idempotent(method));
        let method =
            method.ok_or_else(|| SendError::refused("`method` became no method that is known here"))?;
        let body = if Draft::has_body(&method) { outbound.body.bytes().clone() } else { bytes::Bytes::new() };
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
        let parameters: Vec<(&str, &str)> = written.chain(self.credentials.parameter()).collect();
        let target = place::target(url, parameters.into_iter()).map_err(SendError::refused)?;
        target.parse().map_err(|_| SendError::refused("`url` became no URL"))
    }

    fn headers(&self, outbound: &Outbound, method: &Method) -> Result<HeaderMap, SendError> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(WHO_WE_ARE));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if Draft::has_body(method) {
            let usual = usual_type(outbound.body.bytes());
            let written = self.settings.content_type.as_ref();
            let kind = written.map_or(usual, |text| outbound.text("content_type", &text.0));
            headers.insert(CONTENT_TYPE, value("content_type", kind)?);
        }
        for (name, text) in &self.settings.headers {
            let at = format!("headers.{name}");
            let text = outbound.text(&at, &text.0);
            headers.insert(named(name)?, value(&at, text)?);
        }
        if let Some(name) = &self.settings.idempotency_key {
            headers.insert(named(name)?, value("idempotency_key", &outbound.effect.to_string())?);
        }
        Ok(headers)
    }
}

fn named(name: &str) -> Result<HeaderName, SendError> {
    name.parse().map_err(|_| SendError::refused(format!("`{name}` is no name of a header")))
}

/// A header's value. A message puts neither a second line nor a second header into it.
fn value(at: &str, text: &str) -> Result<HeaderValue, SendError> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| SendError::refused(format!("`{at}` became what no header can hold")))
}
