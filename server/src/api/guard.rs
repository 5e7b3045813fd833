//! Who may ask: the key for the API, and on loopback only those who asked for this machine.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Context,
    problem::{self, Problem},
};

/// Who can reach the listen address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This machine alone.
    Loopback,
    /// Other machines too (`allow_remote: true`).
    Everywhere,
}

/// Lets a request through that carries the key.
pub(super) async fn key(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response {
    let offered = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match offered.and_then(bearer) {
        Some(offered) if context.key.fits(offered) => next.run(request).await,
        _ => problem::locked_out().into_response(),
    }
}

/// The key in an `Authorization` header; the scheme's name may be written in any case.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Refuses a request for another host: a page elsewhere that had its name point here (DNS rebinding).
pub(super) async fn host(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response {
    let asked = request.headers().get(header::HOST).map(|value| value.to_str().unwrap_or_default());
    let asked = asked.or(request.uri().host());
    match (context.reach, asked) {
        (Reach::Loopback, Some(asked)) if !is_this_machine(asked) => {
            Problem::new(StatusCode::MISDIRECTED_REQUEST, "ask for 127.0.0.1 or localhost").into_response()
        }
        _ => next.run(request).await,
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered_on_loopback() {
        for ours in ["127.0.0.1:8600", "localhost", "LOCALHOST:1", "[::1]:8600", "127.1.2.3"] {
            assert!(is_this_machine(ours), "{ours}");
        }
        for theirs in ["evil.example", "127.0.0.1.evil.example:8600", "10.0.0.1", "", "[fe80::1]:8600"] {
            assert!(!is_this_machine(theirs), "{theirs}");
        }
    }

    #[test]
    fn the_key_stands_behind_the_word_bearer() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
    }
}
