//! Tokens of an authorization server (OAuth 2, client credentials): fetched when needed, kept until they expire.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use engine::{Checks, Hindered, Hindrance, SendError};
use hyper::{
    HeaderMap, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;
use url::form_urlencoded::Serializer;

use super::{
    assertion::{self, Signer},
    auth::{basic, bearer},
    draft::Draft,
    link::{Answer, AnswerBody},
    meaning,
    proxy::Proxy,
    server::{Patience, Server},
    taking::Taking,
};
use crate::{
    secret::Secret,
    tls::Tls,
    web::place::{self, Origin},
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
pub(crate) struct Settings {
    /// The token endpoint of the authorization server.
    #[schemars(example = "https://login.example.org/oauth2/token")]
    token_url: String,

    /// Who we are there.
    client_id: String,

    /// The secret of `client_id`; or else `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Secret")]
    client_secret: Option<Secret>,

    /// The private key (PEM) that proves who we are, as SMART backend services do: each request for a token bears one that
    /// we sign, by RS384 with an RSA key, by ES384 with one on the curve P-384.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "keys/relais.pem")]
    key: Option<PathBuf>,

    /// What the authorization server calls our `key`: `kid` in the key set that it has of us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "relais-2026")]
    key_id: Option<String>,

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
    pub(crate) fn check(&self, checks: &mut Checks<'_>) {
        if let Err(why) = self.place() {
            checks.error("wrong-value", "auth.oauth2.token_url", why);
        }
        match (&self.client_secret, &self.key) {
            (None, None) => {
                checks.error("missing-field", "auth.oauth2", "needs a `client_secret` or a `key`");
            }
            (Some(_), Some(_)) => {
                let why = "`key` and `client_secret` exclude each other";
                checks.error("conflicting-fields", "auth.oauth2.key", why);
            }
            (None, Some(_)) if self.credentials == Stand::Body => {
                let why = "only means something with a `client_secret`";
                checks.error("unused-field", "auth.oauth2.credentials", why);
            }
            (Some(_), None) if self.key_id.is_some() => {
                checks.error("unused-field", "auth.oauth2.key_id", "only means something with a `key`");
            }
            (None, Some(_)) | (Some(_), None) => {}
        }
    }

    pub(crate) fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        if let Some(Err(why)) = self.key.as_ref().map(|key| Signer::read(&root.join(key))) {
            checks.error("file-unreadable", "auth.oauth2.key", why);
        }
    }

    fn place(&self) -> Result<(Origin, String), String> {
        let origin = Origin::of(&self.token_url)?;
        if place::has_expression(&self.token_url) {
            return Err("is not made of a message".to_owned());
        }
        Ok((origin, place::target(&self.token_url, std::iter::empty())?))
    }

    fn form(&self, assertion: Option<&str>) -> Bytes {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        let optional = [("scope", &self.scope), ("audience", &self.audience)];
        for (name, value) in optional {
            form.extend_pairs(value.iter().map(|value| (name, value)));
        }
        if let Some(assertion) = assertion {
            form.append_pair("client_assertion_type", assertion::KIND);
            form.append_pair("client_assertion", assertion);
        }
        if let (Stand::Body, Some(secret)) = (self.credentials, &self.client_secret) {
            form.append_pair("client_id", &self.client_id);
            form.append_pair("client_secret", secret.reveal());
        }
        form.finish().into()
    }

    /// The request for a token. The key is read for each: one that was changed is in force.
    fn draft(&self, root: &Path) -> Result<Draft, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let (Stand::Header, Some(secret)) = (self.credentials, &self.client_secret) {
            // The standard has both encoded as in a form before they are put together.
            let encoded =
                |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let secret = Secret::from(encoded(secret.reveal()));
            headers.insert(AUTHORIZATION, basic(&encoded(&self.client_id), &secret));
        }
        let signed = self.key.as_ref().map(|key| {
            let signer = Signer::read(&root.join(key))?;
            signer.assertion(self.key_id.as_deref(), &self.client_id, &self.token_url)
        });
        let (_, target) = self.place()?;
        let target = target.parse().map_err(|_| "`token_url` is no URL".to_owned())?;
        Ok(Draft {
            method: Method::POST,
            target,
            headers,
            body: self.form(signed.transpose()?.as_deref()).into(),
        })
    }
}

/// The tokens of one destination.
pub(crate) struct Tokens {
    server: Server,
    settings: Settings,
    root: PathBuf,
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
    pub(crate) fn new(
        settings: &Settings,
        (tls, root): (&Tls, &Path),
        proxy: Option<Proxy>,
        patience: Patience,
    ) -> Result<Self, String> {
        let (origin, _) = settings.place()?;
        // The name that the endpoint's certificate bears is not that of another server.
        let tls = Tls { server_name: None, ..tls.clone() };
        let server = Server::new(origin, (&tls, root), proxy, patience)?;
        settings.draft(root)?;
        Ok(Self { server, settings: settings.clone(), root: root.to_owned(), kept: Mutex::default() })
    }

    /// A token that is still good, as `Authorization` has it.
    pub(crate) async fn current(&self, deadline: Instant) -> Result<HeaderValue, SendError> {
        if let Some(token) = self.lock().as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.header.clone());
        }
        let worded = |why: &str| format!("no token from {}: {why}", self.server.origin.authority());
        let fetched = self.fetch(deadline).await;
        let token = fetched.map_err(|why| SendError::not_delivered(why.worded(worded)))?;
        let header = token.header.clone();
        *self.lock() = Some(token);
        Ok(header)
    }

    /// Lets go of a token that the server does not take; another may have been fetched already.
    pub(crate) fn forget(&self, refused: Option<&HeaderValue>) -> bool {
        let mut kept = self.lock();
        if kept.as_ref().map(|token| &token.header) == refused {
            *kept = None;
        }
        true
    }

    async fn fetch(&self, deadline: Instant) -> Result<Token, Hindered> {
        let draft = self.settings.draft(&self.root)?;
        let asked = self.server.ask(&draft, &mut Taking::most(LONGEST), deadline).await;
        // Whether the request for a token arrived is nothing to the message, which was not sent yet.
        let answer = asked.map_err(|error| meaning::hindered(&error))?;
        let Answer { status, body: AnswerBody::Whole(body), .. } = answer else {
            return Err("the answer did not come to its end".to_owned().into());
        };
        if !status.is_success() {
            let why = format!("it answered {}{}", status.as_u16(), denial(&body));
            let by = status.is_client_error().then_some(Hindrance::SignedOut);
            return Err(Hindered { words: why, by });
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
