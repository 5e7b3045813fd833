//! The other side of a connection, byte for byte as the test wants it.

use std::net::SocketAddr;

use bytes::Bytes;
use connectors::mllp::frame::{Found, Marks, Reader};
use formats::hl7::{
    acknowledgement::{self, Acknowledgement},
    header::Header,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::PATIENCE;

/// A raw connection.
pub struct Peer {
    pub stream: TcpStream,
    reader: Reader,
}

impl Peer {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, reader: Reader::new(Marks::default(), 1_000_000) }
    }

    pub async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.unwrap())
    }

    pub async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("somebody connects").unwrap();
        Self::new(stream)
    }

    /// Writes bytes as they are.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Writes a message in its frame.
    pub async fn say(&mut self, message: impl AsRef<[u8]>) {
        self.write([b"\x0b", message.as_ref(), b"\x1c\x0d"].concat()).await;
    }

    /// The next frame; `None` when the other side hangs up.
    pub async fn frame(&mut self) -> Option<Bytes> {
        loop {
            match self.reader.find() {
                Some(Found::Frame(frame)) => return Some(frame),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            let read = timeout(PATIENCE, self.reader.read_from(&mut self.stream));
            match read.await.expect("something comes") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next frame as an acknowledgement: its code and MSA-2.
    pub async fn acknowledgement(&mut self) -> (String, String) {
        let frame = self.frame().await.expect("an answer comes");
        let Acknowledgement { code, control_id, .. } = acknowledgement::read(&frame).unwrap();
        (code.as_str().to_owned(), control_id)
    }

    /// Whether nothing came so far.
    pub fn hears_nothing(&self) -> bool {
        self.stream.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Reads until the other side hangs up.
    pub async fn is_hung_up_on(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        read.is_ok_and(|read| read.is_err() || rest.is_empty())
    }
}

/// The answer with this code to a message, as a peer gives it.
pub fn acknowledge(message: &[u8], code: &str) -> Vec<u8> {
    let control_id = Header::read(message).unwrap().text(10).into_owned();
    hears(code, &control_id)
}

/// An answer with this code and this MSA-2.
pub fn hears(code: &str, control_id: &str) -> Vec<u8> {
    format!("MSH|^~\\&|REC|HOP|LAB|HOP|20260101080000||ACK|A1|P|2.5\rMSA|{code}|{control_id}\r").into_bytes()
}
