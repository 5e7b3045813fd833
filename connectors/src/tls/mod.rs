//! TLS for every connector: certificates from files, checked beforehand, taken up anew when they change.

mod ends;
mod examine;
mod load;
mod trust;

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use engine::Checks;
use rustls::pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

pub use ends::{Acceptor, trusting};
pub(crate) use ends::{Connector, explain, explain_reading, is_alert, is_distrust};
pub(crate) use load::key as private_key;

/// Certificates and keys, in PEM files named from the project's folder on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Tls {
    /// Our own certificate, with what links it to its authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "server.pem")]
    pub certificate: Option<PathBuf>,

    /// The key of our certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "server.key")]
    pub key: Option<PathBuf>,

    /// When listening: only peers with a certificate of these authorities (or with one that stands here itself) get in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "ca.pem")]
    pub clients: Option<PathBuf>,

    /// When connecting: the peer must have a certificate of these authorities (or one that stands here itself).
    /// By default those that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "ca.pem")]
    pub authorities: Option<PathBuf>,

    /// When connecting: the name that the peer's certificate must bear, where it is not the one we connect to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = "lab.example.org")]
    pub server_name: Option<String>,
}

/// Which end of a connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Listens,
    Connects,
}

impl Tls {
    /// Says which settings are missing, or mean nothing on this side.
    pub fn check(&self, side: Side, field: &str, checks: &mut Checks<'_>) {
        let mut unused = |name: &str, given: bool, when: &str| {
            if given {
                checks.error(
                    "unused-field",
                    &format!("{field}.{name}"),
                    format!("only means something {when}"),
                );
            }
        };
        match side {
            Side::Listens => {
                unused("authorities", self.authorities.is_some(), "when connecting; here it is `clients`");
                unused("server_name", self.server_name.is_some(), "when connecting");
            }
            Side::Connects => {
                unused("clients", self.clients.is_some(), "when listening; here it is `authorities`");
            }
        }
        self.check_pair(side, field, checks);
    }

    fn check_pair(&self, side: Side, field: &str, checks: &mut Checks<'_>) {
        match (&self.certificate, &self.key) {
            (None, None) if side == Side::Listens => {
                checks.error(
                    "missing-field",
                    field,
                    "listening with TLS needs a `certificate` and its `key`",
                );
            }
            (Some(_), None) => checks.error("missing-field", field, "a `certificate` needs its `key`"),
            (None, Some(_)) => checks.error("missing-field", field, "a `key` needs its `certificate`"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    /// Says what is wrong with the files: unreadable, expired, for another use, a key of another certificate.
    pub fn examine(&self, side: Side, root: &Path, field: &str, checks: &mut Checks<'_>) {
        examine::Examination { tls: self, side, root, field }.run(checks);
    }
}

/// When a certificate ends.
pub(crate) fn end(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The certificates of a PEM file: whom each names, and when it ends.
pub fn certificates(file: &Path) -> Result<Vec<(String, SystemTime)>, String> {
    let found = load::certificates(file)?;
    let read = |one: &CertificateDer<'_>| Some((subject(one)?, end(one)?));
    Ok(found.iter().filter_map(read).collect())
}

/// Whom a certificate names.
pub(crate) fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.subject().to_string())
}
