//! One exchange over MLLP: a message goes out, its answer comes back.

use std::time::Duration;

use bytes::Bytes;
use connectors::mllp::frame::{Found, Marks, Reader};
use formats::hl7::acknowledgement;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use crate::cli::Complaint;

/// As long an answer as is read.
const LARGEST: usize = 64 << 20;

/// Where messages go.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    address: String,
    patience: Duration,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    reader: Reader,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    /// `AA`; `?` where the answer is none.
    pub(crate) code: String,
    /// MSA-2.
    pub(crate) control_id: String,
    /// MSA-3 and what ERR says.
    pub(crate) words: String,
}

impl Came {
    pub(crate) fn is_positive(&self) -> bool {
        self.code == "AA" || self.code == "CA"
    }

    /// A batch answers with several; the first that is not positive speaks for it.
    fn read(answer: &[u8]) -> Self {
        let each = match formats::hl7::batch::split(answer) {
            Ok(Some(batch)) => batch.messages.into_iter().map(|place| Self::single(&answer[place])).collect(),
            _ => vec![Self::single(answer)],
        };
        let worst = each.iter().find(|came| !came.is_positive()).or(each.first());
        worst.cloned().unwrap_or_else(|| Self::odd("the answer is an empty batch"))
    }

    fn single(answer: &[u8]) -> Self {
        match acknowledgement::read(answer) {
            Ok(read) => {
                let words = [read.text, read.error_text].into_iter().filter(|words| !words.is_empty());
                Self {
                    code: read.code.as_str().to_owned(),
                    control_id: read.control_id,
                    words: words.collect::<Vec<_>>().join("; "),
                }
            }
            Err(error) => Self::odd(&error.to_string()),
        }
    }

    fn odd(words: &str) -> Self {
        Self { code: "?".to_owned(), control_id: String::new(), words: words.to_owned() }
    }
}

impl Wire {
    pub(crate) fn new(address: &str, patience: Duration) -> Result<Self, Complaint> {
        let port = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        match port {
            Some((host, _)) if !host.is_empty() => Ok(Self { address: address.to_owned(), patience }),
            _ => Err(Complaint::misused(format!("`{address}` is no address; write HOST:PORT"))),
        }
    }

    /// Sends over the open connection or a new one. What goes wrong closes it: a late answer must not be the next one's.
    pub(crate) async fn exchange(
        &self,
        open: &mut Option<Connection>,
        message: &Bytes,
    ) -> Result<Came, String> {
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = timeout(self.patience, connection.exchange(message));
        let answer =
            answer.await.map_err(|_| format!("no answer within {} s", self.patience.as_secs()))??;
        *open = Some(connection);
        Ok(Came::read(&answer))
    }

    async fn connect(&self) -> Result<Connection, String> {
        let connecting = timeout(self.patience, TcpStream::connect(&self.address)).await;
        let stream = connecting.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let stream = stream.map_err(|error| format!("cannot connect to {}: {error}", self.address))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Connection { stream, reader: Reader::new(Marks::default(), LARGEST) })
    }
}

impl Connection {
    async fn exchange(&mut self, message: &Bytes) -> Result<Bytes, String> {
        let mut frame = Marks::default().wrap(message.clone());
        self.stream.write_all_buf(&mut frame).await.map_err(|error| format!("cannot send: {error}"))?;
        loop {
            match self.reader.find() {
                Some(Found::Frame(answer)) => return Ok(answer),
                Some(Found::Stray(_)) => {}
                Some(_) => return Err("only a part of an answer came".to_owned()),
                None => match self.reader.read_from(&mut self.stream).await {
                    Ok(0) => return Err("the peer closed the connection before it answered".to_owned()),
                    Ok(_) => {}
                    Err(error) => return Err(format!("cannot read the answer: {error}")),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_batch_the_first_answer_that_is_not_positive_speaks() {
        let ack = |code: &str, id: &str| format!("MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|{code}|{id}|words\r");
        let batch = format!("BHS|^~\\&\r{}{}BTS|2\r", ack("AA", "1"), ack("AE", "2"));
        let came = Came::read(batch.as_bytes());
        assert_eq!((came.code.as_str(), came.control_id.as_str()), ("AE", "2"));
        assert_eq!(Came::read(ack("AA", "7").as_bytes()).control_id, "7");
        assert_eq!(Came::read(b"hello").code, "?");
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for wrong in ["host", "host:", ":1", "host:99999"] {
            assert!(Wire::new(wrong, Duration::ZERO).is_err(), "{wrong}");
        }
        assert!(Wire::new("[::1]:2575", Duration::ZERO).is_ok());
    }
}
