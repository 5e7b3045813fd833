//! The token by which a provider says who came (ID token): believed only whole.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Refusal, Way};
use crate::jwt::{Algorithm, Audience, Keys, Signed};

/// How far the provider's clock may be from ours, in seconds.
const LEEWAY: f64 = 60.0;

/// By what a provider may sign: what is not here is refused, whatever the token says.
const ALGORITHMS: [Algorithm; 7] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::ES256,
    Algorithm::ES384,
];

#[derive(Deserialize)]
struct Said {
    iss: String,
    aud: Audience,
    exp: f64,
    iat: f64,
    #[serde(default)]
    nbf: Option<f64>,
    sub: String,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    azp: Option<String>,
}

/// What the token says, where it is the provider's, for us, of now and of this very sign-in.
pub(super) async fn believed(
    token: &str,
    (issuer, client): (&str, &str),
    way: &Way,
    keys: &Keys,
) -> Result<Map<String, Value>, Refusal> {
    let unproven = |why: &str| Refusal::Unproven(format!("its token {why}"));
    let Some((signed, Value::Object(all))) = Signed::read::<Value>(token) else {
        return Err(unproven("cannot be read"));
    };
    let Some(algorithm) = signed.algorithm(&ALGORITHMS) else {
        return Err(unproven("is signed by no algorithm that is taken here"));
    };
    let said: Said = serde_json::from_value(Value::Object(all.clone()))
        .map_err(|_| unproven("lacks one of `iss`, `aud`, `exp`, `iat`, `sub`"))?;
    if let Some(why) = flaw(&said, (issuer, client), &way.nonce) {
        return Err(unproven(why));
    }
    match signed.is_of(keys, algorithm).await {
        Ok(true) => Ok(all),
        Ok(false) => Err(unproven("is signed by none of its keys")),
        Err(why) => Err(Refusal::Away(why)),
    }
}

/// Why it does not count, if it does not.
fn flaw(said: &Said, (issuer, client): (&str, &str), nonce: &str) -> Option<&'static str> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let is_shared = matches!(&said.aud, Audience::Several(all) if all.len() > 1);
    let is_anothers = said.azp.as_deref().is_some_and(|party| party != client);
    if said.iss != issuer {
        Some("is of another issuer")
    } else if !said.aud.includes(client) || is_anothers || (is_shared && said.azp.is_none()) {
        Some("is for another client")
    } else if now >= said.exp + LEEWAY {
        Some("has expired")
    } else if said.iat > now + LEEWAY || said.nbf.is_some_and(|begins| begins > now + LEEWAY) {
        Some("is of a time to come: compare the clocks")
    } else if said.nonce.as_deref() != Some(nonce) {
        Some("is of another sign-in")
    } else if said.sub.is_empty() {
        Some("names nobody")
    } else {
        None
    }
}
