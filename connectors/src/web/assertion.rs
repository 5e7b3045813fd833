//! Says who we are to an authorization server by a signed token (RFC 7523), as SMART backend services ask for it.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::{SystemRandom, fill},
    rsa,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA384},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};

use crate::tls;

/// How long one may be used, in seconds; SMART allows five minutes.
const LASTS: u64 = 240;

/// The word by which a request for a token says what proves its sender.
pub(crate) const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A private key that signs.
pub(crate) enum Signer {
    Rsa(rsa::KeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl Signer {
    /// Reads the key of a PEM file: RSA from 2048 bits on, or one on the curve P-384.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let key = tls::private_key(file)?;
        let found = match &key {
            PrivateKeyDer::Pkcs1(key) => rsa::KeyPair::from_der(key.secret_pkcs1_der()).ok().map(Self::Rsa),
            PrivateKeyDer::Sec1(key) => {
                let algorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_private_key_der(algorithm, key.secret_sec1_der());
                pair.ok().map(Self::Ecdsa)
            }
            PrivateKeyDer::Pkcs8(key) => Self::of_pkcs8(key.secret_pkcs8_der()),
            _ => None,
        };
        let wrong =
            || format!("`{}` holds a key that cannot sign by RS384 (RSA) or ES384 (P-384)", file.display());
        found.filter(Self::is_strong).ok_or_else(wrong)
    }

    fn of_pkcs8(der: &[u8]) -> Option<Self> {
        let of_curve = || EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der);
        let of_rsa = rsa::KeyPair::from_pkcs8(der).ok().map(Self::Rsa);
        of_rsa.or_else(|| of_curve().ok().map(Self::Ecdsa))
    }

    fn is_strong(&self) -> bool {
        match self {
            Self::Rsa(pair) => pair.public_modulus_len() >= 256,
            Self::Ecdsa(_) => true,
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS384",
            Self::Ecdsa(_) => "ES384",
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |_| "a token cannot be signed with the key".to_owned();
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA384, &random, text, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Self::Ecdsa(pair) => Ok(pair.sign(&random, text).map_err(failed)?.as_ref().to_vec()),
        }
    }

    /// A token for one request: it names us, the endpoint it is for, and itself.
    pub(crate) fn assertion(
        &self,
        key_id: Option<&str>,
        client: &str,
        endpoint: &str,
    ) -> Result<String, String> {
        let mut number = [0; 16];
        fill(&mut number).map_err(|_| "the system gives no random number".to_owned())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut header = json!({ "alg": self.algorithm(), "typ": "JWT" });
        if let Some(key_id) = key_id {
            header["kid"] = key_id.into();
        }
        let claims = json!({
            "iss": client, "sub": client, "aud": endpoint, "jti": BASE64_URL_SAFE_NO_PAD.encode(number),
            "iat": now, "exp": now + LASTS,
        });
        let encoded = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let text = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = self.sign(text.as_bytes())?;
        Ok(format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P384_SHA384_FIXED, KeyPair, RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey,
    };

    use super::*;

    fn signer(algorithm: &'static rcgen::SignatureAlgorithm) -> Result<Signer, String> {
        let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(&file, pair.serialize_pem()).unwrap();
        Signer::read(&file)
    }

    fn read(part: &str) -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_token_names_us_and_its_endpoint_and_is_signed_by_the_key() {
        for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_RSA_SHA384] {
            let signer = signer(algorithm).unwrap();
            let token = signer.assertion(Some("k1"), "relais", "https://login/token").unwrap();
            let (text, signature) = token.rsplit_once('.').unwrap();
            let (header, claims) = text.split_once('.').unwrap();
            let (header, claims) = (read(header), read(claims));
            assert_eq!((&header["alg"], &header["kid"]), (&json!(signer.algorithm()), &json!("k1")));
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!("relais"), &json!("relais")));
            assert_eq!(claims["aud"], "https://login/token");
            assert!(claims["exp"].as_u64() <= claims["iat"].as_u64().map(|issued| issued + 300));
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            let verified = match &signer {
                Signer::Rsa(pair) => {
                    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA384, pair.public_key().as_ref());
                    key.verify(text.as_bytes(), &signature)
                }
                Signer::Ecdsa(pair) => {
                    let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, pair.public_key().as_ref());
                    key.verify(text.as_bytes(), &signature)
                }
            };
            assert!(verified.is_ok(), "{header}");
            let again = signer.assertion(Some("k1"), "relais", "https://login/token").unwrap();
            assert_ne!(token, again, "each is used once");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let refused = |algorithm| signer(algorithm).err().unwrap();
        assert!(refused(&rcgen::PKCS_ECDSA_P256_SHA256).contains("RS384"));
        assert!(refused(&rcgen::PKCS_ED25519).contains("ES384"));
    }
}
