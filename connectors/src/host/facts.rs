//! What is known of a message beside its body: who sent it, by which way, with which words around it.

use std::net::SocketAddr;

use engine::Facts;
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
    http::request::Parts,
};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::wire::Stream;

/// What every message of a connection shares.
pub(crate) fn of_connection(wire: &dyn Stream, peer: SocketAddr) -> Facts {
    let mut facts = Facts::new();
    let mut fact = |name: &str, value: String| facts.insert(name.to_owned(), value.into());
    fact("peer", peer.to_string());
    fact("peer_ip", peer.ip().to_string());
    if let Ok(local) = wire.socket().local_addr() {
        fact("local", local.to_string());
    }
    if let Some(subject) = wire.subject() {
        fact("tls_subject", subject);
    }
    facts
}

/// What one request says; no secret of it, nor the header that carries one.
pub(crate) fn of_request(facts: &mut Facts, head: &Parts, secret: Option<&str>) {
    facts.insert("method".to_owned(), head.method.as_str().into());
    facts.insert("path".to_owned(), head.uri.path().into());
    facts.insert("query".to_owned(), query(head.uri.query().unwrap_or_default()).into());
    facts.insert("headers".to_owned(), headers(&head.headers, secret).into());
}

/// Parameters by their names: a text, or a list of texts where a name stands several times.
fn query(query: &str) -> Map<String, Value> {
    let mut parameters: Map<String, Value> = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match parameters.get_mut(name.as_ref()) {
            None => {
                parameters.insert(name.into_owned(), value.into_owned().into());
            }
            Some(Value::Array(values)) => values.push(value.into_owned().into()),
            Some(first) => *first = vec![first.take(), value.into_owned().into()].into(),
        }
    }
    parameters
}

/// Headers by their names in small letters; those of one name are put together as HTTP allows.
fn headers(headers: &HeaderMap, secret: Option<&str>) -> Map<String, Value> {
    let is_secret = |name: &str| {
        [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].iter().any(|secret| secret == name)
            || secret.is_some_and(|secret| secret.eq_ignore_ascii_case(name))
    };
    let kept = headers.keys().filter(|name| !is_secret(name.as_str()));
    let all = |name| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(", ")
    };
    kept.map(|name| (name.as_str().to_owned(), all(name).into())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_decoded_and_those_of_one_name_are_a_list() {
        let read = Value::from(query("a=%C3%A9+x&b=1&b=2&b=3&c"));
        assert_eq!(read, json!({ "a": "é x", "b": ["1", "2", "3"], "c": "" }));
    }

    #[test]
    fn no_secret_is_a_fact() {
        let all: HeaderMap = [("authorization", "Basic x"), ("cookie", "a"), ("x-key", "k"), ("x-id", "7")]
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(hyper::header::HeaderName, hyper::header::HeaderValue)>>()
            .into_iter()
            .collect();
        assert_eq!(Value::from(headers(&all, Some("X-Key"))), json!({ "x-id": "7" }));
    }
}
