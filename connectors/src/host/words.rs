//! Puts the engine's reply in HTTP's words: a status, and a small body.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use engine::{Answer, Outcome, Promise, Reply, ReplyBody, ReplyWords, WhenFiltered};
use hyper::{
    Response, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde_json::json;

use crate::web::content::usual_type;

/// How long a sender is asked to wait when we can take nothing, in seconds.
const PAUSE: &str = "10";

const PROBLEM: &str = "application/problem+json";

/// The status an outcome is told by.
pub(crate) fn status(words: &ReplyWords, reply: &Reply) -> StatusCode {
    let written = words.codes.iter().find(|(outcome, _)| *outcome == reply.outcome);
    let written = written.and_then(|(_, code)| known(code));
    // Where the receiver itself said why it refuses, its own status goes back.
    let is_refusal = matches!(reply.outcome, Outcome::Refused | Outcome::Failed);
    let own = reply.code.as_deref().and_then(known).filter(|status| is_refusal && status.is_client_error());
    written.or(own).unwrap_or_else(|| usual(words, reply.outcome))
}

fn known(code: &str) -> Option<StatusCode> {
    StatusCode::from_bytes(code.as_bytes()).ok().filter(|status| (200..600).contains(&status.as_u16()))
}

fn usual(words: &ReplyWords, outcome: Outcome) -> StatusCode {
    match outcome {
        Outcome::Filtered | Outcome::Unrouted if words.filtered == WhenFiltered::Refuse => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Outcome::Accepted | Outcome::Filtered | Outcome::Unrouted => match words.promise {
            Promise::Processed => StatusCode::OK,
            Promise::Stored => StatusCode::ACCEPTED,
        },
        Outcome::Unreadable => StatusCode::BAD_REQUEST,
        Outcome::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        Outcome::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        Outcome::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What a sender is told of its message.
pub(crate) fn answer(words: &ReplyWords, answer: Answer, slips: &Slips) -> Response<Words> {
    let reply = &answer.reply;
    let status = status(words, reply);
    let (kind, text) = match &reply.body {
        Some(ReplyBody::From(body) | ReplyBody::Script(body)) => (usual_type(body), body.clone()),
        None if status.is_success() => {
            ("application/json", json!({ "outcome": reply.outcome.name() }).to_string().into())
        }
        None => (PROBLEM, problem(status, reply.outcome.name(), reply.why.as_deref(), reply.at.as_deref())),
    };
    let is_unavailable = reply.outcome == Outcome::Unavailable;
    let words = if text.is_empty() || status == StatusCode::NO_CONTENT {
        // Nobody asks for a body that is empty: with the head all has left.
        slips.hand_over(vec![answer]);
        Words { text: None, slip: None }
    } else {
        Words { text: Some(text), slip: Some((vec![answer], slips.clone())) }
    };
    let mut response = response(status, kind, words);
    if is_unavailable {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(PAUSE));
    }
    response
}

/// What a sender is told of several messages that came in one request.
pub(crate) fn several(
    status: StatusCode,
    (kind, text): (&'static str, Bytes),
    answers: Vec<Answer>,
    slips: &Slips,
) -> Response<Words> {
    let mut response =
        response(status, kind, Words { text: Some(text), slip: Some((answers, slips.clone())) });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(PAUSE));
    }
    response
}

/// What a sender is told of a request that became no message.
pub(crate) fn refusal(status: StatusCode, why: &str) -> Box<Response<Words>> {
    let title = status.canonical_reason().unwrap_or("Refused");
    let text = problem(status, title, Some(why), None);
    let mut response = response(status, PROBLEM, Words { text: Some(text), slip: None });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(PAUSE));
    }
    Box::new(response)
}

fn response(status: StatusCode, kind: &'static str, words: Words) -> Response<Words> {
    let mut response = Response::new(words);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn problem(status: StatusCode, title: &str, why: Option<&str>, at: Option<&str>) -> Bytes {
    let mut problem = json!({ "title": title, "status": status.as_u16() });
    for (name, text) in [("detail", why), ("at", at)] {
        if let Some(text) = text {
            problem[name] = text.into();
        }
    }
    problem.to_string().into()
}

/// An answer's body, with the slips that say whose answer it is.
pub(crate) struct Words {
    text: Option<Bytes>,
    slip: Option<(Vec<Answer>, Slips)>,
}

impl Body for Words {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some((answers, slips)) = self.slip.take() {
            slips.hand_over(answers);
        }
        Poll::Ready(self.text.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.text.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// Answers that are on their way to the socket. What never gets there counts as not told.
#[derive(Clone, Default)]
pub(crate) struct Slips(Arc<Mutex<Vec<Answer>>>);

impl Slips {
    fn hand_over(&self, answers: Vec<Answer>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(answers);
    }

    /// All that was handed over has left.
    pub(crate) fn told(&self) {
        for answer in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            answer.told();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_status() {
        let of = |outcome| status(&ReplyWords::default(), &Reply::of(outcome)).as_u16();
        for outcome in [Outcome::Accepted, Outcome::Filtered, Outcome::Unrouted] {
            assert_eq!(of(outcome), 200);
        }
        let others = [Outcome::Unreadable, Outcome::Refused, Outcome::Failed, Outcome::Unavailable];
        assert_eq!(others.map(of), [400, 422, 500, 503]);
        let stored = ReplyWords { promise: Promise::Stored, ..ReplyWords::default() };
        assert_eq!(status(&stored, &Reply::of(Outcome::Accepted)).as_u16(), 202);
    }

    #[test]
    fn a_channel_or_a_receiver_may_say_another_status_and_none_that_lies() {
        let words =
            ReplyWords { codes: vec![(Outcome::Filtered, "204".to_owned())], ..ReplyWords::default() };
        assert_eq!(status(&words, &Reply::of(Outcome::Filtered)).as_u16(), 204);
        let said = |code: &str, outcome| {
            let reply = Reply { code: Some(code.to_owned()), ..Reply::of(outcome) };
            status(&ReplyWords::default(), &reply).as_u16()
        };
        assert_eq!(said("409", Outcome::Refused), 409);
        assert_eq!(said("200", Outcome::Refused), 422);
        assert_eq!(said("AR", Outcome::Refused), 422);
        assert_eq!(said("409", Outcome::Accepted), 200);
    }
}
