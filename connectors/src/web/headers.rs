//! Headers that a channel writes: what they may be called, and what they may hold.

use std::collections::BTreeMap;

use engine::{Checks, Outbound, SendError};
use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Auth;

/// Headers that the connection itself writes.
const OURS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "connection", "accept-encoding", "content-type"];

/// A text that may be made of the message.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("x-template" = true))]
pub(crate) struct Text(pub(crate) String);

/// Says which of these names, each at its setting, cannot be written.
pub(crate) fn check<'n>(
    names: impl Iterator<Item = (String, &'n String)>,
    auth: Option<&Auth>,
    checks: &mut Checks<'_>,
) {
    let secret = auth.and_then(Auth::header_name);
    for (at, name) in names {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            checks.error("wrong-value", &at, format!("`{name}` is no name of a header"));
        } else if is("content-type") {
            checks.error("wrong-value", &at, "stands under `content_type`");
        } else if OURS.iter().any(|ours| is(ours)) {
            checks.error("wrong-value", &at, format!("`{name}` is written by the connection itself"));
        } else if is("authorization") && auth.is_some() || secret.is_some_and(is) {
            checks.error("conflicting-fields", &at, "`auth` writes this header");
        }
    }
}

/// The names under `headers`, each at its setting.
pub(crate) fn names(written: &BTreeMap<String, Text>) -> impl Iterator<Item = (String, &String)> {
    written.keys().map(|name| (format!("headers.{name}"), name))
}

/// Adds those under `headers`, as the message made them.
pub(crate) fn add(
    headers: &mut HeaderMap,
    written: &BTreeMap<String, Text>,
    outbound: &Outbound,
) -> Result<(), SendError> {
    // One that a sender made up is no reason not to send.
    let trace = outbound.trace.as_deref().and_then(|trace| HeaderValue::from_str(trace).ok());
    headers.extend(trace.map(|trace| (HeaderName::from_static("traceparent"), trace)));
    let state = state(outbound).and_then(|state| HeaderValue::from_str(state).ok());
    headers.extend(state.map(|state| (HeaderName::from_static("tracestate"), state)));
    for (name, text) in written {
        let at = format!("headers.{name}");
        let text = outbound.text(&at, &text.0);
        headers.insert(named(name)?, value(&at, text)?);
    }
    Ok(())
}

/// What tracers before us wrote beside the sender's `traceparent`: it goes with that trace and no other.
fn state(outbound: &Outbound) -> Option<&str> {
    fn id(trace: &str) -> Option<&str> {
        trace.split('-').nth(1)
    }
    let said = outbound.source.get("headers")?;
    let is_theirs = id(said.get("traceparent")?.as_str()?) == id(outbound.trace.as_deref()?);
    said.get("tracestate")?.as_str().filter(|_| is_theirs)
}

pub(crate) fn named(name: &str) -> Result<HeaderName, SendError> {
    name.parse().map_err(|_| SendError::refused(format!("`{name}` is no name of a header")))
}

/// A header's value. A message puts neither a second line nor a second header into it.
pub(crate) fn value(at: &str, text: &str) -> Result<HeaderValue, SendError> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| SendError::refused(format!("`{at}` became what no header can hold")))
}
