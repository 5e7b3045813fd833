//! A server of HTTP, byte for byte as the test wants it.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::PATIENCE;

/// Somebody who listens and answers by hand.
pub struct Web {
    pub listener: TcpListener,
    pub address: SocketAddr,
}

/// One connection to it.
pub struct Guest {
    pub stream: TcpStream,
    read: Vec<u8>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Web {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub fn url(&self, path: &str) -> Value {
        format!("http://{}{path}", self.address).into()
    }

    pub async fn accept(&self) -> Guest {
        let (stream, _) =
            timeout(PATIENCE, self.listener.accept()).await.expect("somebody connects").unwrap();
        Guest { stream, read: Vec::new() }
    }

    /// Takes one request on a new connection, and answers it so.
    pub async fn answer(&self, answer: impl AsRef<[u8]>) -> (Asked, Guest) {
        let mut guest = self.accept().await;
        let asked = guest.asked().await.expect("a request comes");
        guest.write(answer).await;
        (asked, guest)
    }

    /// Whether nobody waits to be let in.
    pub fn is_lonely(&self) -> bool {
        use futures_util::FutureExt;
        self.listener.accept().now_or_never().is_none()
    }
}

impl Guest {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next request, or answer: its first line, its headers, its body by its length. `None` when the other side hangs up.
    pub async fn asked(&mut self) -> Option<Asked> {
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break self.read.drain(..end + 4).collect::<Vec<u8>>();
            }
            self.more().await?;
        };
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        while self.read.len() < length {
            self.more().await?;
        }
        Some(Asked { line, headers, body: self.read.drain(..length).collect() })
    }

    async fn more(&mut self) -> Option<()> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await.expect("something comes");
        read.ok().filter(|count| *count > 0).map(drop)
    }

    /// Closes the connection so that the other side reads a reset.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(named, _)| named == name).map(|(_, value)| value.as_str())
    }

    /// The number in the first line of an answer.
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// An answer with this status, these header lines, and this body.
pub fn says(status: u16, headers: &[&str], body: &str) -> String {
    let lines = [headers.join("\r\n"), "\r\n".to_owned()].concat().trim_start().to_owned();
    format!("HTTP/1.1 {status} Said\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A request by POST with these header lines and this body.
pub fn posts(path: &str, headers: &[&str], body: &str) -> String {
    let lines = [headers.join("\r\n"), "\r\n".to_owned()].concat().trim_start().to_owned();
    format!("POST {path} HTTP/1.1\r\nHost: relais\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}
