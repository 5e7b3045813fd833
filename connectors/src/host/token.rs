//! Tokens that senders bear (JWT): who signed them, for whom, and until when.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RsaParameters, UnparsedPublicKey,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use engine::Checks;
use hyper::{HeaderMap, header::AUTHORIZATION};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::keys::{Key, Keys};
use crate::{
    setting::Period,
    tls::Tls,
    web::{Access, Proxy},
};

/// The longest token.
const LONGEST: usize = 16 * 1024;

/// Tokens of an issuer (JWT), borne as `Authorization: Bearer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Jwt {
    /// Where the issuer publishes its keys. They are kept, and asked for anew when a token names one that is not known.
    #[schemars(example = &"https://login.example.org/.well-known/jwks.json")]
    jwks: String,
    /// Who issues the tokens: their `iss`.
    #[schemars(example = &"https://login.example.org")]
    issuer: String,
    /// Whom the tokens are for: we are one of their `aud`.
    #[schemars(example = &"https://relais.example.org/orders")]
    audience: String,
    /// The algorithms that a token may be signed by. What is not named is refused, whatever the token says.
    #[serde(default = "algorithms")]
    #[schemars(length(min = 1))]
    algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be from ours.
    #[serde(default = "leeway")]
    leeway: Period,
    /// TLS to the issuer: `authorities` to trust, the system's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,
    /// A proxy between us and the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Proxy")]
    proxy: Option<Proxy>,
}

/// How a token is signed. None of them is a shared secret, and none is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    ES256,
    ES384,
}

fn algorithms() -> Vec<Algorithm> {
    vec![Algorithm::RS256, Algorithm::RS384, Algorithm::ES256, Algorithm::ES384]
}

fn leeway() -> Period {
    Period::seconds(60)
}

/// How a signature is looked at.
enum Way {
    Rsa(&'static RsaParameters),
    /// A curve, whose numbers are so long.
    Curve(&'static EcdsaVerificationAlgorithm, &'static str, usize),
}

impl Algorithm {
    fn way(self) -> Way {
        match self {
            Self::RS256 => Way::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            Self::RS384 => Way::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            Self::RS512 => Way::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            Self::PS256 => Way::Rsa(&RSA_PSS_2048_8192_SHA256),
            Self::PS384 => Way::Rsa(&RSA_PSS_2048_8192_SHA384),
            Self::ES256 => Way::Curve(&ECDSA_P256_SHA256_FIXED, "P-256", 32),
            Self::ES384 => Way::Curve(&ECDSA_P384_SHA384_FIXED, "P-384", 48),
        }
    }

    fn key_kind(self) -> (&'static str, Option<&'static str>) {
        match self.way() {
            Way::Rsa(_) => ("RSA", None),
            Way::Curve(_, curve, _) => ("EC", Some(curve)),
        }
    }

    fn verifies(self, key: &Key, text: &[u8], signature: &[u8]) -> bool {
        match self.way() {
            Way::Rsa(parameters) => key.rsa().is_some_and(|(n, e)| {
                PublicKeyComponents { n, e }.verify(parameters, text, signature).is_ok()
            }),
            Way::Curve(algorithm, _, length) => key.point(length).is_some_and(|point| {
                UnparsedPublicKey::new(algorithm, point).verify(text, signature).is_ok()
            }),
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// What one must understand of the token: nothing of it is understood here.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    azp: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// What a token says of its bearer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bearer {
    Known(String),
    Unknown,
    /// The issuer's keys cannot be had now.
    NotNow(String),
}

impl Jwt {
    pub(crate) fn check(&self, checks: &mut Checks<'_>) {
        self.access().check(checks);
        for (name, text) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if text.trim().is_empty() {
                checks.error("missing-field", name, "nobody's tokens would do, or anybody's");
            }
        }
    }

    fn access(&self) -> Access<'_> {
        Access {
            url: ("jwks", &self.jwks),
            auth: None,
            tls: self.tls.as_ref(),
            proxy: self.proxy.as_ref(),
            timeout: Period::seconds(10),
            connect_timeout: Period::seconds(5),
            idle: Period::seconds(30),
            keep_alive: Period::seconds(60),
        }
    }
}

/// Looks at the tokens of one source.
pub(crate) struct Verifier {
    settings: Jwt,
    keys: Keys,
}

impl Verifier {
    pub(crate) fn new(settings: &Jwt, root: &Path) -> Result<Self, String> {
        Ok(Self { settings: settings.clone(), keys: Keys::new(&settings.access(), root)? })
    }

    /// Who bears the token of this request.
    pub(crate) async fn bearer(&self, headers: &HeaderMap) -> Bearer {
        let Some(token) = token(headers).filter(|token| token.len() <= LONGEST) else {
            return Bearer::Unknown;
        };
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Bearer::Unknown };
        let text = &token.as_bytes()[..header.len() + 1 + claims.len()];
        let (Some(header), Some(claims)) = (read::<Header>(header), read::<Claims>(claims)) else {
            return Bearer::Unknown;
        };
        let algorithm = self.settings.algorithms.iter().find(|known| format!("{known:?}") == header.alg);
        let (Some(algorithm), None) = (algorithm, &header.crit) else { return Bearer::Unknown };
        let Some(bearer) = self.admitted(claims) else { return Bearer::Unknown };
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else { return Bearer::Unknown };
        let fits = |key: &Key| key.fits(header.kid.as_deref(), &header.alg, algorithm.key_kind());
        match self.keys.fitting(fits).await {
            Err(why) => Bearer::NotNow(why),
            Ok(keys) if keys.iter().any(|key| algorithm.verifies(key, text, &signature)) => {
                Bearer::Known(bearer)
            }
            Ok(_) => Bearer::Unknown,
        }
    }

    /// The bearer, where the token is of our issuer, for us, and of now.
    fn admitted(&self, claims: Claims) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let leeway = self.settings.leeway.0.as_secs_f64();
        let is_for_us = match &claims.aud {
            Audience::One(audience) => *audience == self.settings.audience,
            Audience::Several(all) => all.contains(&self.settings.audience),
        };
        let is_of_now = now < claims.exp + leeway && claims.nbf.is_none_or(|begins| begins <= now + leeway);
        let is_good = claims.iss == self.settings.issuer && is_for_us && is_of_now;
        is_good.then(|| claims.sub.or(claims.client_id).or(claims.azp).unwrap_or_default())
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn read<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const N: &str = "xan6zGlMwlOauFvQYWDEryFC4JxCFlw7tTGvlvKVbenIItgVZ1SCo1gqzpbDm2mHQEg03YiGpsjhuXW1k2nmbAQkRrFI4icdPHwWgODQfZU9jvjEoVpm-pH5BpvVfhP29WUnXf4zjWDr-aS_01lsjEtNWEhLIOt0oomFEdWnVsitWQcymQ2XfpLC8jrg4VKSxVbgHFY9aooi864123f1T-KfpLA1oMHUFh0A5CcoHQAUDZKG15w8-aeZ51J32eiM4xhQJCLq3vdJq_AW2BM5Pcm2bBgPtY4TZz5j7WIKd2fejGQ5-y2EKWIFh0IaelemM-TCM_WVcG-B8uMQcPvgcQ";
    const RS256: &str = "KlEc85U_QfuBS8xoOQK03q7Y0OmHrlFX_7hFmCOo-iNeDMr9bR8GlEeJbxQENQVhSSaqBHS7DugW3WSOcjBnXG8XVmYhnYpKIRDZWTb2U1Yu8sauoK-32ZrjeIdPozZob60TrNwLhJwnK2U4tfcL_GtC0noqnI6UEnrSAwAJBntWUiDD92yTuD3j8zEoVBQQMAsB2XPIeJIf8DUJSWlQYkuIgteRlysp5on3qKKoRg82Mo8CRrq1tbuuLshZQpjPxusi2kJ-UjJ6B0HlY_HhXgyFimpe7DMKXhlNcpkjZOFjuDDV5fonKfhM1Wx5t1EpiTD10eZF9auCYmQXjqF3Yw";
    const PS384: &str = "ig9dsObM18Pq8Hvib7-o4yeSDERkMOiu2wwV8mO1BY_4SFI-MHjqR3xo1S_WfG9i6lKFPJ7dA9q9185LwpxwztC36dLtIbtQ48f73tLIVbDnnK1RK6Adn2EO8_dWePxug--rzywh4W3yMK5-lvvnM-Eg0vO_Utf0MXJ3l2lvGpiet1gwjy6jQKnicGfoa8e5ovYExoUYn6M5_v6NQ6F6K7qwQ7iurACXxQZLk7AMFct97YGUXuQTl5dsO_Tyzv1tkRmXoDNlUmpiXbKmnsZsKlaZVrEdgaeDjb96fxZQo2AAhwM4U0cicTc3s_NmRRs2-hdwg9Vu4eASnNEVyNTs8A";
    const X: &str = "somjOkg7Fj7Bw6MZZpOnCPAEnAnCPyFHj8pz7Gsu5YRDcm1LxQzvgK_g8tKGJI3M";
    const Y: &str = "IfEVz7OXXibiF8PUHXSi9fCGgxv-3NEKxwgqdqGfNA2Hhf4FHU7O9ygPqwX9IonV";
    const ES384: &str = "aVUNpcVmf3kVwPGtggE2SkJGiVbrKUC7FCNVk_-tOOvOQDn-mFFeAqVtY781gy4MA74bx_4KW1s-SiR1oajPEpWhfx1ZTyvbM2dhpPwCJuChPLb17Yx87REG0Ewkiah1";

    fn key(key: serde_json::Value) -> Key {
        serde_json::from_value(key).unwrap()
    }

    /// Signatures of the word `relais`, made with Python's `cryptography`.
    #[test]
    fn a_signature_of_another_library_fits_its_key_and_no_other_algorithm() {
        let rsa = key(json!({ "kty": "RSA", "n": N, "e": "AQAB" }));
        let curve = key(json!({ "kty": "EC", "crv": "P-384", "x": X, "y": Y }));
        let fits = |algorithm: Algorithm, key: &Key, signature: &str| {
            algorithm.verifies(key, b"relais", &BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap())
        };
        assert!(fits(Algorithm::RS256, &rsa, RS256) && fits(Algorithm::PS384, &rsa, PS384));
        assert!(fits(Algorithm::ES384, &curve, ES384));
        assert!(!fits(Algorithm::RS384, &rsa, RS256) && !fits(Algorithm::PS256, &rsa, RS256));
        assert!(!fits(Algorithm::ES256, &curve, ES384) && !fits(Algorithm::RS256, &curve, RS256));
        assert!(!Algorithm::RS256.verifies(&rsa, b"other", &BASE64_URL_SAFE_NO_PAD.decode(RS256).unwrap()));
    }

    #[test]
    fn a_key_is_used_for_what_it_is_and_says_it_is_for() {
        let of = |more: serde_json::Value| {
            let mut all = json!({ "kty": "RSA", "n": N, "e": "AQAB", "kid": "1" });
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            key(all)
        };
        let fits = |key: &Key, kid, algorithm: Algorithm| {
            key.fits(kid, &format!("{algorithm:?}"), algorithm.key_kind())
        };
        assert!(
            fits(&of(json!({})), Some("1"), Algorithm::RS256) && fits(&of(json!({})), None, Algorithm::PS384)
        );
        assert!(!fits(&of(json!({})), Some("2"), Algorithm::RS256), "another name");
        assert!(!fits(&of(json!({})), Some("1"), Algorithm::ES256), "another kind");
        assert!(!fits(&of(json!({ "use": "enc" })), Some("1"), Algorithm::RS256), "another use");
        assert!(!fits(&of(json!({ "alg": "RS512" })), Some("1"), Algorithm::RS256), "another algorithm");
    }
}
