//! Who is let in by a token, and who is not: keys that change, algorithms that lie, issuers that are away.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use engine::ReplyWords;
use serde_json::{Value, json};
use stage::{Guest, Stage, Web, fact, free_address, message, posts, says};

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of an issuer.
struct Signer(EcdsaKeyPair, &'static str);

impl Signer {
    fn new(kid: &'static str) -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let document = document.unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap(), kid)
    }

    fn published(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "kid": self.1, "x": encoded(&point[1..33]), "y": encoded(&point[33..]) })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", encoded(signature))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "ES256", "kid": self.1 }), claims)
    }
}

fn key_set(signers: &[&Signer]) -> String {
    let strange = json!({ "kty": "oct", "k": 7 });
    let keys: Vec<Value> = signers.iter().map(|signer| signer.published()).chain([strange]).collect();
    json!({ "keys": keys }).to_string()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims(more: &Value) -> Value {
    let mut claims =
        json!({ "iss": "urn:login", "aud": ["x", "urn:relais"], "exp": now() + 600, "sub": "ward-7" });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

async fn stage(issuer: &Web) -> (Stage, SocketAddr) {
    let address = free_address();
    let jwt = json!({ "jwks": issuer.url("/keys"), "issuer": "urn:login", "audience": "urn:relais" });
    let stage = Stage::serving(address, json!({ "auth": { "jwt": jwt } }), ReplyWords::default()).await;
    (stage, address)
}

async fn status(address: SocketAddr, token: &str) -> u16 {
    let mut guest = Guest::connect(address).await;
    let header = format!("Authorization: Bearer {token}");
    guest.write(posts("/", &[&header, "Connection: close"], &message("M-1"))).await;
    guest.asked().await.unwrap().status()
}

/// The status of one request, during which the issuer is asked for its keys.
async fn status_asking(address: SocketAddr, token: &str, issuer: &Web, keys: &str) -> u16 {
    let answer = says(200, &["Connection: close"], keys);
    let (status, (asked, _)) = tokio::join!(status(address, token), issuer.answer(answer));
    assert_eq!(asked.line, "GET /keys HTTP/1.1");
    status
}

#[tokio::test]
async fn a_token_of_the_issuer_lets_its_bearer_in_until_it_ends() {
    let (issuer, key) = (Web::open().await, Signer::new("1"));
    let (stage, address) = stage(&issuer).await;
    let good = key.token(&claims(&json!({})));
    assert_eq!(status_asking(address, &good, &issuer, &key_set(&[&key])).await, 200);
    let messages = stage.ended(1).await;
    assert_eq!(fact(&messages[0].message.facts, "caller"), Some("ward-7"));
    assert!(!format!("{:?}", messages[0].message.facts).contains(&good), "a token is a secret");
    for wrong in [
        json!({ "iss": "urn:other" }),
        json!({ "aud": "urn:other" }),
        json!({ "aud": [] }),
        json!({ "exp": now() - 61 }),
        json!({ "exp": "never" }),
        json!({ "nbf": now() + 120 }),
    ] {
        assert_eq!(status(address, &key.token(&claims(&wrong))).await, 401, "{wrong}");
    }
    let mut without_end = claims(&json!({}));
    without_end.as_object_mut().unwrap().remove("exp");
    assert_eq!(status(address, &key.token(&without_end)).await, 401);
    assert_eq!(
        status(address, &key.token(&claims(&json!({ "exp": now() - 30 })))).await,
        200,
        "clocks differ"
    );
    assert!(issuer.is_lonely(), "the keys are kept");
}

#[tokio::test]
async fn a_token_that_lies_about_its_algorithm_lets_nobody_in() {
    let (issuer, key, other) = (Web::open().await, Signer::new("1"), Signer::new("1"));
    let (_stage, address) = stage(&issuer).await;
    let good = key.token(&claims(&json!({})));
    assert_eq!(status_asking(address, &good, &issuer, &key_set(&[&key])).await, 200);
    let claims = claims(&json!({}));
    let unsigned = format!("{}.{}.", encoded("{\"alg\":\"none\"}"), encoded(claims.to_string()));
    // The public key of the issuer as the secret of both.
    let text = format!("{}.{}", encoded("{\"alg\":\"HS256\",\"kid\":\"1\"}"), encoded(claims.to_string()));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.0.public_key().as_ref());
    let confused = format!("{text}.{}", encoded(hmac::sign(&secret, text.as_bytes())));
    let header = |more: &str, value: Value| {
        let mut header = json!({ "alg": "ES256", "kid": "1" });
        header[more] = value;
        header
    };
    let forged = other.token(&claims);
    let altered = format!("{}x", &good[..good.len() - 1]);
    for wrong in [
        unsigned,
        confused,
        forged,
        altered,
        key.sign(&header("alg", json!("RS256")), &claims),
        key.sign(&header("alg", json!("ES512")), &claims),
        key.sign(&header("crit", json!(["b64"])), &claims),
        key.sign(&header("jwk", other.published()), &claims).replace('.', ".."),
        String::new(),
        "a.b".to_owned(),
        "x".repeat(20_000),
    ] {
        assert_eq!(status(address, &wrong).await, 401, "{wrong}");
    }
    assert!(issuer.is_lonely());
}

#[tokio::test]
async fn an_issuer_that_is_away_is_asked_again_and_not_for_each_invented_key() {
    let (issuer, first) = (Web::open().await, Signer::new("1"));
    let (_stage, address) = stage(&issuer).await;
    // Before the issuer ever answered nobody can tell.
    let token = first.token(&claims(&json!({})));
    let (told, _) =
        tokio::join!(status(address, &token), issuer.answer(says(500, &["Connection: close"], "")));
    assert_eq!(told, 503);
    assert_eq!(status_asking(address, &token, &issuer, &key_set(&[&first])).await, 200);
    // Within a moment of the last question nobody is asked for a name that is not known.
    let invented = Signer::new("9");
    for _ in 0..3 {
        assert_eq!(status(address, &invented.token(&claims(&json!({})))).await, 401);
    }
    assert!(issuer.is_lonely());
}
