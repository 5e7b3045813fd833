//! One connection of a peer that receives over MLLP.

use bytes::Bytes;
use connectors::mllp::frame::{Found, Marks, Reader};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{super::oru::Mark, Taking};

/// The longest message taken.
const LONGEST: usize = 64_000_000;

/// What came together is answered together.
pub(super) async fn attend(mut stream: TcpStream, mut taking: Taking) {
    let mut reader = Reader::new(Marks::default(), LONGEST);
    let mut answers = Vec::new();
    loop {
        match reader.find() {
            Some(Found::Frame(message)) => {
                let Some(mark) = Mark::read(&message) else { return };
                taking.take(mark).await;
                answer(&message, &mut answers);
                continue;
            }
            Some(Found::TooLong(_)) => return,
            Some(Found::Stray(_) | Found::Part { .. }) => continue,
            None => {}
        }
        if stream.write_all(&answers).await.is_err() {
            return;
        }
        answers.clear();
        match reader.read_from(&mut stream).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Adds an answer of a fixed form, without parsing: the peer must cost little.
pub(in super::super) fn answer(message: &Bytes, answers: &mut Vec<u8>) {
    let control_id = message.split(|byte| *byte == b'|').nth(9).unwrap_or_default();
    answers.extend_from_slice(b"\x0bMSH|^~\\&|PEER||||20260301080000||ACK|");
    answers.extend_from_slice(control_id);
    answers.extend_from_slice(b"|P|2.5\rMSA|AA|");
    answers.extend_from_slice(control_id);
    answers.extend_from_slice(b"\r\x1c\x0d");
}
