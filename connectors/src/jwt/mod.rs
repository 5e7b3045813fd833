//! Signed tokens (JWT): what they say, and whether a key of their issuer signed it.

mod keys;

use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RsaParameters, UnparsedPublicKey,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub(crate) use keys::Keys;

use keys::Key;

/// The longest token.
const LONGEST: usize = 16 * 1024;

/// How a token is signed. None of them is a shared secret, and none is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    ES256,
    ES384,
}

/// How a signature is looked at.
enum Way {
    Rsa(&'static RsaParameters),
    /// A curve, whose numbers are so long.
    Curve(&'static EcdsaVerificationAlgorithm, &'static str, usize),
}

impl Algorithm {
    /// What is taken where nobody says which.
    pub(crate) fn usual() -> Vec<Self> {
        vec![Self::RS256, Self::RS384, Self::ES256, Self::ES384]
    }

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

/// Whom a token is for.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub(crate) fn includes(&self, name: &str) -> bool {
        match self {
            Self::One(audience) => audience == name,
            Self::Several(all) => all.iter().any(|audience| audience == name),
        }
    }
}

/// A token that was read, and not believed yet.
pub(crate) struct Signed<'t> {
    header: Header,
    text: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> Signed<'t> {
    /// A token and what it claims; nothing where it is none.
    pub(crate) fn read<C: DeserializeOwned>(token: &'t str) -> Option<(Self, C)> {
        if token.len() > LONGEST {
            return None;
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { return None };
        let text = &token.as_bytes()[..header.len() + 1 + claims.len()];
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some((Self { header: read(header)?, text, signature }, read(claims)?))
    }

    /// The algorithm that it names, where it is one of these. `none` is never one.
    pub(crate) fn algorithm(&self, of: &[Algorithm]) -> Option<Algorithm> {
        let named = of.iter().find(|known| format!("{known:?}") == self.header.alg).copied();
        named.filter(|_| self.header.crit.is_none())
    }

    /// Whether one of the issuer's keys signed it. The error: nobody can tell, the issuer does not answer.
    pub(crate) async fn is_of(&self, keys: &Keys, algorithm: Algorithm) -> Result<bool, String> {
        let kid = self.header.kid.as_deref();
        let fitting = keys.fitting(|key| key.fits(kid, &self.header.alg, algorithm.key_kind())).await?;
        Ok(fitting.iter().any(|key| algorithm.verifies(key, self.text, &self.signature)))
    }
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
