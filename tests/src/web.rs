//! HTTP as the other side speaks it in a case: one that posts and one that answers. Written without the product's own.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::peer::read_some;

/// A request that was sent, whose answer is still to be read.
pub struct Post(TcpStream);

impl Post {
    pub fn send(port: u16, body: &[u8]) -> io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let length = body.len();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), body].concat())?;
        Ok(Self(stream))
    }

    /// The status of the answer, and its body.
    pub fn answer(mut self, patience: Duration) -> io::Result<(String, String)> {
        self.0.set_read_timeout(Some(patience))?;
        let mut answer = Vec::new();
        self.0.read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        Ok((status.to_owned(), body.to_owned()))
    }
}

/// The body of the next request, or `None` once the peer has closed between two.
pub(crate) fn read_request(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut chunk = vec![0; 65536];
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            let whole = end + length.unwrap_or(0);
            if read.len() >= whole {
                let rest = read.split_off(whole);
                return Ok(Some(std::mem::replace(read, rest).split_off(end)));
            }
        }
        let length = read_some(stream, &mut chunk)?;
        if length == 0 {
            return if read.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        read.extend_from_slice(&chunk[..length]);
    }
}

/// An answer with this status, which asks for a pause of a second where there is one to ask for.
pub(crate) fn response(status: u16) -> String {
    let pause = if status == 503 { "Retry-After: 1\r\n" } else { "" };
    format!("HTTP/1.1 {status} Said\r\n{pause}Content-Length: 0\r\n\r\n")
}
