//! What a request carries: where it cannot be read, the answer is a problem like any other.

use axum::{
    extract::{FromRequest, FromRequestParts, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The parts of the path that have a name.
pub(super) struct Path<T>(pub(super) T);

/// What stands behind the question mark.
pub(super) struct Query<T>(pub(super) T);

/// The request's body, which is JSON.
pub(super) struct Body<T>(pub(super) T);

/// As many as a list is to hold: the usual number where nobody says. More than it ever holds is refused, and not cut without a word.
pub(super) fn limit(wanted: Option<usize>, usual: usize, most: usize) -> Result<usize, Problem> {
    match wanted {
        None => Ok(usual),
        Some(wanted) if (1..=most).contains(&wanted) => Ok(wanted),
        Some(wanted) => Err(Problem::wrong(format!("`limit` is {wanted}; it is between 1 and {most}"))),
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(rejection) => Err(Problem::missing(format!("nothing can have this name: {rejection}"))),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Problem::wrong(rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(unread(&rejection)),
        }
    }
}

/// Says where the body is wrong, with nothing of what stands there: it may be a password.
fn unread(rejection: &JsonRejection) -> Problem {
    let status = rejection.status();
    match rejection {
        JsonRejection::JsonDataError(_) => {
            Problem::new(StatusCode::BAD_REQUEST, hidden(&rejection.body_text()))
        }
        JsonRejection::JsonSyntaxError(_) => Problem::wrong("the body is no JSON"),
        JsonRejection::MissingJsonContentType(_) => {
            Problem::new(status, "the body is JSON: say `content-type: application/json`")
        }
        _ => Problem::new(status, rejection.body_text()),
    }
}

/// The words of the reader, without what it quotes.
fn hidden(words: &str) -> String {
    let mut open = false;
    let kept = words.chars().filter(|letter| {
        let quote = *letter == '"';
        open ^= quote;
        !quote && !open
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_longer_than_any_is_refused() {
        assert_eq!((limit(None, 50, 1000).ok(), limit(Some(1000), 50, 1000).ok()), (Some(50), Some(1000)));
        assert!(limit(Some(0), 50, 1000).is_err() && limit(Some(1001), 50, 1000).is_err());
    }

    #[test]
    fn a_value_that_does_not_fit_is_not_repeated() {
        let words = r#"days: invalid type: string "hunter2", expected u32 at line 1"#;
        assert_eq!(hidden(words), "days: invalid type: string , expected u32 at line 1");
    }
}
