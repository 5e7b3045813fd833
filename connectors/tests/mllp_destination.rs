//! The destination of MLLP: what each behaviour of a peer means for the next send.

#![allow(clippy::unwrap_used)]

mod stage;

use std::net::SocketAddr;

use engine::{DeliveryId, Destination, Hindrance, Outbound, SendError};
use serde_json::{Value, json};
use stage::{Peer, acknowledge, destination, free_address, hears, message, outbound};
use tokio::net::TcpListener;

struct Lab {
    listener: TcpListener,
    sender: Box<dyn Destination>,
}

impl Lab {
    async fn new() -> Self {
        Self::with(json!({})).await
    }

    async fn with(mut settings: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        settings["connect"] = listener.local_addr().unwrap().to_string().into();
        Self { listener, sender: sender(settings).await }
    }

    async fn accept(&self) -> Peer {
        Peer::accept(&self.listener).await
    }

    async fn send(&self, control_id: &str) -> Result<engine::Response, SendError> {
        self.sender.send(&outbound(message(control_id))).await
    }

    /// Sends a message while the peer answers with these bytes.
    async fn exchange(
        &self,
        peer: &mut Peer,
        control_id: &str,
        answer: &[u8],
    ) -> Result<engine::Response, SendError> {
        let answering = async {
            let frame = peer.frame().await.unwrap();
            assert_eq!(frame, message(control_id).as_bytes());
            peer.say(answer).await;
        };
        tokio::join!(self.send(control_id), answering).0
    }
}

async fn sender(settings: Value) -> Box<dyn Destination> {
    destination("mllp", settings, std::path::Path::new(".")).await
}

fn is_unknown<T: std::fmt::Debug>(result: &Result<T, SendError>) -> bool {
    matches!(result, Err(SendError::Unknown { .. }))
}

fn is_not_delivered<T: std::fmt::Debug>(result: &Result<T, SendError>) -> bool {
    matches!(result, Err(SendError::NotDelivered { .. }))
}

#[tokio::test]
async fn an_acknowledged_message_is_sent_and_the_answer_kept() {
    let lab = Lab::new().await;
    for code in ["AA", "CA"] {
        let (sent, ()) = tokio::join!(lab.send("M-1"), async {
            let mut peer = lab.accept().await;
            let frame = peer.frame().await.unwrap();
            peer.say(acknowledge(&frame, code)).await;
        });
        let response = sent.unwrap();
        assert_eq!(response.body.as_deref(), Some(hears(code, "M-1").as_slice()));
        assert_eq!(response.facts["code"], code);
    }
}

#[tokio::test]
async fn a_connection_is_kept_and_used_again() {
    let lab = Lab::new().await;
    let (sent, mut peer) = tokio::join!(lab.send("M-1"), async {
        let mut peer = lab.accept().await;
        let frame = peer.frame().await.unwrap();
        peer.say(acknowledge(&frame, "AA")).await;
        peer
    });
    sent.unwrap();
    lab.exchange(&mut peer, "M-2", &hears("AA", "M-2")).await.unwrap();
}

#[tokio::test]
async fn a_kept_connection_that_the_peer_closed_is_opened_anew() {
    let lab = Lab::new().await;
    for control_id in ["M-1", "M-2"] {
        let (sent, ()) = tokio::join!(lab.send(control_id), async {
            let mut peer = lab.accept().await;
            let frame = peer.frame().await.unwrap();
            peer.say(acknowledge(&frame, "AA")).await;
        });
        sent.unwrap();
    }
}

#[tokio::test]
async fn a_negative_answer_refuses_the_message_with_its_code() {
    let lab = Lab::new().await;
    for code in ["AE", "AR", "CE", "CR"] {
        let (sent, ()) = tokio::join!(lab.send("M-1"), async {
            let mut peer = lab.accept().await;
            peer.frame().await.unwrap();
            peer.say(hears(code, "M-1")).await;
        });
        let Err(SendError::Refused { code: came, response, .. }) = sent else { panic!("{sent:?}") };
        assert_eq!((came.as_deref(), response.is_some()), (Some(code), true));
    }
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_host_deliver_nothing() {
    let closed = sender(json!({ "connect": free_address().to_string() })).await;
    assert!(is_not_delivered(&closed.send(&outbound(message("M-1"))).await));
    let unknown = sender(json!({ "connect": "no-such-host.invalid:2575" })).await;
    assert!(is_not_delivered(&unknown.send(&outbound(message("M-1"))).await));
}

#[tokio::test]
async fn silence_is_unknown_and_closes_the_connection() {
    let lab = Lab::with(json!({ "timeout": "200ms" })).await;
    let (sent, mut peer) = tokio::join!(lab.send("M-1"), async {
        let mut peer = lab.accept().await;
        peer.frame().await.unwrap();
        peer
    });
    assert!(is_unknown(&sent));
    assert!(peer.is_hung_up_on().await, "a late answer is never the next message's");
}

#[tokio::test]
async fn a_cut_before_the_answer_or_within_it_is_unknown() {
    let lab = Lab::new().await;
    for part in [b"".as_slice(), b"\x0bMSH|^~\\&|"] {
        let (sent, ()) = tokio::join!(lab.send("M-1"), async {
            let mut peer = lab.accept().await;
            peer.frame().await.unwrap();
            peer.write(part).await;
        });
        assert!(is_unknown(&sent));
    }
}

#[tokio::test]
async fn an_answer_for_another_message_is_unknown_and_closes_the_connection() {
    let lab = Lab::new().await;
    for answer in [hears("AA", "M-9"), hears("AA", ""), b"nonsense".to_vec()] {
        let (sent, mut peer) = tokio::join!(lab.send("M-1"), async {
            let mut peer = lab.accept().await;
            peer.frame().await.unwrap();
            peer.say(&answer).await;
            peer
        });
        assert!(is_unknown(&sent));
        assert!(peer.is_hung_up_on().await);
    }
}

#[tokio::test]
async fn an_answer_to_an_earlier_message_of_the_connection_is_that_ones_and_passed_over() {
    let lab = Lab::new().await;
    let (sent, mut peer) = tokio::join!(lab.send("M-1"), async {
        let mut peer = lab.accept().await;
        peer.frame().await.unwrap();
        peer.say(hears("CA", "M-1")).await;
        peer.say(hears("AE", "M-1")).await;
        peer
    });
    sent.unwrap();
    let second = Outbound { id: DeliveryId(71), ..outbound(message("M-2")) };
    let (sent, ()) = tokio::join!(lab.sender.send(&second), async {
        peer.frame().await.unwrap();
        peer.say(hears("AA", "M-1")).await;
        peer.say(hears("AE", "M-2")).await;
    });
    assert!(matches!(sent, Err(SendError::Refused { .. })));
    let overheard = lab.sender.overheard();
    let codes: Vec<_> =
        overheard.iter().map(|late| (late.delivery.0, late.response.facts["code"].clone())).collect();
    assert_eq!(codes, [(70, "AE".into()), (70, "AA".into())]);
    assert_eq!(overheard[0].response.body.as_deref(), Some(hears("AE", "M-1").as_slice()));
    assert!(lab.sender.overheard().is_empty(), "it is told once");
}

#[tokio::test]
async fn a_peer_with_msa_2_of_its_own_is_taken_at_its_word_where_the_channel_says_so() {
    let lab = Lab::with(json!({ "answer": "any" })).await;
    let (sent, mut peer) = tokio::join!(lab.send("M-1"), async {
        let mut peer = lab.accept().await;
        peer.frame().await.unwrap();
        peer.say(hears("AA", "")).await;
        peer
    });
    sent.unwrap();
    let refused = lab.exchange(&mut peer, "M-2", &hears("AE", "else")).await;
    assert!(matches!(refused, Err(SendError::Refused { .. })));
}

#[tokio::test]
async fn a_peer_that_never_answers_is_not_waited_for() {
    let lab = Lab::with(json!({ "answer": "none" })).await;
    let (sent, mut peer) = tokio::join!(lab.send("M-1"), lab.accept());
    assert_eq!(sent.unwrap().body, None);
    assert_eq!(peer.frame().await.unwrap(), message("M-1").as_bytes());
    peer.say(hears("AE", "M-1")).await;
    lab.send("M-2").await.unwrap();
    assert_eq!(peer.frame().await.unwrap(), message("M-2").as_bytes());
    assert_eq!(lab.sender.overheard().len(), 1, "what it says all the same is kept");
}

#[tokio::test]
async fn a_batch_is_sent_when_each_of_its_messages_is_acknowledged() {
    let lab = Lab::new().await;
    let batch = format!("BHS|^~\\&|LAB\r{}{}BTS|2\r", message("M-1"), message("M-2"));
    for (second, fits) in [("AA", true), ("AE", false)] {
        let answers = [hears("AA", "M-1"), hears(second, "M-2")].concat();
        let outbound = outbound(&batch);
        let (sent, ()) = tokio::join!(lab.sender.send(&outbound), async {
            let mut peer = lab.accept().await;
            peer.frame().await.unwrap();
            peer.say([b"BHS|^~\\&|REC\r".as_slice(), &answers, b"BTS|2\r"].concat()).await;
        });
        assert_eq!(sent.is_ok(), fits);
    }
}

#[tokio::test]
async fn a_message_that_would_break_its_frame_is_refused() {
    let lab = Lab::new().await;
    for body in ["", "MSH|\x1c\rPID|"] {
        let sent = lab.sender.send(&outbound(body)).await;
        assert!(matches!(sent, Err(SendError::Refused { code: None, .. })));
    }
}

#[tokio::test]
async fn a_peer_that_speaks_tls_got_nothing() {
    let lab = Lab::new().await;
    let (sent, ()) = tokio::join!(lab.send("M-1"), async {
        let mut peer = lab.accept().await;
        peer.frame().await.unwrap();
        peer.write([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a]).await;
    });
    let Err(SendError::NotDelivered { why, by, .. }) = sent else { panic!("{sent:?}") };
    assert!(why.contains("TLS"), "{why}");
    assert_eq!(by, Some(Hindrance::Tls));
}

#[tokio::test]
async fn in_server_mode_the_peer_connects_and_is_sent_to() {
    let address = free_address();
    let sender = sender(json!({ "listen": address.to_string(), "timeout": "5s" })).await;
    let mut peer = connect(address).await;
    for control_id in ["M-1", "M-2"] {
        let outbound = outbound(message(control_id));
        let (sent, ()) = tokio::join!(sender.send(&outbound), async {
            let frame = peer.frame().await.unwrap();
            peer.say(acknowledge(&frame, "AA")).await;
        });
        sent.unwrap();
    }
    let mut newer = connect(address).await;
    let outbound = outbound(message("M-3"));
    let (sent, ()) = tokio::join!(sender.send(&outbound), async {
        let frame = newer.frame().await.unwrap();
        newer.say(acknowledge(&frame, "AA")).await;
    });
    sent.unwrap();
}

#[tokio::test]
async fn in_server_mode_nothing_is_delivered_while_nobody_connects() {
    let sender = sender(json!({ "listen": free_address().to_string(), "timeout": "100ms" })).await;
    assert!(is_not_delivered(&sender.send(&outbound(message("M-1"))).await));
}

async fn connect(address: SocketAddr) -> Peer {
    Peer::connect(address).await
}
