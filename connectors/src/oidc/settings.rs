//! The provider of accounts as the server's settings name it.

use std::path::Path;

use engine::Checks;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::{
    secret::Secret,
    setting::Period,
    tls::{Side, Tls},
    web::{Access, Proxy, place},
};

/// Where the provider sends a browser back to, below the address of the console.
pub(super) const BACK: &str = "/sign-in/back";

/// A provider of accounts that speaks `OpenID` Connect: Keycloak, Entra ID, Pro Santé Connect and others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Settings {
    /// Who it is: its `issuer`, by which its own settings are found at `/.well-known/openid-configuration`.
    #[schemars(example = &"https://login.example.org/realms/hospital")]
    pub issuer: String,

    /// What it is called on the button of the sign-in page; else its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "Hospital account")]
    name: Option<String>,

    /// Who we are there.
    pub(super) client_id: String,

    /// The secret of `client_id`. A client without one has PKCE alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Secret")]
    pub(super) client_secret: Option<Secret>,

    /// Where people reach the console. The provider must know this address with `/sign-in/back` behind it.
    #[schemars(example = &"https://relais.example.org:8600")]
    console: String,

    /// What is asked for, beside `openid`.
    #[serde(default = "scopes")]
    pub(super) scopes: Vec<String>,

    /// TLS to the provider: `authorities` to trust, the system's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,

    /// A proxy between us and the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Proxy")]
    proxy: Option<Proxy>,
}

fn scopes() -> Vec<String> {
    vec!["profile".to_owned()]
}

impl Settings {
    /// Says what is wrong, without touching network or disk.
    pub fn check(&self, checks: &mut Checks<'_>) {
        self.access("issuer", &self.issuer).check(checks);
        for (name, text) in [("issuer", &self.issuer), ("console", &self.console)] {
            if let Some(why) = unfit(text) {
                checks.error("wrong-value", name, why);
            }
        }
        if self.client_id.trim().is_empty() {
            checks.error("missing-field", "client_id", "the provider must know who asks");
        }
        if self.client_secret.as_ref().is_some_and(|secret| secret.reveal().is_empty()) {
            checks.error("missing-field", "client_secret", "it is empty");
        }
    }

    /// Says what is wrong with the files that it names.
    pub fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        if let Some(tls) = &self.tls {
            tls.examine(Side::Connects, root, "tls", checks);
        }
    }

    /// What it is called for people.
    pub fn shown(&self) -> String {
        let host = || Url::parse(&self.issuer).ok()?.host_str().map(str::to_owned);
        self.name.clone().or_else(host).unwrap_or_default()
    }

    /// Where it sends browsers back to.
    pub(super) fn back(&self) -> String {
        format!("{}{BACK}", self.console.trim_end_matches('/'))
    }

    pub(super) fn access<'s>(&'s self, name: &'static str, url: &'s str) -> Access<'s> {
        Access {
            url: (name, url),
            auth: None,
            tls: self.tls.as_ref().filter(|_| !url.starts_with("http:") || name == "issuer"),
            proxy: self.proxy.as_ref(),
            timeout: Period::seconds(10),
            connect_timeout: Period::seconds(5),
            idle: Period::seconds(30),
            keep_alive: Period::seconds(60),
        }
    }
}

/// Why a text is no address for this: codes, tokens and cookies go there.
pub(super) fn unfit(text: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else { return Some("is no address; it begins with `https://`") };
    if url.fragment().is_some() || place::has_expression(text) {
        return Some("is an address and nothing else: without `#` and `${`");
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|at| at.is_loopback());
    match url.scheme() {
        "https" => None,
        "http" if is_here => None,
        _ => Some("begins with `https://`: whoever listens on the way could sign in as anybody"),
    }
}
