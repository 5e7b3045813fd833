//! Tokens of an authorization server (OAuth 2, client credentials): fetched when needed, kept until they expire.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use engine::{Checks, SendError};
use hyper::{
    HeaderMap, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;
use url::form_urlencoded::Serializer;

use super::{
    auth::{basic, bearer},
    draft::Draft,
    link::{Answer, AnswerBody},
    proxy::Proxy,
    server::{Patience, Server},
};
use crate::{
    http::place::{self, Origin},
    secret::Secret,
    tls::Tls,
};

/// So long before it expires a token is not used any more.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a token is kept whose server does not say.
const USUAL: Duration = Duration::from_mins(5);

/// The longest answer of an authorization server.
const LONGEST: usize = 256 * 1024;

/// Where tokens come from, and who we are there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Settings {
    /// The token endpoint of the authorization server.
    #[schemars(example = "https://login.example.org/oauth2/token")]
    token_url: String,

    /// Who we are there.
    client_id: String,

    /// The secret of `client_id`.
    client_secret: Secret,

    /// What the token is asked for, words with blanks between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "system/*.write")]
    scope: Option<String>,

    /// Whom the token is for, where the authorization server asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    audience: Option<String>,

    /// Where `client_id` and its secret stand in the request for a token: in its `header` (Basic), or in its `body`.
    #[serde(default)]
    credentials: Stand,
}

/// Where the client's credentials stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Stand {
    #[default]
    Header,
    Body,
}

impl Settings {
    pub(super) fn check(&self, checks: &mut Checks<'_>) {
        if let Err(why) = self.place() {
            checks.error("wrong-value", "auth.oauth2.token_url", why);
        }
    }

    fn place(&self) -> Result<(Origin, String), String> {
        let origin = Origin::of(&self.token_url)?;
        if place::has_expression(&self.token_url) {
            return Err("is not made of a message".to_owned());
        }
        Ok((origin, place::target(&self.token_url, std::iter::empty())?))
    }

    fn form(&self) -> Bytes {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        let optional = [("scope", &self.scope), ("audience", &self.audience)];
        for (name, value) in optional {
            form.extend_pairs(value.iter().map(|value| (name, value)));
        }
        if self.credentials == Stand::Body {
            form.append_pair("client_id", &self.client_id);
            form.append_pair("client_secret", self.client_secret.reveal());
        }
        form.finish().into()
    }

    fn draft(&self, target: &str) -> Result<Draft, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if self.credentials == Stand::Header {
            // The standard has both encoded as in a form before they are put together.
            let encoded =
                |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let secret = Secret::from(encoded(self.client_secret.reveal()));
            headers.insert(AUTHORIZATION, basic(&encoded(&self.client_id), &secret));
        }
        let target = target.parse().map_err(|_| "`token_url` is no URL".to_owned())?;
        Ok(Draft { method: Method::POST, target, headers, body: self.form() })
    }
}

/// The tokens of one destination.
pub(super) struct Tokens {
    server: Server,
    draft: Draft,
    kept: Mutex<Option<Token>>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

/// What an authorization server answers.
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// Why it does not: one of the standard's words.
#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Tokens {
    pub(super) fn new(
        settings: &Settings,
        (tls, root): (&Tls, &Path),
        proxy: Option<Proxy>,
        patience: Patience,
    ) -> Result<Self, String> {
        let (origin, target) = settings.place()?;
        // The name that the endpoint's certificate bears is not that of another server.
        let tls = Tls { server_name: None, ..tls.clone() };
        let server = Server::new(origin, (&tls, root), proxy, patience)?;
        Ok(Self { server, draft: settings.draft(&target)?, kept: Mutex::default() })
    }

    /// A token that is still good, as `Authorization` has it.
    pub(super) async fn current(&self, deadline: Instant) -> Result<HeaderValue, SendError> {
        if let Some(token) = self.lock().as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.header.clone());
        }
        let token = self.fetch(deadline).await.map_err(|why| {
            SendError::not_delivered(format!("no token from {}: {why}", self.server.origin.authority()))
        })?;
        let header = token.header.clone();
        *self.lock() = Some(token);
        Ok(header)
    }

    /// Lets go of a token that the server does not take; another may have been fetched already.
    pub(super) fn forget(&self, refused: Option<&HeaderValue>) -> bool {
        let mut kept = self.lock();
        if kept.as_ref().map(|token| &token.header) == refused {
            *kept = None;
        }
        true
    }

    async fn fetch(&self, deadline: Instant) -> Result<Token, String> {
        let asked = self.server.ask(&self.draft, LONGEST, deadline).await;
        // Whether the request for a token arrived is nothing to the message, which was not sent yet.
        let answer = asked.map_err(|error| match error {
            SendError::NotDelivered { why, .. }
            | SendError::Unknown { why }
            | SendError::Refused { why, .. } => why,
        })?;
        let Answer { status, body: AnswerBody::Whole(body), .. } = answer else {
            return Err("the answer did not come to its end".to_owned());
        };
        if !status.is_success() {
            return Err(format!("it answered {}{}", status.as_u16(), denial(&body)));
        }
        let granted: Granted =
            serde_json::from_slice(&body).map_err(|_| "its answer holds no token".to_owned())?;
        let lasts = granted.expires_in.map_or(USUAL, Duration::from_secs);
        // A token that lasts less than the margin is used once.
        let until = Instant::now() + lasts.min(Duration::from_hours(24)).saturating_sub(MARGIN);
        Ok(Token { header: bearer(&granted.access_token)?, until })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Token>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The standard's word for a denial, where the answer holds one.
fn denial(body: &[u8]) -> String {
    let is_word =
        |text: &str| text.len() < 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    match serde_json::from_slice::<Denied>(body) {
        Ok(denied) if is_word(&denied.error) => format!(" ({})", denied.error),
        _ => String::new(),
    }
}
