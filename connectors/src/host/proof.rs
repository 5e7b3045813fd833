//! Who may send to us: a key, a password, or a signature of what is sent.

use std::collections::BTreeMap;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac};
use base64::{Engine, prelude::BASE64_STANDARD};
use engine::Checks;
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::token::Jwt;
use crate::secret::Secret;

/// Who may send: one of these. Who sends is the fact `caller`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Auth {
    /// Whoever sends one of these keys in a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ApiKey")]
    api_key: Option<ApiKey>,

    /// Whoever sends one of these passwords: each user's name, and the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, Secret>", example = serde_json::json!({ "ward": "${file:secrets/ward}" }))]
    basic: Option<BTreeMap<String, Secret>>,

    /// Whoever signs the body with a secret that both know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Hmac")]
    hmac: Option<Hmac>,

    /// Whoever bears a token of this issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Jwt")]
    pub(crate) jwt: Option<Jwt>,
}

/// Keys, each with the name of whom it belongs to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct ApiKey {
    /// The header that carries the key.
    #[serde(default = "key_header")]
    header: String,
    /// Each sender's name, and the key. Two names may stand for one sender while its key changes.
    keys: BTreeMap<String, Secret>,
}

/// How a body is signed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Hmac {
    /// The header that carries the signature.
    #[serde(default = "signature_header")]
    header: String,
    /// The secret that both sides know.
    secret: Secret,
    /// The hash the signature is made with: `sha256`, `sha384` or `sha512`.
    #[serde(default)]
    algorithm: Algorithm,
    /// What stands before the signature in the header: `sha256=`.
    #[serde(default)]
    prefix: String,
    /// How the signature is written: `hex` or `base64`.
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Algorithm {
    #[default]
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Encoding {
    #[default]
    Hex,
    Base64,
}

fn key_header() -> String {
    "X-Api-Key".to_owned()
}

fn signature_header() -> String {
    "X-Signature".to_owned()
}

/// What a request proved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It comes from this sender.
    From(String),
    /// It will be known by its body.
    Later,
    /// Nothing.
    None,
}

impl Auth {
    pub(crate) fn check(&self, checks: &mut Checks<'_>) {
        let given = [
            ("api_key", self.api_key.is_some()),
            ("basic", self.basic.is_some()),
            ("hmac", self.hmac.is_some()),
            ("jwt", self.jwt.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        if given.is_empty() {
            checks.error("missing-field", "", "needs one of `api_key`, `basic`, `hmac`, `jwt`");
        }
        for second in given.iter().skip(1) {
            let message = format!("`{second}` and `{}` exclude each other", given[0]);
            checks.error("conflicting-fields", second, message);
        }
        self.check_header(checks);
        if let Some(jwt) = &self.jwt {
            jwt.check(&mut checks.within("jwt"));
        }
        let keys = self.api_key.iter().map(|key| ("api_key.keys", &key.keys));
        let users = self.basic.iter().map(|users| ("basic", users));
        for (at, _) in keys.chain(users).filter(|(_, named)| named.is_empty()) {
            checks.error("missing-field", at, "names nobody: nobody could send");
        }
    }

    fn check_header(&self, checks: &mut Checks<'_>) {
        let key = self.api_key.iter().map(|key| ("api_key.header", &key.header));
        let signature = self.hmac.iter().map(|hmac| ("hmac.header", &hmac.header));
        for (at, name) in key.chain(signature) {
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                checks.error("wrong-value", at, format!("`{name}` is no name of a header"));
            }
        }
    }

    /// Whether who sends is known by what a whole body is signed with.
    pub(crate) fn signs_bodies(&self) -> bool {
        self.hmac.is_some()
    }

    /// What the head of a request proves.
    pub(crate) fn of_head(&self, headers: &HeaderMap) -> Proof {
        let caller = if let Some(ApiKey { header, keys }) = &self.api_key {
            text(headers, header).and_then(|key| owner(keys, key))
        } else if let Some(users) = &self.basic {
            credentials(headers).and_then(|(user, password)| {
                let secret = users.get(&user)?;
                are_equal(secret.reveal(), &password).then_some(user)
            })
        } else {
            return Proof::Later;
        };
        caller.map_or(Proof::None, Proof::From)
    }

    /// Whether the body is signed as it must be. True where nothing of it is signed.
    pub(crate) fn fits_body(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let Some(hmac) = &self.hmac else { return true };
        if hmac.secret.reveal().is_empty() {
            return false;
        }
        let signature = text(headers, &hmac.header).and_then(|text| hmac.read(text));
        signature.is_some_and(|signature| hmac::verify(&hmac.key(), body, &signature).is_ok())
    }

    /// The header that carries a secret or a signature, beside `Authorization`.
    pub(crate) fn header(&self) -> Option<&str> {
        let key = self.api_key.as_ref().map(|key| key.header.as_str());
        key.or(self.hmac.as_ref().map(|hmac| hmac.header.as_str()))
    }

    /// What a sender that proved nothing is asked for.
    pub(crate) fn challenge(&self) -> &'static str {
        if self.basic.is_some() {
            "Basic realm=\"relais\", charset=\"UTF-8\""
        } else if self.jwt.is_some() {
            "Bearer"
        } else if self.api_key.is_some() {
            "ApiKey"
        } else {
            "Signature"
        }
    }
}

impl Hmac {
    fn key(&self) -> hmac::Key {
        let algorithm = match self.algorithm {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::Key::new(algorithm, self.secret.reveal().as_bytes())
    }

    fn read(&self, text: &str) -> Option<Vec<u8>> {
        let text = text.strip_prefix(&self.prefix)?;
        match self.encoding {
            Encoding::Hex => unhex(text),
            Encoding::Base64 => BASE64_STANDARD.decode(text).ok(),
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Whose key this is. All are looked at, so that the time it takes tells nothing.
fn owner(keys: &BTreeMap<String, Secret>, key: &str) -> Option<String> {
    let fitting = |owner: Option<String>, (name, known): (&String, &Secret)| {
        if are_equal(known.reveal(), key) { Some(name.clone()) } else { owner }
    };
    keys.iter().fold(None, fitting)
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, both) = text(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    let both = scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(both.trim()))?.ok()?;
    let both = String::from_utf8(both).ok()?;
    let (user, password) = both.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Compares a secret in a time that says neither where it differs nor how long it is. An empty one is nobody's.
fn are_equal(known: &str, given: &str) -> bool {
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    !known.is_empty() && verify_slices_are_equal(hash(known).as_ref(), hash(given).as_ref()).is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn auth(settings: serde_json::Value) -> Auth {
        serde_json::from_value(settings).unwrap()
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_key_names_its_owner_and_no_other_key_names_anybody() {
        let auth = auth(json!({ "api_key": { "keys": { "lab": "one", "ward": "two" } } }));
        assert_eq!(auth.of_head(&with("x-api-key", "two")), Proof::From("ward".to_owned()));
        for wrong in ["", "on", "one ", "onee"] {
            let expected = if wrong.trim() == "one" { Proof::From("lab".to_owned()) } else { Proof::None };
            assert_eq!(auth.of_head(&with("x-api-key", wrong)), expected, "{wrong}");
        }
        assert_eq!(auth.of_head(&HeaderMap::new()), Proof::None);
    }

    #[test]
    fn an_empty_secret_is_nobodys() {
        let empty = auth(json!({ "api_key": { "keys": { "lab": "" } } }));
        assert_eq!(empty.of_head(&with("x-api-key", "")), Proof::None);
        let empty = auth(json!({ "basic": { "lab": "" } }));
        assert_eq!(empty.of_head(&with("authorization", "Basic bGFiOg==")), Proof::None);
        let empty = auth(json!({ "hmac": { "secret": "" } }));
        let signature = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
        assert!(!empty.fits_body(&with("x-signature", signature), b""));
    }

    #[test]
    fn a_password_is_its_users_alone() {
        let auth = auth(json!({ "basic": { "lab": "s:é", "ward": "two" } }));
        let of = |user: &str| {
            let both = BASE64_STANDARD.encode(user);
            auth.of_head(&with("authorization", &format!("basic {both}")))
        };
        assert_eq!(of("lab:s:é"), Proof::From("lab".to_owned()));
        for wrong in ["lab:two", "ward:s:é", "lab", "lab:", ":two", "nobody:two"] {
            assert_eq!(of(wrong), Proof::None, "{wrong}");
        }
        assert_eq!(auth.of_head(&with("authorization", "Basic !")), Proof::None);
        assert_eq!(auth.of_head(&with("authorization", "Bearer x")), Proof::None);
    }

    /// The signature that RFC 4231 gives in its second case.
    const SIGNATURE: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn a_signature_fits_the_body_it_was_made_for() {
        let settings =
            json!({ "hmac": { "header": "X-Hub-Signature-256", "secret": "Jefe", "prefix": "sha256=" } });
        let auth = auth(settings);
        let body = b"what do ya want for nothing?";
        let fits = |value: &str, body: &[u8]| auth.fits_body(&with("x-hub-signature-256", value), body);
        assert_eq!(auth.of_head(&HeaderMap::new()), Proof::Later);
        assert!(fits(&format!("sha256={SIGNATURE}"), body));
        assert!(fits(&format!("sha256={}", SIGNATURE.to_uppercase()), body));
        assert!(!fits(&format!("sha256={SIGNATURE}"), b"what do ya want for nothing!"));
        assert!(!fits(SIGNATURE, body) && !fits("sha256=", body) && !fits("sha256=zz", body));
        assert!(!fits(&format!("sha256={}", &SIGNATURE[..62]), body));
        assert!(!auth.fits_body(&HeaderMap::new(), body));
    }
}
