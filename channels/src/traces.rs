//! `traces:` of the server's settings: where it tells what messages went through.

use std::{
    collections::BTreeMap,
    path::{Path as FilePath, PathBuf},
};

use connectors::Secret;
use engine::{Checks, Diagnostic, Path};
use schemars::JsonSchema;
use serde::Deserialize;

/// Traces of messages (OpenTelemetry): a span for each message's way, step and attempt at a delivery. Nothing of a
/// message is in them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceSettings {
    /// The collector's address for traces, by OTLP over HTTP.
    #[schemars(example = &"http://127.0.0.1:4318/v1/traces")]
    pub to: String,
    /// Headers of each request, by which the collector knows us.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Of how many messages: `1` is all, `0.01` one of a hundred. A sender that says what it wants (`traceparent`) decides for
    /// its own.
    #[serde(default = "share")]
    pub share: f64,
    /// What this server is called there (`service.name`).
    #[serde(default = "name")]
    pub name: String,
    /// The authorities that the collector's certificate is of (PEM); else those that the system trusts.
    pub authorities: Option<PathBuf>,
}

fn share() -> f64 {
    1.0
}

fn name() -> String {
    "relais".to_owned()
}

impl TraceSettings {
    /// What is wrong beyond what the schema says.
    pub(crate) fn check(&self, root: &FilePath, found: &mut Vec<Diagnostic>) {
        let mut checks = Checks::new(Path::parse("traces"), found);
        let host = self.to.strip_prefix("http://").or_else(|| self.to.strip_prefix("https://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
            checks.error("wrong-value", "to", "is an address that begins with `http://` or `https://`");
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            checks.error("wrong-value", "share", "is a part of all messages: above 0, and 1 at most");
        }
        if let Some(file) = &self.authorities
            && let Err(why) = connectors::tls::trusting(&root.join(file))
        {
            checks.error("file-unreadable", "authorities", why);
        }
    }
}
