//! HTTPS on both ends: whom a destination believes, who gets into a source, and the way through a proxy.

#![allow(clippy::unwrap_used)]

mod stage;

use std::net::SocketAddr;

use engine::{Feeds, ReplyWords, Response, SendError};
use serde_json::{Value, json};
use stage::{Files, Guest, Stage, destination, fact, free_address, message, opening, outbound, posts};
use tokio::io::AsyncWriteExt;

/// A channel that takes messages by HTTPS.
async fn serving(tls: Value) -> (Stage, SocketAddr) {
    let address = free_address();
    let settings = json!({ "listen": address.to_string(), "tls": tls });
    (Stage::start("http", settings, ReplyWords::default(), Feeds::default(), Some(address)).await, address)
}

fn settings(address: SocketAddr, tls: &Value) -> Value {
    json!({ "url": format!("https://127.0.0.1:{}/", address.port()), "tls": tls })
}

async fn sends(files: &Files, settings: Value) -> Result<Response, SendError> {
    let destination = destination("http", settings, files.root()).await;
    destination.send(&outbound(message("M-1"))).await
}

fn why(sent: Result<Response, SendError>) -> String {
    match sent {
        Err(SendError::NotDelivered { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

async fn reached(files: &Files, settings: Value) -> Result<(), String> {
    let kind = connectors::find("http").unwrap().destination.as_ref().unwrap();
    let settings = (kind.parse)(settings).map_err(|misfit| misfit.message)?;
    settings.reach(&opening(files.root())).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_show_their_certificates_and_the_message_says_whose() {
    let files = Files::new();
    let (stage, address) = serving(files.server_for("ca.pem")).await;
    let tls = json!({ "authorities": "ca.pem", "certificate": "client.pem", "key": "client.key" });
    assert_eq!(sends(&files, settings(address, &tls)).await.unwrap().facts["status"], 200);
    let stored = stage.ended(1).await.remove(0);
    assert_eq!(fact(&stored.message.facts, "tls_subject"), Some("CN=client"));
    assert_eq!(reached(&files, settings(address, &tls)).await, Ok(()));
    assert_eq!(stage.messages().len(), 1, "who only looks whether it is there sends nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_or_not_believed_delivered_nothing() {
    let files = Files::new();
    let (stage, address) = serving(files.server_for("ca.pem")).await;
    let without = settings(address, &json!({ "authorities": "ca.pem" }));
    let said = why(sends(&files, without.clone()).await);
    assert!(said.contains("the other side refused it"), "{said}");
    assert!(reached(&files, without).await.is_err());
    files.sign_itself("other");
    let said = why(sends(&files, settings(address, &json!({ "authorities": "other.pem" }))).await);
    assert!(said.contains("certificate is not accepted"), "{said}");
    let named = json!({ "authorities": "ca.pem", "server_name": "elsewhere.example.org" });
    assert!(why(sends(&files, settings(address, &named)).await).contains("not accepted"));
    let plain = json!({ "url": format!("http://{address}/") });
    assert!(why(sends(&files, plain).await).contains("`https://`"));
    assert!(stage.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_got_nothing_of_a_request_by_https() {
    let files = Files::new();
    let address = free_address();
    let stage = Stage::serving(address, json!({}), ReplyWords::default()).await;
    let said = why(sends(&files, settings(address, &json!({ "authorities": "ca.pem" }))).await);
    assert!(said.contains("TLS failed"), "{said}");
    assert!(stage.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_a_tunnel_and_sees_nothing_of_what_goes_through() {
    let files = Files::new();
    let (stage, address) = serving(files.server()).await;
    let proxy = stage::Web::open().await;
    let mut through = settings(address, &json!({ "authorities": "ca.pem" }));
    through["proxy"] = json!({ "connect": proxy.address.to_string(), "user": "u", "password": "p" });
    let tunnel = async {
        let mut guest = proxy.accept().await;
        let asked = guest.asked().await.unwrap();
        guest.write("HTTP/1.1 200 Connection established\r\n\r\n").await;
        let mut server = tokio::net::TcpStream::connect(address).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut guest.stream, &mut server).await;
        asked
    };
    let sending = async {
        let destination = destination("http", through.clone(), files.root()).await;
        destination.send(&outbound(message("M-1"))).await
    };
    let (sent, asked) = tokio::join!(sending, tunnel);
    assert_eq!(sent.unwrap().facts["status"], 200);
    assert_eq!(asked.line, format!("CONNECT {address} HTTP/1.1"));
    assert_eq!(asked.header("proxy-authorization"), Some("Basic dTpw"));
    assert_eq!(stage.messages().len(), 1);
    // A proxy that refuses the way has delivered nothing.
    let refusing = async {
        let mut guest = proxy.accept().await;
        guest.asked().await.unwrap();
        guest.write("HTTP/1.1 407 Who are you\r\n\r\n").await;
    };
    let (sent, ()) = tokio::join!(sends(&files, through.clone()), refusing);
    assert!(why(sent).contains("the proxy answered 407"));
    let hanging_up = async { drop(proxy.accept().await) };
    let (sent, ()) = tokio::join!(sends(&files, through), hanging_up);
    why(sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_without_tls_is_shown_the_door() {
    let files = Files::new();
    let (stage, address) = serving(files.server()).await;
    let mut guest = Guest::connect(address).await;
    guest.write(posts("/", &[], &message("M-1"))).await;
    let _ = guest.stream.shutdown().await;
    let mut said = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut guest.stream, &mut said).await;
    assert!(!said.starts_with(b"HTTP/"));
    assert!(stage.messages().is_empty());
}
