//! TLS on both ends of MLLP: who gets in, what is said of who does not, and certificates that change.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use connectors::{
    mllp::peer::{Client, Listener, Manner, Received, Secure},
    setting::Address,
    tls::Tls,
};
use engine::{Checks, Destination, Diagnostic, Hindrance, ReplyWords, SendError, Severity, Stop};
use serde_json::{Value, json};
use stage::{
    Files, PATIENCE, Peer, Stage, authority, client, destination, fact, free_address, message, outbound,
};
use tokio::{sync::mpsc, time::timeout};

fn address(port: u16) -> Address {
    Address { host: "localhost".to_owned(), port }
}

/// Sends a message and reads its answer.
async fn exchange(port: u16, tls: &Tls, root: &Path) -> Result<Bytes, String> {
    let secure = Secure::new(tls, root)?;
    let exchange = async {
        let mut client = Client::connect(&address(port), Some(&secure)).await?;
        client.send(message("M-1").into()).await.map_err(|error| error.to_string())?;
        client.answer().await
    };
    timeout(PATIENCE, exchange).await.expect("it ends")
}

async fn lab(tls: Value) -> (Stage, u16) {
    let address = free_address();
    (Stage::listening(address, json!({ "tls": tls }), ReplyWords::default()).await, address.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_with_a_certificate_of_the_authority_gets_in() {
    let files = Files::new();
    let (stage, port) = lab(files.server_for("ca.pem")).await;
    let answer = exchange(port, &client("client"), files.root()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("\rMSA|AA|M-1"));
    let kept = stage.messages().remove(0);
    assert_eq!(fact(&kept.message.facts, "tls_subject"), Some("CN=client"));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_without_one_stays_out() {
    let files = Files::new();
    let (stage, port) = lab(files.server_for("ca.pem")).await;
    let anonymous = Tls { certificate: None, key: None, ..client("client") };
    exchange(port, &anonymous, files.root()).await.unwrap_err();
    files.sign_itself("stranger");
    exchange(port, &client("stranger"), files.root()).await.unwrap_err();
    assert!(stage.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_stands_in_the_file_itself_is_trusted() {
    let files = Files::new();
    files.sign_itself("server");
    files.sign_itself("device");
    let (_stage, port) = lab(files.server_for("device.pem")).await;
    let tls = Tls { authorities: Some("server.pem".into()), ..client("device") };
    exchange(port, &tls, files.root()).await.unwrap();
    let other = exchange(port, &client("device"), files.root()).await.unwrap_err();
    assert!(other.contains("certificate is not accepted"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_without_tls_is_shown_the_door() {
    let files = Files::new();
    let (stage, port) = lab(files.server()).await;
    let mut peer = Peer::connect(([127, 0, 0, 1], port).into()).await;
    peer.say(message("M-1")).await;
    peer.stream.readable().await.unwrap();
    assert!(peer.frame().await.is_none());
    assert!(stage.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_changes_is_taken_up() {
    let files = Files::new();
    let (_stage, port) = lab(files.server()).await;
    exchange(port, &client("client"), files.root()).await.unwrap();
    files.sign_itself("server");
    let pinned = Tls { authorities: Some("server.pem".into()), ..Tls::default() };
    exchange(port, &pinned, files.root()).await.unwrap();
    // One that cannot be used leaves the last good one in force.
    fs::copy(files.path("server.pem"), files.path("good.pem")).unwrap();
    fs::write(files.path("server.pem"), "no certificate").unwrap();
    let pinned = Tls { authorities: Some("good.pem".into()), ..Tls::default() };
    exchange(port, &pinned, files.root()).await.unwrap();
}

/// A peer that listens, with TLS or without.
async fn listener(tls: Option<(&Tls, &Path)>) -> (u16, mpsc::Receiver<Bytes>, Stop) {
    let manner: Manner = "AA".parse().unwrap();
    let listener = Listener::bind("127.0.0.1:0", manner, tls).await.unwrap();
    let port = listener.address().unwrap().port();
    let (sender, mut came) = mpsc::channel(8);
    let stop = Stop::default();
    tokio::spawn(listener.run(sender, stop.clone()));
    let (tell, messages) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(came) = came.recv().await {
            if let Received::Message { message, safe, .. } = came {
                tell.send(message).await.unwrap();
                safe.send(()).unwrap();
            }
        }
    });
    (port, messages, stop)
}

async fn sender(files: &Files, port: u16, tls: Value) -> Box<dyn Destination> {
    let settings = json!({ "connect": format!("localhost:{port}"), "tls": tls, "timeout": "5s" });
    destination("mllp", settings, files.root()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_shows_its_certificate_and_looks_at_the_peers() {
    let files = Files::new();
    let server = Tls {
        certificate: Some("server.pem".into()),
        key: Some("server.key".into()),
        clients: Some("ca.pem".into()),
        ..Tls::default()
    };
    let (port, mut received, _stop) = listener(Some((&server, files.root()))).await;
    let trusting = json!({ "certificate": "client.pem", "key": "client.key", "authorities": "ca.pem" });
    let trusted = sender(&files, port, trusting).await;
    trusted.send(&outbound(message("M-1"))).await.unwrap();
    assert_eq!(received.recv().await.unwrap(), message("M-1").as_bytes());

    fs::write(files.path("other.pem"), authority("Other CA").pem()).unwrap();
    let doubting = sender(&files, port, json!({ "authorities": "other.pem" })).await;
    let Err(SendError::NotDelivered { why, by, .. }) = doubting.send(&outbound(message("M-2"))).await else {
        panic!("it trusts a stranger");
    };
    assert!(why.contains("certificate is not accepted"), "{why}");
    assert_eq!(by, Some(Hindrance::Tls));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_speak_tls_is_told_in_words() {
    let files = Files::new();
    let (port, _received, stop) = listener(None).await;
    let settings = json!({ "connect": format!("localhost:{port}"), "tls": { "authorities": "ca.pem" }, "timeout": "500ms" });
    let silent = destination("mllp", settings, files.root()).await;
    let Err(SendError::NotDelivered { .. }) = silent.send(&outbound(message("M-1"))).await else {
        panic!("nothing can be delivered");
    };
    stop.request();

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain =
        sender(&files, listener.local_addr().unwrap().port(), json!({ "authorities": "ca.pem" })).await;
    let outbound = outbound(message("M-1"));
    let (sent, ()) = tokio::join!(plain.send(&outbound), async {
        let mut peer = Peer::accept(&listener).await;
        peer.say("MSH|").await;
    });
    let Err(SendError::NotDelivered { why, .. }) = sent else { panic!("{sent:?}") };
    assert!(why.contains("does not speak TLS"), "{why}");
}

/// What `check --connect` hears of a peer, asked by a destination and by a source.
async fn reached(files: &Files, port: u16, tls: Value) -> Result<(), String> {
    let settings = json!({ "connect": format!("localhost:{port}"), "tls": tls });
    let mllp = connectors::find("mllp").unwrap();
    let to = (mllp.destination.as_ref().unwrap().parse)(settings.clone()).map_err(|misfit| misfit.message)?;
    let from = (mllp.source.as_ref().unwrap().parse)(settings).map_err(|misfit| misfit.message)?;
    let opening = stage::opening(files.root());
    let sides = timeout(PATIENCE, async { (to.reach(&opening).await, from.reach(&opening).await) });
    let (to, from) = sides.await.expect("it ends");
    let [to, from] = [to, from].map(|reached| reached.map_err(|error| error.to_string()));
    assert_eq!(to.is_ok(), from.is_ok(), "{to:?} {from:?}");
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_lets_us_in_is_reached_and_gets_nothing() {
    let files = Files::new();
    let (stage, port) = lab(files.server_for("ca.pem")).await;
    let ours = json!({ "certificate": "client.pem", "key": "client.key", "authorities": "ca.pem" });
    reached(&files, port, ours).await.unwrap();
    stage.stop().await;
    assert!(stage.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_let_us_in_is_not_reached() {
    let files = Files::new();
    let (_stage, port) = lab(files.server_for("ca.pem")).await;
    let anonymous = reached(&files, port, json!({ "authorities": "ca.pem" })).await.unwrap_err();
    assert!(anonymous.contains("cannot connect to localhost:"), "{anonymous}");
    files.sign_itself("stranger");
    let stranger = json!({ "certificate": "stranger.pem", "key": "stranger.key", "authorities": "ca.pem" });
    reached(&files, port, stranger).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_not_whom_we_trust_or_speaks_no_tls_is_not_reached() {
    let files = Files::new();
    let (_stage, port) = lab(files.server()).await;
    fs::write(files.path("other.pem"), authority("Other CA").pem()).unwrap();
    let doubted = reached(&files, port, json!({ "authorities": "other.pem" })).await.unwrap_err();
    assert!(doubted.contains("certificate is not accepted"), "{doubted}");
    let named = json!({ "authorities": "ca.pem", "server_name": "lab.example.org" });
    assert!(reached(&files, port, named).await.unwrap_err().contains("certificate"));
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = plain.local_addr().unwrap().port();
    let hanging_up = async {
        loop {
            drop(plain.accept().await.unwrap());
        }
    };
    let asked = reached(&files, port, json!({ "authorities": "ca.pem" }));
    tokio::select! {
        reached = asked => assert!(reached.is_err()),
        () = hanging_up => {}
    }
}

/// The codes of what `examine` finds, with what they are about.
fn found(files: &Files, settings: Value) -> Vec<(&'static str, String, Severity)> {
    let kind = connectors::find("mllp").unwrap().source.as_ref().unwrap();
    let mut found: Vec<Diagnostic> = Vec::new();
    (kind.examine)(settings, files.root(), &mut Checks::new(engine::Path::default(), &mut found));
    found.into_iter().map(|one| (one.code, one.at.to_string(), one.severity)).collect()
}

fn listening(certificate: &str, key: &str) -> Value {
    json!({ "listen": "127.0.0.1:2575", "tls": { "certificate": certificate, "key": key } })
}

#[test]
fn what_is_wrong_with_certificates_is_found_beforehand() {
    let files = Files::new();
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    files.issue("ended", |params| params.not_after = (SystemTime::now() - days(1)).into());
    files.issue("ending", |params| params.not_after = (SystemTime::now() + days(10)).into());
    let certificate = "tls.certificate".to_owned();
    assert_eq!(found(&files, listening("server.pem", "server.key")), []);
    assert_eq!(
        found(&files, listening("ended.pem", "ended.key")),
        [("certificate-expired", certificate.clone(), Severity::Error)]
    );
    assert_eq!(
        found(&files, listening("ending.pem", "ending.key")),
        [("certificate-expires", certificate.clone(), Severity::Warning)]
    );
    assert_eq!(
        found(&files, listening("client.pem", "client.key")),
        [("certificate-usage", certificate.clone(), Severity::Error)]
    );
    assert_eq!(
        found(&files, listening("server.pem", "client.key")),
        [("certificate-key", "tls.key".to_owned(), Severity::Error)]
    );
    assert_eq!(
        found(&files, listening("missing.pem", "server.key")),
        [("file-unreadable", certificate, Severity::Error)]
    );
}
