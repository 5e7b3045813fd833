//! What is asked of a peer by a message, and what its answer means.

use bytes::Bytes;
use engine::{Facts, Response, SendError};
use formats::hl7::{
    acknowledgement::{self, Acknowledgement},
    batch,
    header::Header,
};

use super::destination::Expected;

/// A message that was sent, or a batch of them.
pub(super) struct Asked {
    /// MSH-10 of each message, as it stands.
    pub(super) control_ids: Vec<String>,
    expected: Expected,
}

/// What a frame of the peer is.
pub(super) enum Heard {
    /// The answer to what was asked.
    Answer(Result<Response, SendError>),
    /// One to something else.
    Other,
    /// None that can be understood.
    Unclear(String),
}

impl Asked {
    pub(super) fn of(message: &[u8], expected: Expected) -> Self {
        let messages = places(message).unwrap_or_default();
        let control_id = |message: &[u8]| {
            Header::read(message).map(|header| header.text(10).into_owned()).unwrap_or_default()
        };
        Self { control_ids: messages.iter().map(|message| control_id(message)).collect(), expected }
    }

    /// Reads an answer: one acknowledgement for each message, in order.
    pub(super) fn hear(&self, answer: &Bytes) -> Heard {
        let read = places(answer).and_then(|places| {
            places.into_iter().map(acknowledgement::read).collect::<Result<Vec<_>, _>>().ok()
        });
        let Some(acknowledgements) = read.filter(|read| !read.is_empty()) else {
            return Heard::Unclear("the peer's answer is no acknowledgement".to_owned());
        };
        let named = acknowledgements.iter().map(|one| &one.control_id);
        if self.expected == Expected::Required && !named.eq(&self.control_ids) {
            return Heard::Other;
        }
        Heard::Answer(judge(&acknowledgements, answer))
    }
}

/// An answer as one to an earlier message: whom it names first, and what is kept of it.
pub(super) fn read_late(answer: &Bytes) -> Option<(String, Response)> {
    let first = acknowledgement::read(places(answer)?.first()?).ok()?;
    let mut facts = Facts::new();
    facts.insert("code".to_owned(), first.code.as_str().into());
    Some((first.control_id, Response { body: Some(answer.clone()), facts }))
}

/// The messages of a batch, or the one that is none.
fn places(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    match batch::split(bytes).ok()? {
        Some(batch) => Some(batch.messages.into_iter().map(|place| &bytes[place]).collect()),
        None => Some(vec![bytes]),
    }
}

fn judge(acknowledgements: &[Acknowledgement], answer: &Bytes) -> Result<Response, SendError> {
    let worst = acknowledgements.iter().find(|one| !one.code.is_positive());
    if let Some(worst) = worst {
        let code = worst.code.as_str();
        return Err(SendError::Refused {
            why: format!("the peer answered {code}"),
            code: Some(code.to_owned()),
            response: Some(answer.clone()),
        });
    }
    let mut facts = Facts::new();
    if let Some(first) = acknowledgements.first() {
        facts.insert("code".to_owned(), first.code.as_str().into());
    }
    Ok(Response { body: Some(answer.clone()), facts })
}
