//! Signing in and out: what the console's first page asks for. Outside `/api/`, since nobody is known yet.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, asked::Body, guard, problem::Problem, same_origin::require_own_page};
use crate::{
    accounts::{Caller, Door, Refused, Right, Role, Sees},
    audit::Deed,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Name {
    name: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Welcome {
    link: String,
    password: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Known {
    name: String,
    /// Of an account; a token and the key have none.
    role: Option<Role>,
    rights: Vec<Right>,
    /// The tags of the channels that are seen; none: all are.
    tags: Vec<String>,
}

type Shared = State<Arc<Context>>;
type Peer = ConnectInfo<SocketAddr>;

pub(super) async fn sign_in(
    State(context): Shared,
    peer: Peer,
    headers: HeaderMap,
    Body(asked): Body<Name>,
) -> Result<Response, Problem> {
    require_own_page(&headers)?;
    let from = guard::address(Some(&peer));
    let came = context.accounts.sign_in(&asked.name, &asked.password, from).await;
    // A name that is none may be a password typed in the wrong place.
    let who = if context.accounts.position(&asked.name).is_some() { asked.name.as_str() } else { "somebody" };
    let status = if came.is_ok() { 200 } else { 401 };
    if !matches!(came, Err(Refused::Wait(_))) {
        note(&context, (who, "sign in", status), &peer).await?;
    }
    let secret = came?;
    Ok(signed_in(&context, &asked.name, &secret, &headers))
}

pub(super) async fn welcome(
    State(context): Shared,
    peer: Peer,
    headers: HeaderMap,
    Body(asked): Body<Welcome>,
) -> Result<Response, Problem> {
    require_own_page(&headers)?;
    let from = guard::address(Some(&peer));
    if let Some(name) = context.accounts.owner_of_link(&asked.link) {
        note(&context, (&name, "choose a password", 102), &peer).await?;
    }
    let (name, secret) = context.accounts.welcome(&asked.link, &asked.password, from).await?;
    note(&context, (&name, "choose a password", 200), &peer).await?;
    Ok(signed_in(&context, &name, &secret, &headers))
}

pub(super) async fn show(State(context): Shared, caller: Caller) -> Json<Known> {
    let role = match caller.door {
        Door::Session(_) => context.accounts.position(&caller.name).map(|position| position.role),
        Door::Key | Door::Token(_) => None,
    };
    let tags = match caller.sees {
        Sees::Everything => Vec::new(),
        Sees::Tagged(tags) => tags,
    };
    Json(Known { role, name: caller.name, rights: caller.rights, tags })
}

pub(super) async fn sign_out(State(context): Shared, caller: Caller) -> Response {
    context.accounts.sign_out(&caller.door);
    let gone = format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", context.cookie);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response()
}

pub(super) async fn note(
    context: &Context,
    (who, what, status): (&str, &str, u16),
    peer: &Peer,
) -> Result<(), Problem> {
    let deed = Deed {
        who: who.to_owned(),
        from: Some(guard::address(Some(peer)).to_string()),
        what: what.to_owned(),
        subject: String::new(),
        status,
    };
    context.audit.write(deed).await.map_err(|error| Problem::no_audit(&error))
}

fn signed_in(context: &Context, name: &str, secret: &str, headers: &HeaderMap) -> Response {
    let position = context.accounts.position(name);
    let rights = position.as_ref().map(|position| position.role.rights().to_vec()).unwrap_or_default();
    let role = position.as_ref().map(|position| position.role);
    let tags = position.map(|position| position.tags).unwrap_or_default();
    let mut response = Json(Known { name: name.to_owned(), role, rights, tags }).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie(context, secret, headers)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The cookie of a session.
pub(super) fn cookie(context: &Context, secret: &str, headers: &HeaderMap) -> String {
    let secure = if is_secure(context, headers) { "; Secure" } else { "" };
    format!("{}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}", context.cookie)
}

/// Whether the browser came by TLS, to us or to a proxy before us: it keeps the cookie to TLS then.
pub(super) fn is_secure(context: &Context, headers: &HeaderMap) -> bool {
    context.is_encrypted || headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https")
}
