//! Who we are to a server: a password, a key, a token.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use engine::{Checks, SendError};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    draft::Draft,
    token::{self, Tokens},
};
use crate::secret::Secret;

/// Who we are to the server: one of these.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Auth {
    /// A user and a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Basic")]
    basic: Option<Basic>,

    /// A token that stays the same, sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Secret")]
    bearer: Option<Secret>,

    /// A key in a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Key")]
    header: Option<Key>,

    /// A key in the query of the URL. Servers write URLs into their logs: use it where there is no other way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Key")]
    query: Option<Key>,

    /// Tokens of an authorization server (OAuth 2 client credentials; SMART backend services with `key`), fetched when
    /// they are needed, kept until they expire, and fetched once more where the server answers 401.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "token::Settings")]
    pub(crate) oauth2: Option<token::Settings>,
}

/// A user and a password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Basic {
    /// The user's name.
    user: String,
    /// The password.
    password: Secret,
}

/// A key under a name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Key {
    /// What the key is called: `X-Api-Key`.
    name: String,
    /// The key itself.
    value: Secret,
}

impl Auth {
    /// A key in a header.
    pub(crate) fn key(name: &str, value: Secret) -> Self {
        Self { header: Some(Key { name: name.to_owned(), value }), ..Self::default() }
    }

    /// The same for the same credentials; says nothing of them.
    pub(crate) fn identity(&self) -> String {
        let secret =
            |secret: Option<&Secret>| secret.map(|secret| secret.reveal().to_owned()).unwrap_or_default();
        let key = |key: Option<&Key>| key.map(|key| secret(Some(&key.value))).unwrap_or_default();
        let basic = self.basic.as_ref().map(|basic| basic.user.clone()).unwrap_or_default();
        let all = [basic, secret(self.bearer.as_ref()), key(self.header.as_ref()), key(self.query.as_ref())];
        engine::Hash::of(&all.each_ref().map(String::as_bytes)).to_string()
    }

    pub(crate) fn check(&self, checks: &mut Checks<'_>) {
        let given = [
            ("basic", self.basic.is_some()),
            ("bearer", self.bearer.is_some()),
            ("header", self.header.is_some()),
            ("query", self.query.is_some()),
            ("oauth2", self.oauth2.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        if given.is_empty() {
            checks.error(
                "missing-field",
                "auth",
                "needs one of `basic`, `bearer`, `header`, `query`, `oauth2`",
            );
        }
        for second in given.iter().skip(1) {
            let message = format!("`{second}` and `{}` exclude each other", given[0]);
            checks.error("conflicting-fields", &format!("auth.{second}"), message);
        }
        if let Some(key) = &self.header
            && HeaderName::from_bytes(key.name.as_bytes()).is_err()
        {
            checks.error("wrong-value", "auth.header.name", format!("`{}` is no name of a header", key.name));
        }
        if let Some(oauth2) = &self.oauth2 {
            oauth2.check(checks);
        }
    }

    pub(crate) fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        if let Some(oauth2) = &self.oauth2 {
            oauth2.examine(root, checks);
        }
    }

    /// The header that carries a secret of ours, beside `Authorization`.
    pub(crate) fn header_name(&self) -> Option<&str> {
        self.header.as_ref().map(|key| key.name.as_str())
    }
}

/// What proves who we are, as a request carries it.
pub(crate) enum Credentials {
    None,
    Header(HeaderName, HeaderValue),
    Query(String, Secret),
    Tokens(Box<Tokens>),
}

impl Credentials {
    /// `tokens` are those of `auth.oauth2`.
    pub(crate) fn new(auth: &Auth, tokens: Option<Tokens>) -> Result<Self, String> {
        if let Some(tokens) = tokens {
            return Ok(Self::Tokens(Box::new(tokens)));
        }
        if let Some(Basic { user, password }) = &auth.basic {
            return Ok(Self::Header(AUTHORIZATION, basic(user, password)));
        }
        if let Some(token) = &auth.bearer {
            return Ok(Self::Header(AUTHORIZATION, bearer(token)?));
        }
        if let Some(Key { name, value }) = &auth.header {
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|_| "`auth.header.name` is no name of a header".to_owned())?;
            return Ok(Self::Header(name, secret_value(value.reveal())?));
        }
        let query = auth.query.clone();
        Ok(query.map_or(Self::None, |Key { name, value }| Self::Query(name, value)))
    }

    /// The parameter of the query, where the key stands there.
    pub(crate) fn parameter(&self) -> Option<(&str, &str)> {
        match self {
            Self::Query(name, key) => Some((name, key.reveal())),
            _ => None,
        }
    }

    /// Says in the request who we are.
    pub(crate) async fn sign(&self, draft: &mut Draft, deadline: Instant) -> Result<(), SendError> {
        match self {
            Self::None | Self::Query(..) => {}
            Self::Header(name, value) => {
                draft.headers.insert(name, value.clone());
            }
            Self::Tokens(tokens) => {
                draft.headers.insert(AUTHORIZATION, tokens.current(deadline).await?);
            }
        }
        Ok(())
    }

    /// The server would not believe us: whether we can say it anew.
    pub(crate) fn renew(&self, refused: &Draft) -> bool {
        match self {
            Self::Tokens(tokens) => tokens.forget(refused.headers.get(AUTHORIZATION)),
            Self::None | Self::Header(..) | Self::Query(..) => false,
        }
    }
}

pub(crate) fn basic(user: &str, password: &Secret) -> HeaderValue {
    let both = BASE64_STANDARD.encode(format!("{user}:{}", password.reveal()));
    let mut value = HeaderValue::from_str(&format!("Basic {both}")).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

pub(crate) fn bearer(token: &Secret) -> Result<HeaderValue, String> {
    secret_value(&format!("Bearer {}", token.reveal()))
}

fn secret_value(text: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|_| "the key or token holds what no header can".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
