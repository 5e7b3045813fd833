//! The words of SMTP: a line from us, a reply of one or more lines from the server.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// As long as one reply of a server may be.
const LONGEST: usize = 64 << 10;

/// What a server replied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// Its lines without the code. They may hold what we sent: for the record of the delivery, not for the log.
    pub(super) lines: Vec<String>,
}

impl Reply {
    pub(super) fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    pub(super) fn is_for_now(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// `550 5.1.1`: the code, and the finer one where there is one.
    pub(super) fn short(&self) -> String {
        let finer = self.lines.first().and_then(|line| line.split(' ').next()).filter(|word| {
            word.split('.').count() == 3
                && word.chars().all(|letter| letter == '.' || letter.is_ascii_digit())
        });
        finer.map_or_else(|| self.code.to_string(), |finer| format!("{} {finer}", self.code))
    }

    pub(super) fn text(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| format!("{} {line}", self.code)).collect();
        lines.join("\n")
    }

    /// The words behind one that the server offers: `AUTH` for `AUTH PLAIN LOGIN`.
    pub(super) fn offers(&self, name: &str) -> Option<Vec<String>> {
        self.lines.iter().skip(1).find_map(|line| {
            let mut words = line.split([' ', '=']).map(str::to_ascii_uppercase);
            (words.next()? == name).then(|| words.collect())
        })
    }
}

/// A connection on which lines go to and fro.
pub(super) struct Dialogue<S> {
    stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// The connection, for the greeting of TLS. What a server said beyond its reply would be taken for what it says
    /// under TLS, whoever said it.
    pub(super) fn into_stream(self) -> Result<S, String> {
        if self.read.is_empty() {
            Ok(self.stream)
        } else {
            Err("the server says more than it was asked".to_owned())
        }
    }

    pub(super) async fn say(&mut self, line: &str) -> Result<Reply, String> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| format!("the connection broke: {error}"))
    }

    pub(super) async fn reply(&mut self) -> Result<Reply, String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            let code =
                line.get(..3).and_then(|code| code.parse().ok()).filter(|code| (200..600).contains(code));
            let Some(code) = code else { return Err("the other side does not speak SMTP".to_owned()) };
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if is_last {
                return Ok(Reply { code, lines });
            }
        }
    }

    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.read.len() > LONGEST {
                return Err("the other side does not speak SMTP: its reply has no end".to_owned());
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) => return Err("the server hung up".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("the connection broke: {error}")),
            }
        }
    }
}

/// A letter as it goes after `DATA`, without the dot that ends it: a line that begins with a dot has another before it.
pub(super) fn stuffed(letter: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(letter.len() + 64);
    for line in letter.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    if !stuffed.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reply_has_one_line_or_several_and_comes_in_any_pieces() {
        let (ours, mut theirs) = tokio::io::duplex(3);
        let mut dialogue = Dialogue::new(ours);
        tokio::spawn(async move {
            theirs
                .write_all(
                    b"250-mail.example.org\r\n250-AUTH=PLAIN LOGIN\r\n250 SIZE 1000\r\n550 5.1.1 no\r\n",
                )
                .await
        });
        let reply = dialogue.reply().await.unwrap();
        assert_eq!(reply.offers("AUTH"), Some(vec!["PLAIN".to_owned(), "LOGIN".to_owned()]));
        assert_eq!(reply.offers("STARTTLS"), None);
        assert_eq!(dialogue.reply().await.unwrap().short(), "550 5.1.1");
        assert!(dialogue.reply().await.unwrap_err().contains("hung up"));
    }

    #[tokio::test]
    async fn what_is_no_smtp_is_said_so() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n").await.unwrap();
        assert!(Dialogue::new(ours).reply().await.unwrap_err().contains("does not speak SMTP"));
    }

    #[test]
    fn no_line_of_a_letter_ends_it() {
        assert_eq!(stuffed(b"a\r\n.\r\n..b"), b"a\r\n..\r\n...b\r\n");
    }
}
