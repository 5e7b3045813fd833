//! Which server, who we are to it, and by what we know it: the settings that source and destination share.

use std::{fmt, path::Path, time::Duration};

use engine::{Checks, Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::proof;
use crate::{secret::Secret, setting::Period};

/// A server, and how to sign in there.
#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Server {
    /// The server's name or address.
    #[schemars(length(min = 1))]
    pub(super) host: String,

    /// Its port.
    #[serde(default = "port")]
    pub(super) port: u16,

    /// The user to sign in as.
    #[schemars(length(min = 1))]
    pub(super) user: String,

    /// The user's password, by the method `password` or `keyboard-interactive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Secret")]
    pub(super) password: Option<Secret>,

    /// A file with the user's private key (Ed25519, RSA or ECDSA), from the project's folder on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub(super) key: Option<String>,

    /// What opens the private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Secret")]
    pub(super) passphrase: Option<Secret>,

    /// Asks the SSH agent of the process (`SSH_AUTH_SOCK`) for keys.
    #[serde(default)]
    pub(super) agent: bool,

    /// The server's own key, as a line of its `.pub` file: `ssh-ed25519 AAAA…`. Several while it changes. No other is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HostKeys")]
    pub(super) host_key: Option<HostKeys>,

    /// A file that knows the server's key, in the form of OpenSSH, from the project's folder on. Without this and `host_key`,
    /// `.ssh/known_hosts` of the user that Relais runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub(super) known_hosts: Option<String>,

    /// Old algorithms that this server needs and that are else refused, by their SSH names: `ssh-rsa`, `hmac-sha1`,
    /// `diffie-hellman-group14-sha1`, `aes128-cbc`…
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) old_algorithms: Vec<String>,

    /// How long to wait for a connection, and for each answer.
    #[serde(default = "timeout")]
    pub(super) timeout: Period,

    /// How long the connection is quiet before the server is asked whether it is still there; three silences end it.
    #[serde(default = "keep_alive")]
    pub(super) keep_alive: Period,
}

/// One key, or several of which one must fit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum HostKeys {
    One(String),
    Any(Vec<String>),
}

impl HostKeys {
    pub(super) fn lines(&self) -> &[String] {
        match self {
            Self::One(line) => std::slice::from_ref(line),
            Self::Any(lines) => lines,
        }
    }
}

fn port() -> u16 {
    22
}

fn timeout() -> Period {
    Period::seconds(30)
}

fn keep_alive() -> Period {
    Period::seconds(15)
}

impl Server {
    pub(super) fn check(&self, checks: &mut Checks<'_>) {
        if self.password.is_none() && self.key.is_none() && !self.agent {
            checks.error("missing-field", "", "nobody is let in without a `key`, a `password` or an `agent`");
        }
        if self.passphrase.is_some() && self.key.is_none() {
            checks.error("missing-field", "passphrase", "`passphrase` needs the `key` that it opens");
        }
        if let Err(why) = proof::algorithms(&self.old_algorithms, &[]) {
            checks.error("unknown-word", "old_algorithms", why);
        }
        for (name, period) in [("timeout", self.timeout), ("keep_alive", self.keep_alive)] {
            if period.0 < Duration::from_secs(1) {
                checks.error("period-too-short", name, "no server answers as soon as that");
            }
        }
    }

    /// Looks at keys, and at the files that are named.
    pub(super) fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        for line in self.host_key.iter().flat_map(HostKeys::lines) {
            if let Err(why) = proof::read_key(line) {
                checks.error("ssh-key", "host_key", why);
            }
        }
        if let Some(key) = &self.key
            && let Err(why) = proof::load_key(&root.join(key), self.passphrase.as_ref().map(Secret::reveal))
        {
            checks.error("ssh-key", "key", format!("`{key}`: {why}"));
        }
        if let Some(known) = &self.known_hosts
            && let Err(error) = std::fs::read_to_string(root.join(known))
        {
            checks.error("ssh-key", "known_hosts", format!("`{known}`: {error}"));
        }
    }

    /// What makes a connection this one: whoever asks for the same shares it.
    pub(super) fn identity(&self) -> Hash {
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
        let told = format!("{self:?} {:?} {:?}", secret(&self.password), secret(&self.passphrase));
        Hash::of(&[told.as_bytes()])
    }

    pub(super) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Shows everything but what is secret.
impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Server")
            .field("address", &self.address())
            .field("user", &self.user)
            .field("key", &self.key)
            .field("agent", &self.agent)
            .field("host_key", &self.host_key)
            .field("known_hosts", &self.known_hosts)
            .field("old_algorithms", &self.old_algorithms)
            .field("times", &(self.timeout, self.keep_alive))
            .finish_non_exhaustive()
    }
}
