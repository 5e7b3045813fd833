//! What went wrong with a request, as `application/problem+json`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::{Refusal, StoreError};
use serde_json::json;

use crate::{
    accounts::{Refused, Right},
    why::Why,
};

/// Says why a request was not done. The words are for a person.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// Names its page in `docs/errors`.
    code: &'static str,
    detail: Why,
    /// After how many seconds it may be tried again.
    again: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, code: usual_code(status), detail: Why::ours(detail), again: None }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn wrong(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// What is wrong, for a person.
    pub(crate) fn why(&self) -> &Why {
        &self.detail
    }

    /// It cannot be done, for a reason that may be in the words of a step or of a receiver.
    pub(crate) fn because(detail: Why) -> Self {
        Self { detail, ..Self::conflict("") }
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub(crate) fn forbidden(right: Right) -> Self {
        Self::new(StatusCode::FORBIDDEN, format!("this needs the right `{}`", right.name()))
    }

    /// It is of the whole server, and the caller sees some channels only.
    pub(crate) fn not_seen() -> Self {
        let words = "this is about the whole server: it needs an account or token without tags";
        Self::new(StatusCode::FORBIDDEN, words)
    }

    pub(super) fn other_page() -> Self {
        let words = "this request comes from another page, or without the header `relais-console: 1`";
        Self { code: "other-page", ..Self::new(StatusCode::FORBIDDEN, words) }
    }

    pub(super) fn misdirected(words: &str) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, words)
    }

    /// What must be written down cannot be, and so is not done.
    pub(crate) fn no_audit(error: &std::io::Error) -> Self {
        let words = format!("the audit log cannot be written or read: {error}");
        Self { code: "audit-unavailable", ..Self::new(StatusCode::SERVICE_UNAVAILABLE, words) }
    }
}

/// Every code that an answer has, by its status; some have a narrower one.
fn usual_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "not-signed-in",
        403 => "right-missing",
        404 => "not-there",
        405 => "other-method",
        408 => "request-slow",
        409 => "not-now",
        410 => "content-forgotten",
        413 => "request-large",
        415 => "not-json",
        421 => "other-host",
        429 => "too-many-attempts",
        500..=599 => "unavailable",
        _ => "request-wrong",
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Problem");
        let number = self.status.as_u16();
        let body = json!({ "title": title, "status": number, "code": self.code, "detail": self.detail });
        let body = Json(body);
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.again {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Wrong => Self {
                code: "sign-in-refused",
                ..Self::new(StatusCode::UNAUTHORIZED, "name, password or link is wrong")
            },
            Refused::Wait(time) => {
                let seconds = time.as_secs().max(1);
                let words = format!("too many attempts failed; try again in {seconds} seconds");
                Self { again: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, words) }
            }
            Refused::Unfit(words) => Self::conflict(words),
            Refused::Unknown(words) => Self::missing(words),
            Refused::Broken(error) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("cannot keep accounts: {error}"))
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let words = refusal.to_string();
        match refusal {
            Refusal::NoDestination(_) | Refusal::NoDelivery(_) => Self::missing(words),
            Refusal::Store(error) => error.into(),
            Refusal::UnderWay | Refusal::NotHeld(_) => Self::conflict(words),
        }
    }
}

pub(super) async fn nothing_here() -> Problem {
    Problem::missing("nothing is at this path; see docs/guide for the paths there are")
}

pub(super) async fn not_so() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
}

pub(super) async fn locked() -> Problem {
    locked_out()
}

pub(super) fn locked_out() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "everything under /api/ needs the key in the store's folder, or a token: `Authorization: Bearer KEY`; or a sign-in",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_an_answer_has_a_page() {
        let usual = (400..600).filter_map(|number| StatusCode::from_u16(number).ok()).map(usual_code);
        let codes = usual.chain(["other-page", "audit-unavailable", "sign-in-refused"]);
        for code in codes {
            assert!(channels::explain(code).is_some(), "`{code}` has no page");
        }
    }
}
