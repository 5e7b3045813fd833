//! What an HTTP source takes, what it tells its senders, and what it does with everything that is no request.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{net::SocketAddr, time::Duration};

use engine::{AnswerState, Outcome, Promise, ReplyWords, memory::StoredMessage};
use serde_json::{Value, json};
use stage::{Asked, Guest, PATIENCE, Stage, fact, free_address, message, posts, telling};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

async fn open(settings: Value) -> (Stage, SocketAddr) {
    let address = free_address();
    (Stage::serving(address, settings, ReplyWords::default()).await, address)
}

/// Writes this on a new connection and reads one answer.
async fn asks(address: SocketAddr, request: impl AsRef<[u8]>) -> Asked {
    let mut guest = Guest::connect(address).await;
    guest.write(request).await;
    guest.asked().await.expect("an answer comes")
}

fn json_of(answer: &Asked) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Waits until the store knows that each sender had its answer, or had none.
async fn answers(stage: &Stage, count: usize, wanted: AnswerState) {
    let stands = |stored: &StoredMessage| stored.answer == wanted;
    let watch = async {
        while stage.messages().iter().filter(|stored| stands(stored)).count() < count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, watch).await.expect("the answers are told so");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_message_with_what_is_known_of_it() {
    let (stage, address) = open(json!({ "path": "/orders" })).await;
    let headers = ["X-Id: 7", "Cookie: secret", "Content-Type: application/hl7-v2"];
    let answer = asks(address, posts("/orders/new?ward=%C3%89&a=1&a=2", &headers, &message("M-1"))).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(json_of(&answer), json!({ "outcome": "accepted" }));
    let stored = stage.ended(1).await.remove(0);
    assert_eq!(stored.message.body.bytes().unwrap(), message("M-1").as_bytes());
    let facts = &stored.message.facts;
    assert_eq!(fact(facts, "connector"), Some("http"));
    assert_eq!(fact(facts, "method"), Some("POST"));
    assert_eq!(fact(facts, "path"), Some("/orders/new"));
    assert_eq!(fact(facts, "peer_ip"), Some("127.0.0.1"));
    assert_eq!(facts["query"], json!({ "ward": "É", "a": ["1", "2"] }));
    assert_eq!(facts["headers"]["x-id"], "7");
    assert!(facts["headers"].get("cookie").is_none());
    answers(&stage, 1, AnswerState::Told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outcome_is_told_by_its_status() {
    let (_stage, address) = open(json!({})).await;
    for (words, status) in [("", 200), ("filter", 200), ("refuse", 422), ("break", 500)] {
        let answer = asks(address, posts("/", &[], &telling("M-1", words))).await;
        assert_eq!(answer.status(), status, "{words}");
    }
    let answer = asks(address, posts("/", &[], &telling("M-1", "refuse"))).await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let expected = json!({ "title": "refused", "status": 422, "detail": "no patient", "at": "PID-3" });
    assert_eq!(json_of(&answer), expected);
    assert_eq!(asks(address, posts("/", &[], "no message")).await.status(), 400);
    assert_eq!(asks(address, posts("/", &[], "")).await.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_stored_is_told_by_202() {
    let address = free_address();
    let words = ReplyWords { promise: Promise::Stored, ..ReplyWords::default() };
    let _stage = Stage::serving(address, json!({}), words).await;
    assert_eq!(asks(address, posts("/", &[], &message("M-1"))).await.status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_body_is_told_too() {
    let address = free_address();
    let words = ReplyWords { codes: vec![(Outcome::Accepted, "204".to_owned())], ..ReplyWords::default() };
    let stage = Stage::serving(address, json!({}), words).await;
    let answer = asks(address, posts("/", &[], &message("M-1"))).await;
    assert_eq!((answer.status(), answer.body.len()), (204, 0));
    answers(&stage, 1, AnswerState::Told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_before_the_answer_was_not_told() {
    let (stage, address) = open(json!({})).await;
    let mut guest = Guest::connect(address).await;
    guest.write(posts("/", &[], &telling("M-1", "wait"))).await;
    while stage.messages().is_empty() {
        tokio::task::yield_now().await;
    }
    guest.reset();
    // The reset has to arrive before the answer does.
    let mut other = Guest::connect(address).await;
    other.write(posts("/", &[], &message("M-2"))).await;
    other.asked().await.unwrap();
    stage.gate.open();
    stage.ended(2).await;
    answers(&stage, 1, AnswerState::Untold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_one_connection_are_answered_in_order() {
    let (_stage, address) = open(json!({})).await;
    let mut guest = Guest::connect(address).await;
    let outcomes = ["", "refuse", "break", ""];
    let all: String = outcomes.iter().map(|words| posts("/", &[], &telling("M-1", words))).collect();
    guest.write(all).await;
    for status in [200, 422, 500, 200] {
        assert_eq!(guest.asked().await.unwrap().status(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_that_nothing_more_comes_still_hears_its_answer() {
    let (stage, address) = open(json!({})).await;
    let mut guest = Guest::connect(address).await;
    guest.write(posts("/", &[], &telling("M-1", "wait"))).await;
    guest.stream.shutdown().await.unwrap();
    stage.gate.open();
    assert_eq!(guest.asked().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_of_this_channel_is_not_taken() {
    let settings = json!({ "path": "/orders", "methods": ["POST"], "max_size": "1000", "auth": {
        "api_key": { "keys": { "lab": "k" } },
    } });
    let (stage, address) = open(settings).await;
    let key = "X-Api-Key: k";
    assert_eq!(asks(address, posts("/other", &[key], "x")).await.status(), 404);
    let answer = asks(address, posts("/orders", &[], "x")).await;
    assert_eq!((answer.status(), answer.header("www-authenticate")), (401, Some("ApiKey")));
    let answer = asks(address, posts("/orders", &[key], "x").replacen("POST", "PUT", 1)).await;
    assert_eq!((answer.status(), answer.header("allow")), (405, Some("POST")));
    assert_eq!(asks(address, posts("/orders", &[key], &"x".repeat(100_000))).await.status(), 413);
    let chunked = format!("POST /orders HTTP/1.1\r\nHost: h\r\n{key}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunks = format!("200\r\n{}\r\n", "x".repeat(0x200)).repeat(3);
    assert_eq!(asks(address, format!("{chunked}{chunks}0\r\n\r\n")).await.status(), 413);
    assert_eq!(asks(address, posts("/orders", &[key, "Content-Encoding: br"], "x")).await.status(), 415);
    assert_eq!(asks(address, posts("/orders", &[key, "Content-Encoding: gzip"], "x")).await.status(), 400);
    assert!(stage.messages().is_empty());
    let answer = asks(address, posts("/orders", &[key], &message("M-1"))).await;
    assert_eq!(answer.status(), 200);
    let stored = stage.ended(1).await.remove(0);
    assert_eq!(fact(&stored.message.facts, "caller"), Some("lab"));
    assert!(stored.message.facts["headers"].get("x-api-key").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_signed_is_not_taken() {
    let (stage, address) =
        open(json!({ "auth": { "hmac": { "secret": "Jefe", "prefix": "sha256=" } } })).await;
    let signature = "X-Signature: sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let signed = asks(address, posts("/", &[signature], "what do ya want for nothing?")).await;
    assert_eq!(signed.status(), 400, "it is let in, and is no HL7");
    let forged = asks(address, posts("/", &[signature], "what do ya want for something?")).await;
    assert_eq!(forged.status(), 401);
    assert_eq!(asks(address, posts("/", &[], "what do ya want for nothing?")).await.status(), 401);
    assert_eq!(stage.ended(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_body_is_taken_unpacked_and_no_longer_than_allowed() {
    use std::io::Write;
    let packed = |body: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(body).unwrap();
        packed.finish().unwrap()
    };
    let request = |body: &[u8]| {
        let length = body.len();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let (stage, address) = open(json!({ "max_size": "100KB" })).await;
    assert_eq!(asks(address, request(&packed(message("M-1").as_bytes()))).await.status(), 200);
    assert_eq!(stage.ended(1).await[0].message.body.bytes().unwrap(), message("M-1").as_bytes());
    assert_eq!(asks(address, request(&packed(&vec![b'x'; 10_000_000]))).await.status(), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_no_message() {
    let (stage, address) = open(json!({})).await;
    let wrong: &[&[u8]] = &[
        b"\x0bMSH|^~\\&|A\r\x1c\r",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ];
    for bytes in wrong {
        let mut guest = Guest::connect(address).await;
        guest.write(bytes).await;
        guest.stream.shutdown().await.unwrap();
        let mut said = Vec::new();
        let _ = timeout(PATIENCE, guest.stream.read_to_end(&mut said)).await.expect("it hangs up");
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 4"), "{}", said.escape_ascii());
    }
    // A body that breaks off is none.
    let mut guest = Guest::connect(address).await;
    guest.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nMSH|^~\\&|").await;
    drop(guest);
    let long = format!("POST / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    let mut guest = Guest::connect(address).await;
    let _ = guest.stream.write_all(long.as_bytes()).await;
    assert!(guest.asked().await.is_none_or(|answer| answer.status() == 431));
    assert_eq!(asks(address, posts("/", &[], &message("M-1"))).await.status(), 200);
    assert_eq!(stage.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_dawdles_is_not_waited_for_without_end() {
    let (stage, address) = open(json!({ "idle": "200ms", "body_within": "200ms" })).await;
    let mut guest = Guest::connect(address).await;
    guest.write("POST / HTTP/1.1\r\nHost: h\r\nX-Slow: ").await;
    assert!(
        guest.asked().await.is_none_or(|answer| answer.status() == 408),
        "the head does not come to its end"
    );
    let mut guest = Guest::connect(address).await;
    guest.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nMSH").await;
    assert_eq!(guest.asked().await.unwrap().status(), 408);
    assert!(guest.asked().await.is_none(), "it hangs up");
    assert!(stage.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_for_where_its_sender_waits_for_that() {
    let (_stage, address) = open(json!({ "max_size": "1000" })).await;
    let body = message("M-1");
    let length = body.len();
    let mut guest = Guest::connect(address).await;
    guest
        .write(format!(
            "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
    assert_eq!(guest.asked().await.unwrap().status(), 100);
    guest.write(body).await;
    assert_eq!(guest.asked().await.unwrap().status(), 200);
    // One that is too long is not asked for.
    let mut guest = Guest::connect(address).await;
    guest.write("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9000\r\n\r\n").await;
    assert_eq!(guest.asked().await.unwrap().status(), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_stops_at_once_whatever_its_senders_have_begun() {
    let (stage, address) = open(json!({})).await;
    let mut idle = Guest::connect(address).await;
    idle.write(posts("/", &[], &message("M-1"))).await;
    idle.asked().await.unwrap();
    let _silent = Guest::connect(address).await;
    let mut in_its_head = Guest::connect(address).await;
    in_its_head.write("POST / HT").await;
    let mut in_its_body = Guest::connect(address).await;
    in_its_body.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nMSH").await;
    stage.stop().await;
    assert!(idle.asked().await.is_none());
    assert!(in_its_body.asked().await.is_none_or(|answer| answer.status() == 503));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_under_way_is_given_before_the_source_stops() {
    let (stage, address) = open(json!({})).await;
    let mut guest = Guest::connect(address).await;
    guest.write(posts("/", &[], &telling("M-1", "wait"))).await;
    while stage.messages().is_empty() {
        tokio::task::yield_now().await;
    }
    let stopping = stage.channel.stop(Duration::from_secs(10));
    let ((), answer) = tokio::join!(stopping, async {
        stage.gate.open();
        guest.asked().await
    });
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_that_was_idle_longest_makes_room_for_a_new_one() {
    let (_stage, address) = open(json!({ "connections_per_address": 1 })).await;
    let mut first = Guest::connect(address).await;
    first.write(posts("/", &[], &message("M-1"))).await;
    first.asked().await.unwrap();
    assert_eq!(asks(address, posts("/", &[], &message("M-2"))).await.status(), 200);
    assert!(first.asked().await.is_none(), "it was closed");
}
