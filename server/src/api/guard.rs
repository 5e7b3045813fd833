//! Who may ask: the key, a token or a session for the API, and on loopback only those who asked for this machine.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Context,
    problem::{self, Problem},
    same_origin::require_own_page,
};
use crate::accounts::{Caller, Door, Right, Sees};

/// Who can reach the listen address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This machine alone.
    Loopback,
    /// Other machines too.
    Everywhere,
}

/// Lets a request through whose sender is known, and says who that is.
pub(super) async fn known(State(context): State<Arc<Context>>, mut request: Request, next: Next) -> Response {
    let caller = match caller(&context, request.headers(), request.method()) {
        Ok(Some(caller)) => caller,
        Ok(None) => return problem::locked_out().into_response(),
        Err(problem) => return problem.into_response(),
    };
    let from = Some(address(request.extensions().get()));
    request.extensions_mut().insert(Caller { from, ..caller });
    next.run(request).await
}

fn caller(context: &Context, headers: &HeaderMap, method: &Method) -> Result<Option<Caller>, Problem> {
    if let Some(offered) = headers.get(header::AUTHORIZATION) {
        let Some(offered) = offered.to_str().ok().and_then(bearer) else { return Ok(None) };
        if context.key.fits(offered) {
            let (name, rights) = (who(headers), Right::ALL.to_vec());
            return Ok(Some(Caller { name, rights, sees: Sees::Everything, door: Door::Key, from: None }));
        }
        return Ok(context.accounts.by_token(offered));
    }
    let caller = cookie(headers, &context.cookie).and_then(|secret| context.accounts.by_session(secret));
    if caller.is_some() && !method.is_safe() {
        require_own_page(headers)?;
    }
    Ok(caller)
}

/// The value of one cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    cookies.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// The key in an `Authorization` header; the scheme's name may be written in any case.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Who asks, for the audit log: whoever holds the key says so.
fn who(headers: &HeaderMap) -> String {
    let name = headers.get("relais-user").and_then(|name| name.to_str().ok()).unwrap_or("").trim();
    if name.is_empty() { "key".to_owned() } else { format!("{name} (key)") }
}

/// Where a request came from.
pub(super) fn address(connection: Option<&ConnectInfo<SocketAddr>>) -> IpAddr {
    connection.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip().to_canonical())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(problem::locked_out)
    }
}

/// Refuses a request for another host: a page elsewhere that had its name point here (DNS rebinding).
pub(super) async fn host(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response {
    let asked = request.headers().get(header::HOST).map(|value| value.to_str().unwrap_or_default());
    let asked = asked.or(request.uri().host());
    match (context.reach, asked) {
        (Reach::Loopback, Some(asked)) if !is_this_machine(asked) => {
            Problem::misdirected("ask for 127.0.0.1 or localhost").into_response()
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
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut sent = HeaderMap::new();
        for cookies in ["relais-86=no; a=b", "relais-8600=yes"] {
            sent.append(header::COOKIE, cookies.parse().unwrap());
        }
        assert_eq!(cookie(&sent, "relais-8600"), Some("yes"));
        assert_eq!(cookie(&sent, "relais"), None);
    }
}
