//! What went wrong with a request, as `application/problem+json`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::{Refusal, StoreError};
use serde_json::json;

/// Says why a request was not done. The words are for a person.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
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
    pub(crate) fn words(&self) -> &str {
        &self.detail
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Problem");
        let body = Json(json!({ "title": title, "status": self.status.as_u16(), "detail": self.detail }));
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
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
        "everything under /api/ needs the key in the store's folder: `Authorization: Bearer KEY`",
    )
}
