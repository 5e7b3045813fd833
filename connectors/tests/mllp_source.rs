//! The source of MLLP: what a sender hears, and what is kept of what it sent.

#![allow(clippy::unwrap_used)]

mod stage;

use std::{net::SocketAddr, time::Duration};

use engine::{Feeds, Outcome, ReplyMode, ReplyWords, Silence};
use serde_json::json;
use stage::{Peer, Stage, asking, fact, free_address, message, telling};
use tokio::{io::AsyncWriteExt, net::TcpListener};

async fn lab() -> (Stage, SocketAddr) {
    lab_with(json!({}), ReplyWords::default()).await
}

async fn lab_with(settings: serde_json::Value, words: ReplyWords) -> (Stage, SocketAddr) {
    let address = free_address();
    (Stage::listening(address, settings, words).await, address)
}

fn enhanced() -> ReplyWords {
    ReplyWords { mode: ReplyMode::Enhanced, ..ReplyWords::default() }
}

fn heard(code: &str, control_id: &str) -> (String, String) {
    (code.to_owned(), control_id.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_kept_with_its_facts_and_answered() {
    let (stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    peer.say(message("M-1")).await;
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-1"));
    let kept = stage.messages().remove(0);
    assert_eq!(kept.message.body.bytes().unwrap(), message("M-1").as_bytes());
    assert_eq!(fact(&kept.message.facts, "peer_ip"), Some("127.0.0.1"));
    assert_eq!(fact(&kept.message.facts, "local"), Some(address.to_string().as_str()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_before_the_steps_have_run() {
    let (stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    peer.say(telling("M-1", "wait")).await;
    let mut other = Peer::connect(address).await;
    other.say(message("M-2")).await;
    assert_eq!(other.acknowledgement().await, heard("AA", "M-2"));
    assert!(peer.hears_nothing());
    stage.gate.open();
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outcome_has_its_code() {
    let (_stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    for (words, code) in [("filter", "AA"), ("refuse", "AE"), ("break", "AE"), ("fine", "AA")] {
        peer.say(telling("M-1", words)).await;
        assert_eq!(peer.acknowledgement().await, heard(code, "M-1"), "{words}");
    }
    peer.say("hello").await;
    assert_eq!(peer.acknowledgement().await, heard("AR", ""));
    peer.say(format!("{0}{0}", message("M-2"))).await;
    assert_eq!(peer.acknowledgement().await, heard("AR", "M-2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_does_not_wait_is_answered_in_order() {
    let (_stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    let frames: Vec<u8> = (0..50)
        .flat_map(|n| [b"\x0b", message(&format!("M-{n}")).as_bytes(), b"\x1c\x0d"].concat())
        .collect();
    peer.write(frames).await;
    for n in 0..50 {
        assert_eq!(peer.acknowledgement().await, heard("AA", &format!("M-{n}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_in_single_bytes_is_one_message() {
    let (stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    for byte in [b"junk\x0b", message("M-1").as_bytes(), b"\x1c\x0d"].concat() {
        peer.write([byte]).await;
        peer.stream.flush().await.unwrap();
    }
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-1"));
    assert_eq!(stage.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_part_before_another_frame_is_kept_and_not_answered() {
    let (stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    peer.write([b"\x0bMSH|^~\\&|cut", b"\x0b".as_slice(), message("M-1").as_bytes(), b"\x1c\x0d"].concat())
        .await;
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-1"));
    let kept = stage.ended(2).await;
    assert_eq!(kept[0].outcome, Some(Outcome::Unreadable));
    assert_eq!(kept[0].message.body.bytes().unwrap().as_ref(), b"MSH|^~\\&|cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_part_that_its_sender_ended_badly_is_answered() {
    let (_stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    peer.write(format!("\x0b{}\x1c\n\x0b{}\x1c\x0d", message("M-1"), message("M-2"))).await;
    assert_eq!(peer.acknowledgement().await, heard("AR", "M-1"));
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_part_that_a_cut_connection_leaves_is_kept_as_evidence() {
    let (stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    peer.write(b"\x0bMSH|^~\\&|LAB").await;
    peer.stream.shutdown().await.unwrap();
    let kept = stage.ended(1).await;
    assert_eq!(kept[0].outcome, Some(Outcome::Unreadable));
    assert!(peer.is_hung_up_on().await, "nobody is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_too_long_is_refused_and_the_connection_closed() {
    let (stage, address) = lab_with(json!({ "max_size": "2KB" }), ReplyWords::default()).await;
    let mut peer = Peer::connect(address).await;
    peer.write([b"\x0b", telling("M-1", &"x".repeat(3000)).as_bytes()].concat()).await;
    assert_eq!(peer.acknowledgement().await, heard("AR", "M-1"));
    assert!(peer.is_hung_up_on().await);
    assert_eq!(stage.ended(1).await[0].message.body.len(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_by_one_batch() {
    let (stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    let batch = format!("BHS|^~\\&|LAB\r{}{}BTS|2\r", message("M-1"), telling("M-2", "refuse"));
    peer.say(batch).await;
    let answer = peer.frame().await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("BHS|"), "{answer}");
    assert!(answer.contains("\rMSA|AA|M-1") && answer.contains("\rMSA|AE|M-2"), "{answer}");
    assert_eq!(stage.messages().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn enhanced_mode_answers_twice_and_keeps_silent_where_it_is_asked_to() {
    let (stage, address) = lab_with(json!({}), enhanced()).await;
    let mut peer = Peer::connect(address).await;
    peer.say(asking("M-1", "AL", "AL")).await;
    assert_eq!(peer.acknowledgement().await, heard("CA", "M-1"));
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-1"));
    peer.say(asking("M-2", "NE", "NE")).await;
    peer.say(asking("M-3", "ER", "SU")).await;
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-3"));
    peer.say(asking("M-4", "SU", "ER")).await;
    assert_eq!(peer.acknowledgement().await, heard("CA", "M-4"));
    peer.say(message("M-5")).await;
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-5"));
    assert_eq!(stage.messages().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commit_answer_comes_before_the_steps_have_run() {
    let (stage, address) = lab_with(json!({}), enhanced()).await;
    let mut peer = Peer::connect(address).await;
    peer.say(format!("{}NTE|1||wait refuse\r", asking("M-1", "AL", "AL"))).await;
    assert_eq!(peer.acknowledgement().await, heard("CA", "M-1"));
    assert!(peer.hears_nothing());
    stage.gate.open();
    assert_eq!(peer.acknowledgement().await, heard("AE", "M-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_acknowledgement_of_our_answer_is_no_message() {
    let (stage, address) = lab_with(json!({}), enhanced()).await;
    let mut peer = Peer::connect(address).await;
    peer.say(asking("M-1", "NE", "AL")).await;
    let answer = peer.frame().await.unwrap();
    peer.say(stage::acknowledge(&answer, "CA")).await;
    peer.say(message("M-2")).await;
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-2"));
    assert_eq!(stage.messages().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_mode_answers_a_commit_where_nothing_else_is_asked_for() {
    let (_stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    peer.say(asking("M-1", "AL", "NE")).await;
    assert_eq!(peer.acknowledgement().await, heard("CA", "M-1"));
    peer.say(asking("M-2", "NE", "NE")).await;
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_channel_writes_nothing() {
    let silent = ReplyWords { silent: Silence::Never, ..ReplyWords::default() };
    let (stage, address) = lab_with(json!({}), silent).await;
    let mut peer = Peer::connect(address).await;
    peer.say(message("M-1")).await;
    stage.ended(1).await;
    peer.stream.shutdown().await.unwrap();
    assert!(peer.is_hung_up_on().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_speaks_tls_is_shown_the_door() {
    let (_stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    peer.write([0x16, 0x03, 0x01, 0x00, 0x2e, 0x01, 0x00, 0x00]).await;
    assert!(peer.is_hung_up_on().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_idle_connection_of_an_address_makes_room() {
    let (_stage, address) = lab_with(json!({ "connections_per_address": 2 }), ReplyWords::default()).await;
    let mut peers = Vec::new();
    for n in 0..2 {
        let mut peer = Peer::connect(address).await;
        peer.say(message(&format!("M-{n}"))).await;
        peer.acknowledgement().await;
        peers.push(peer);
    }
    let mut third = Peer::connect(address).await;
    third.say(message("M-3")).await;
    assert_eq!(third.acknowledgement().await, heard("AA", "M-3"));
    assert!(peers[0].is_hung_up_on().await);
    peers[1].say(message("M-4")).await;
    assert_eq!(peers[1].acknowledgement().await, heard("AA", "M-4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let (_stage, address) = lab_with(json!({ "idle": "50ms" }), ReplyWords::default()).await;
    assert!(Peer::connect(address).await.is_hung_up_on().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_open_connections_stops_within_a_second() {
    let (stage, address) = lab().await;
    let mut idle = Peer::connect(address).await;
    idle.say(message("M-1")).await;
    idle.acknowledgement().await;
    let mut within = Peer::connect(address).await;
    within.write(b"\x0bMSH|").await;
    stage.stop().await;
    assert!(idle.is_hung_up_on().await && within.is_hung_up_on().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_may_connect_to_its_sender_and_does_so_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = json!({ "connect": listener.local_addr().unwrap().to_string() });
    let stage = Stage::start("mllp", settings, ReplyWords::default(), Feeds::default(), None).await;
    for control_id in ["M-1", "M-2"] {
        let mut peer = Peer::accept(&listener).await;
        peer.say(message(control_id)).await;
        assert_eq!(peer.acknowledgement().await, heard("AA", control_id));
    }
    assert_eq!(stage.messages().len(), 2);
    tokio::time::timeout(Duration::from_secs(5), stage.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_no_frame_is_counted_though_no_frame_follows() {
    let (stage, address) = lab().await;
    let mut peer = Peer::connect(address).await;
    peer.write(b"garbage").await;
    peer.say(message("M-1")).await;
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-1"));
    peer.write(b"\r\n").await;
    peer.say(message("M-2")).await;
    assert_eq!(peer.acknowledgement().await, heard("AA", "M-2"));
    peer.write(b"MSH|^~").await;
    peer.stream.shutdown().await.unwrap();
    stage.skipped(13).await;
    stage.stop().await;
}
