//! The provider: what it publishes about itself, where browsers are sent, and what a code is exchanged for.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hyper::header::HeaderValue;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::{Claims, Refusal, Settings, endpoint::Endpoint, settings::unfit, token};
use crate::{jwt::Keys, secret::Secret, web::auth::basic};

/// So long what it publishes about itself is used without asking anew.
const KEPT: Duration = Duration::from_hours(1);

/// So long a provider that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(3);

/// The three numbers of one sign-in, that nobody else knows.
pub struct Way {
    /// Comes back with the browser: it is the one that we sent.
    pub state: String,
    /// Stands in the token: it was made for this sign-in.
    pub nonce: String,
    /// Proves to the provider that who exchanges the code asked for it (PKCE).
    pub verifier: String,
}

/// What a provider publishes about itself.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

struct Found {
    document: Document,
    token: Endpoint,
    people: Option<Endpoint>,
    keys: Arc<Keys>,
}

#[derive(Default)]
struct Known {
    found: Option<Arc<Found>>,
    since: Option<Instant>,
    failed: Option<(Instant, String)>,
}

/// A provider of accounts. Asked when the first one signs in.
pub struct Provider {
    settings: Settings,
    root: PathBuf,
    known: tokio::sync::Mutex<Known>,
}

#[derive(Deserialize)]
struct Granted {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Provider {
    pub fn new(settings: Settings, root: &Path) -> Self {
        Self { settings, root: root.to_owned(), known: tokio::sync::Mutex::default() }
    }

    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// What it is called for people.
    pub fn shown(&self) -> String {
        self.settings.shown()
    }

    /// Where a browser goes to sign in.
    pub async fn begin(&self, way: &Way) -> Result<String, Refusal> {
        let found = self.found().await?;
        let mut url = Url::parse(&found.document.authorization_endpoint)
            .map_err(|error| Refusal::Away(format!("its `authorization_endpoint` is no address: {error}")))?;
        let scopes = std::iter::once("openid").chain(self.settings.scopes.iter().map(String::as_str));
        let mut scopes: Vec<&str> = scopes.collect();
        scopes.dedup();
        let challenge = digest::digest(&digest::SHA256, way.verifier.as_bytes());
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.back())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &way.state)
            .append_pair("nonce", &way.nonce)
            .append_pair("code_challenge", &BASE64_URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// What the provider says of who came back with this code; `issuer` is what stands beside the code, and `needed` are the
    /// claims that are asked for on its page about people where the token lacks them.
    pub async fn finish(
        &self,
        (code, issuer): (&str, Option<&str>),
        way: &Way,
        needed: &[&str],
    ) -> Result<Claims, Refusal> {
        let found = self.found().await?;
        let is_named = found.document.authorization_response_iss_parameter_supported;
        if issuer.map_or(is_named, |issuer| issuer != self.settings.issuer) {
            return Err(Refusal::Unproven("the answer is of another provider".to_owned()));
        }
        let granted = self.exchange(&found, code, way).await?;
        let parties = (self.settings.issuer.as_str(), self.settings.client_id.as_str());
        let all = token::believed(&granted.id_token, parties, way, &found.keys).await?;
        let mut claims = Claims { all };
        if needed.iter().any(|name| claims.find(name).is_none())
            && let (Some(people), Some(token)) = (&found.people, &granted.access_token)
        {
            let said: Map<String, Value> = people.get(Some(token)).await?;
            if said.get("sub").and_then(Value::as_str) != Some(claims.subject()) {
                return Err(Refusal::Unproven("its page about people is of somebody else".to_owned()));
            }
            for (name, value) in said {
                claims.all.entry(name).or_insert(value);
            }
        }
        Ok(claims)
    }

    async fn exchange(&self, found: &Found, code: &str, way: &Way) -> Result<Granted, Refusal> {
        let (form, authorization) = self.form(found, code, way);
        let (status, body) = found.token.post(form, authorization).await?;
        if status.is_success() {
            return found.token.read(&body);
        }
        let word =
            serde_json::from_slice(&body).map_or_else(|_| String::new(), |Denied { error }| word(&error));
        let why = format!("it answered {}{word} when the code was exchanged", status.as_u16());
        Err(if status.is_client_error() { Refusal::Denied(why) } else { Refusal::Away(why) })
    }

    fn form(&self, found: &Found, code: &str, way: &Way) -> (String, Option<HeaderValue>) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.settings.back())
            .append_pair("code_verifier", &way.verifier);
        let authorization = self.credentials(found, &mut form);
        (form.finish(), authorization)
    }

    /// Who we are, where the provider wants to read it: in the header, unless it takes it in the form alone.
    fn credentials(
        &self,
        found: &Found,
        form: &mut form_urlencoded::Serializer<'_, String>,
    ) -> Option<HeaderValue> {
        let id = &self.settings.client_id;
        let Some(secret) = &self.settings.client_secret else {
            form.append_pair("client_id", id);
            return None;
        };
        let methods = found.document.token_endpoint_auth_methods_supported.as_deref();
        let takes = |name: &str| methods.is_some_and(|methods| methods.iter().any(|method| method == name));
        if takes("client_secret_post") && !takes("client_secret_basic") {
            form.append_pair("client_id", id).append_pair("client_secret", secret.reveal());
            return None;
        }
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        Some(basic(&encoded(id), &Secret::from(encoded(secret.reveal()))))
    }

    /// What it publishes about itself, asked for once an hour. One that is away for a while takes nothing from what it said.
    async fn found(&self) -> Result<Arc<Found>, Refusal> {
        let mut known = self.known.lock().await;
        let is_fresh = known.since.is_some_and(|since| since.elapsed() < KEPT);
        match (&known.found, &known.failed) {
            (Some(found), _) if is_fresh => return Ok(Arc::clone(found)),
            (None, Some((when, why))) if when.elapsed() < PAUSE => return Err(Refusal::Away(why.clone())),
            _ => {}
        }
        match self.discover(known.found.as_deref()).await {
            Ok(found) => {
                let found = Arc::new(found);
                *known = Known { found: Some(Arc::clone(&found)), since: Some(Instant::now()), failed: None };
                Ok(found)
            }
            Err(refusal) => match (&known.found, refusal) {
                (Some(found), Refusal::Away(_)) => Ok(Arc::clone(found)),
                (_, refusal) => {
                    if let Refusal::Away(why) = &refusal {
                        known.failed = Some((Instant::now(), why.clone()));
                    }
                    Err(refusal)
                }
            },
        }
    }

    async fn discover(&self, before: Option<&Found>) -> Result<Found, Refusal> {
        let issuer = &self.settings.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document: Document = self.endpoint(("issuer", &url))?.get(None).await?;
        // Another's settings would send codes elsewhere.
        if document.issuer != *issuer {
            return Err(Refusal::Unproven(
                "what it publishes about itself names another `issuer`".to_owned(),
            ));
        }
        if let Some(why) = unfit(&document.authorization_endpoint) {
            return Err(Refusal::Away(format!("its `authorization_endpoint` {why}")));
        }
        let same = before.filter(|before| before.document.jwks_uri == document.jwks_uri);
        let keys = match same {
            Some(before) => Arc::clone(&before.keys),
            None => self.keys(&document.jwks_uri)?,
        };
        let people = document.userinfo_endpoint.as_deref();
        let people = people.map(|url| self.endpoint(("userinfo_endpoint", url))).transpose()?;
        let token = self.endpoint(("token_endpoint", &document.token_endpoint))?;
        Ok(Found { document, token, people, keys })
    }

    fn keys(&self, url: &str) -> Result<Arc<Keys>, Refusal> {
        if let Some(why) = unfit(url) {
            return Err(Refusal::Away(format!("its `jwks_uri` {why}")));
        }
        let keys = Keys::new(&self.settings.access("jwks_uri", url), &self.root);
        keys.map(Arc::new).map_err(Refusal::Away)
    }

    fn endpoint(&self, named: (&'static str, &str)) -> Result<Endpoint, Refusal> {
        Endpoint::new(&self.settings, named, &self.root)
    }
}

/// One of the standard's words for a denial, where it is one: what else stands there may be of anybody.
fn word(text: &str) -> String {
    let is_word = text.len() < 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { format!(" ({text})") } else { String::new() }
}
