//! Tokens that senders bear (JWT): who signed them, for whom, and until when.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use engine::Checks;
use hyper::{HeaderMap, header::AUTHORIZATION};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    jwt::{Algorithm, Audience, Keys, Signed},
    setting::Period,
    tls::Tls,
    web::{Access, Proxy},
};

/// Tokens of an issuer (JWT), borne as `Authorization: Bearer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Jwt {
    /// Where the issuer publishes its keys. They are kept, and asked for anew when a token names one that is not known.
    #[schemars(example = &"https://login.example.org/.well-known/jwks.json")]
    jwks: String,
    /// Who issues the tokens: their `iss`.
    #[schemars(example = &"https://login.example.org")]
    issuer: String,
    /// Whom the tokens are for: we are one of their `aud`.
    #[schemars(example = &"https://relais.example.org/orders")]
    audience: String,
    /// The algorithms that a token may be signed by. What is not named is refused, whatever the token says.
    #[serde(default = "Algorithm::usual")]
    #[schemars(length(min = 1))]
    algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be from ours.
    #[serde(default = "leeway")]
    leeway: Period,
    /// TLS to the issuer: `authorities` to trust, the system's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,
    /// A proxy between us and the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Proxy")]
    proxy: Option<Proxy>,
}

fn leeway() -> Period {
    Period::seconds(60)
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    azp: Option<String>,
}

/// What a token says of its bearer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bearer {
    Known(String),
    Unknown,
    /// The issuer's keys cannot be had now.
    NotNow(String),
}

impl Jwt {
    pub(crate) fn check(&self, checks: &mut Checks<'_>) {
        self.access().check(checks);
        for (name, text) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if text.trim().is_empty() {
                checks.error("missing-field", name, "nobody's tokens would do, or anybody's");
            }
        }
    }

    fn access(&self) -> Access<'_> {
        Access {
            url: ("jwks", &self.jwks),
            auth: None,
            tls: self.tls.as_ref(),
            proxy: self.proxy.as_ref(),
            timeout: Period::seconds(10),
            connect_timeout: Period::seconds(5),
            idle: Period::seconds(30),
            keep_alive: Period::seconds(60),
        }
    }
}

/// Looks at the tokens of one source.
pub(crate) struct Verifier {
    settings: Jwt,
    keys: Keys,
}

impl Verifier {
    pub(crate) fn new(settings: &Jwt, root: &Path) -> Result<Self, String> {
        Ok(Self { settings: settings.clone(), keys: Keys::new(&settings.access(), root)? })
    }

    /// Who bears the token of this request.
    pub(crate) async fn bearer(&self, headers: &HeaderMap) -> Bearer {
        let Some((signed, claims)) = token(headers).and_then(Signed::read) else { return Bearer::Unknown };
        let Some(algorithm) = signed.algorithm(&self.settings.algorithms) else { return Bearer::Unknown };
        let Some(bearer) = self.admitted(claims) else { return Bearer::Unknown };
        match signed.is_of(&self.keys, algorithm).await {
            Err(why) => Bearer::NotNow(why),
            Ok(true) => Bearer::Known(bearer),
            Ok(false) => Bearer::Unknown,
        }
    }

    /// The bearer, where the token is of our issuer, for us, and of now.
    fn admitted(&self, claims: Claims) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let leeway = self.settings.leeway.0.as_secs_f64();
        let is_for_us = claims.aud.includes(&self.settings.audience);
        let is_of_now = now < claims.exp + leeway && claims.nbf.is_none_or(|begins| begins <= now + leeway);
        let is_good = claims.iss == self.settings.issuer && is_for_us && is_of_now;
        is_good.then(|| claims.sub.or(claims.client_id).or(claims.azp).unwrap_or_default())
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
