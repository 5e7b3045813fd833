//! Signing in through a provider of accounts: sending a browser there, and what is made of its return.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use connectors::oidc::{Refusal, Way};
use serde::{Deserialize, Serialize};

use super::{Context, guard, sign_in};
use crate::{
    accounts::{
        Change, Gate, Misfit, Person, Refused,
        secret::{digest, fresh},
    },
    audit::Deed,
};

type Shared = State<Arc<Context>>;
type Peer = ConnectInfo<SocketAddr>;

/// How long somebody may take at the provider, in seconds.
const PATIENCE: u32 = 600;

/// How one may sign in here, beside with a password.
#[derive(Serialize)]
pub(super) struct Ways {
    /// What the provider is called.
    provider: Option<String>,
}

/// What stands behind the question mark when a browser comes back.
#[derive(Deserialize)]
pub(super) struct Returned {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Why nobody was let in: the word that stands behind `#/sign-in/`, which the console puts into a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shut {
    /// Not sent from here, or long ago.
    Stale,
    Away,
    Denied,
    Unproven,
    NoRole,
    NoName,
    Taken,
    Wait,
    Broken,
}

impl Shut {
    fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Away => "away",
            Self::Denied => "denied",
            Self::Unproven => "unproven",
            Self::NoRole => "no-role",
            Self::NoName => "no-name",
            Self::Taken => "taken",
            Self::Wait => "wait",
            Self::Broken => "broken",
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::Stale | Self::Denied | Self::Unproven => 401,
            Self::NoRole | Self::NoName | Self::Taken => 403,
            Self::Wait => 429,
            Self::Away | Self::Broken => 503,
        }
    }
}

impl From<Refusal> for Shut {
    fn from(refusal: Refusal) -> Self {
        let (why, shut) = match refusal {
            Refusal::Away(why) => (why, Self::Away),
            Refusal::Denied(why) => (why, Self::Denied),
            Refusal::Unproven(why) => (why, Self::Unproven),
        };
        tracing::warn!(why, "nobody was signed in through the provider");
        shut
    }
}

impl From<Misfit> for Shut {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::NoRole => Self::NoRole,
            Misfit::NoName => Self::NoName,
        }
    }
}

impl From<Refused> for Shut {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Wait(_) => Self::Wait,
            Refused::Unfit(why) => {
                tracing::warn!(why, "nobody was signed in through the provider");
                Self::Taken
            }
            Refused::Wrong | Refused::Unknown(_) | Refused::Broken(_) => Self::Broken,
        }
    }
}

pub(super) async fn ways(State(context): Shared) -> Json<Ways> {
    Json(Ways { provider: context.gate.as_ref().map(|gate| gate.provider.shown()) })
}

/// Sends a browser to the provider. What it must bring back is in a cookie of its own: nothing is kept here, so that
/// nobody can fill it.
pub(super) async fn begin(State(context): Shared, headers: HeaderMap) -> Response {
    let Some(gate) = &context.gate else { return super::problem::nothing_here().await.into_response() };
    let Ok(secret) = fresh() else { return shut(&context, Shut::Broken, &headers) };
    match gate.provider.begin(&way(&secret)).await {
        Ok(url) => {
            let cookie = passing(&context, (&secret, PATIENCE), &headers);
            sent_to(&url, &[cookie])
        }
        Err(refusal) => shut(&context, refusal.into(), &headers),
    }
}

/// Takes a browser back from the provider.
pub(super) async fn finish(
    State(context): Shared,
    peer: Peer,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
) -> Response {
    let Some(gate) = &context.gate else { return super::problem::nothing_here().await.into_response() };
    let from = guard::address(Some(&peer));
    if let Err(refused) = context.accounts.begin_return(from) {
        return shut(&context, refused.into(), &headers);
    }
    let came = match known(gate, &context, &headers, &returned).await {
        Ok(person) => admitted(&context, &person, &peer).await.map_err(|shut| (shut, person.name)),
        Err(shut) => Err((shut, "somebody".to_owned())),
    };
    match came {
        Ok(session) => {
            let gone = passing(&context, ("", 0), &headers);
            sent_to("/", &[sign_in::cookie(&context, &session, &headers), gone])
        }
        Err((why, who)) => {
            if let Err(error) = sign_in::note(&context, (&who, DEED, why.status()), &peer).await {
                return error.into_response();
            }
            shut(&context, why, &headers)
        }
    }
}

const DEED: &str = "sign in through the provider";

/// Who came back, where it is the browser that was sent and the provider says so.
async fn known(
    gate: &Gate,
    context: &Context,
    headers: &HeaderMap,
    returned: &Returned,
) -> Result<Person, Shut> {
    let name = passing_name(context);
    let secret = guard::cookie(headers, &name).filter(|secret| !secret.is_empty()).ok_or(Shut::Stale)?;
    let way = way(secret);
    let state = returned.state.as_deref().unwrap_or_default();
    if !crate::accounts::secret::same(state.as_bytes(), way.state.as_bytes()) {
        return Err(Shut::Stale);
    }
    if returned.error.is_some() {
        return Err(Shut::Denied);
    }
    let code = returned.code.as_deref().filter(|code| !code.is_empty()).ok_or(Shut::Stale)?;
    let claims = gate.provider.finish((code, returned.iss.as_deref()), &way, &gate.needed()).await?;
    Ok(gate.person(&claims)?)
}

/// Writes down who comes in and what his account becomes by it, and then lets him in.
async fn admitted(context: &Context, person: &Person, peer: &Peer) -> Result<String, Shut> {
    let change = context.accounts.planned(person)?;
    let what = match change {
        Change::Made => Some("add an account"),
        Change::Moved => Some("change an account's role"),
        Change::None => None,
    };
    if let Some(what) = what {
        let subject = super::accounts::subject("account", &person.name, &person.position);
        let deed = Deed {
            who: person.name.clone(),
            from: Some(guard::address(Some(peer)).to_string()),
            what: what.to_owned(),
            subject: format!("{subject}; by {}", person.identity.issuer),
            status: 200,
        };
        context.audit.write(deed).await.map_err(|_| Shut::Broken)?;
    }
    sign_in::note(context, (&person.name, DEED, 200), peer).await.map_err(|_| Shut::Broken)?;
    Ok(context.accounts.enter(person, guard::address(Some(peer)))?)
}

/// The numbers of a sign-in, made of the secret in the browser's cookie: whoever sees one of them knows none of the others.
fn way(secret: &str) -> Way {
    let part = |name: &str| digest(&format!("{name} {secret}"));
    Way { state: part("state"), nonce: part("nonce"), verifier: part("verifier") }
}

fn passing_name(context: &Context) -> String {
    format!("{}-way", context.cookie)
}

/// The cookie of who is on the way to the provider and back. It comes along when the provider sends him, as one of a
/// session does not.
fn passing(context: &Context, (secret, seconds): (&str, u32), headers: &HeaderMap) -> String {
    let secure = if sign_in::is_secure(context, headers) { "; Secure" } else { "" };
    let name = passing_name(context);
    format!("{name}={secret}; Path=/sign-in; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

fn shut(context: &Context, why: Shut, headers: &HeaderMap) -> Response {
    sent_to(&format!("/#/sign-in/{}", why.word()), &[passing(context, ("", 0), headers)])
}

fn sent_to(place: &str, cookies: &[String]) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(place).map(|place| (header::LOCATION, place)));
    for cookie in cookies {
        headers.extend(HeaderValue::from_str(cookie).map(|cookie| (header::SET_COOKIE, cookie)));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The code stands in this address.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
