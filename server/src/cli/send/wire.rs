//! One exchange over MLLP: a message goes out, its answer comes back.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use connectors::{
    mllp::peer::{Client, Secure},
    setting::Address,
    tls::Tls,
};
use formats::hl7::acknowledgement;
use tokio::time::timeout;

use crate::{cli::Complaint, terminal::lasting};

/// Where messages go, and how.
#[derive(Clone)]
pub(crate) struct Wire {
    address: Address,
    patience: Duration,
    secure: Option<Arc<Secure>>,
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
    /// Of a batch, every answer.
    pub(crate) each: Vec<Came>,
}

impl Came {
    pub(crate) fn is_positive(&self) -> bool {
        self.code == "AA" || self.code == "CA"
    }

    /// A batch answers with several; the first that is not positive speaks for it, and all are kept.
    fn read(answer: &[u8]) -> Self {
        let (is_batch, each) = match formats::hl7::batch::split(answer) {
            Ok(Some(batch)) => {
                (true, batch.messages.into_iter().map(|place| Self::single(&answer[place])).collect())
            }
            _ => (false, vec![Self::single(answer)]),
        };
        let worst = each.iter().find(|came| !came.is_positive()).or(each.first());
        let worst = worst.cloned().unwrap_or_else(|| Self::odd("the answer is an empty batch"));
        Self { each: if is_batch { each } else { Vec::new() }, ..worst }
    }

    fn single(answer: &[u8]) -> Self {
        match acknowledgement::read(answer) {
            Ok(read) => Self {
                code: read.code.as_str().to_owned(),
                words: once(&read.text, &read.error_text),
                control_id: read.control_id,
                each: Vec::new(),
            },
            Err(error) => Self::odd(&error.to_string()),
        }
    }

    fn odd(words: &str) -> Self {
        Self { code: "?".to_owned(), control_id: String::new(), words: words.to_owned(), each: Vec::new() }
    }
}

/// What MSA-3 and ERR say; ERR often says the same with its place before it.
fn once(text: &str, error: &str) -> String {
    match error.strip_suffix(text).map(|place| place.trim_end_matches([' ', ':'])) {
        _ if text.is_empty() => error.to_owned(),
        _ if error.is_empty() => text.to_owned(),
        Some(place) if text.contains(place) => text.to_owned(),
        Some(_) => error.to_owned(),
        None => format!("{text}; {error}"),
    }
}

impl Wire {
    pub(crate) fn new(address: &str, patience: Duration, tls: Option<&Tls>) -> Result<Self, Complaint> {
        let address = address.parse().map_err(Complaint::misused)?;
        let secure =
            tls.map(|tls| Secure::new(tls, Path::new("."))).transpose().map_err(Complaint::misused)?;
        Ok(Self { address, patience, secure: secure.map(Arc::new) })
    }

    /// Sends over the open connection or a new one. What goes wrong closes it: a late answer must not be the next one's.
    pub(crate) async fn exchange(&self, open: &mut Option<Client>, message: &Bytes) -> Result<Came, String> {
        let mut client = match open.take() {
            Some(client) => client,
            None => self.connect().await?,
        };
        let answer = async {
            client.send(message.clone()).await.map_err(|error| format!("cannot send: {error}"))?;
            client.answer().await
        };
        let answer = timeout(self.patience, answer).await.map_err(|_| self.late("no answer"))??;
        *open = Some(client);
        Ok(Came::read(&answer))
    }

    async fn connect(&self) -> Result<Client, String> {
        let connecting = Client::connect(&self.address, self.secure.as_deref());
        timeout(self.patience, connecting).await.map_err(|_| self.late("no connection"))?
    }

    fn late(&self, what: &str) -> String {
        format!("{what} within {}", lasting(self.patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_batch_the_first_answer_that_is_not_positive_speaks_and_all_are_kept() {
        let ack = |code: &str, id: &str| format!("MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|{code}|{id}|words\r");
        let batch = format!("BHS|^~\\&\r{}{}BTS|2\r", ack("AA", "1"), ack("AE", "2"));
        let came = Came::read(batch.as_bytes());
        assert_eq!((came.code.as_str(), came.control_id.as_str()), ("AE", "2"));
        let codes: Vec<_> = came.each.iter().map(|came| came.code.as_str()).collect();
        assert_eq!(codes, ["AA", "AE"]);
        assert_eq!(Came::read(ack("AA", "7").as_bytes()).control_id, "7");
        assert_eq!(Came::read(b"hello").code, "?");
    }

    #[test]
    fn what_an_answer_says_twice_is_shown_once() {
        assert_eq!(once("PID-3.1 is missing", "PID-3: PID-3.1 is missing"), "PID-3.1 is missing");
        assert_eq!(once("no number", "PID-3: no number"), "PID-3: no number");
        assert_eq!(once("unknown ward", "101 PV1-3"), "unknown ward; 101 PV1-3");
        assert_eq!((once("", "x"), once("x", "")), ("x".to_owned(), "x".to_owned()));
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for wrong in ["host", "host:", ":1", "host:99999"] {
            assert!(Wire::new(wrong, Duration::ZERO, None).is_err(), "{wrong}");
        }
        assert!(Wire::new("[::1]:2575", Duration::ZERO, None).is_ok());
    }
}
