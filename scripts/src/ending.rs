//! How code ends other than with a value.

use rhai::{EvalAltResult, Position};

use crate::{code::Origin, nested};

/// Ends the code at once and cannot be caught in it.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// `filter("why")`
    Filter(String),
    /// `refuse("why", "PID-3")`
    Refuse(String, Option<String>),
    /// `sent()`, in `on_response`.
    Sent,
    /// `retry("why")`, in `on_response`.
    Retry(String),
    /// What it asks cannot answer now.
    NotNow(String),
    /// It used up what it may.
    Bound(String),
}

impl Ending {
    /// As what a native function returns.
    pub(crate) fn raise<T>(self) -> Result<T, Box<EvalAltResult>> {
        Err(EvalAltResult::ErrorTerminated(rhai::Dynamic::from(self), Position::NONE).into())
    }
}

/// Code that did not come to a value.
#[derive(Debug)]
pub(crate) enum Stopped {
    Filter(String),
    Refuse(String, Option<String>),
    Sent,
    Retry(String),
    /// Tables lack what it asked for.
    Hold(Vec<engine::Missing>),
    /// What it asks cannot answer now.
    NotNow(String),
    /// It broke: why, and where for a person.
    Broke {
        why: String,
        place: Option<String>,
    },
}

impl Stopped {
    pub(crate) fn broke(why: impl Into<String>) -> Self {
        Self::Broke { why: why.into(), place: None }
    }

    /// Reads Rhai's error: what it means for the message, and the innermost place it tells.
    pub(crate) fn read(error: EvalAltResult, origin: &Origin) -> Self {
        let (error, file) = innermost(error, None);
        let position = error.position();
        let place = Some(origin.place(file.as_deref(), position));
        match error {
            EvalAltResult::ErrorTerminated(token, _) => match token.try_cast::<Ending>() {
                Some(Ending::Filter(why)) => Self::Filter(why),
                Some(Ending::Refuse(why, at)) => Self::Refuse(why, at),
                Some(Ending::Sent) => Self::Sent,
                Some(Ending::Retry(why)) => Self::Retry(why),
                Some(Ending::NotNow(why)) => Self::NotNow(why),
                Some(Ending::Bound(why)) => Self::Broke { why, place },
                None => Self::Broke { why: "it was ended".to_owned(), place },
            },
            EvalAltResult::ErrorRuntime(thrown, _) if nested::is_shallow(&thrown) => {
                Self::Broke { why: thrown.to_string(), place }
            }
            EvalAltResult::ErrorRuntime(..) => {
                Self::Broke { why: "it threw a value that is nested too deep to be told".to_owned(), place }
            }
            mut error => {
                error.set_position(Position::NONE);
                Self::Broke { why: error.to_string(), place }
            }
        }
    }
}

/// The error that started it, and the script it happened in where that is another one.
fn innermost(error: EvalAltResult, file: Option<String>) -> (EvalAltResult, Option<String>) {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, source, inner, position) => {
            let file = if source.is_empty() { file } else { Some(source) };
            let mut inner = inner;
            if inner.position().is_none() {
                inner.set_position(position);
            }
            innermost(*inner, file)
        }
        EvalAltResult::ErrorInModule(name, inner, _) => {
            let file = if name.is_empty() { file } else { Some(name) };
            innermost(*inner, file)
        }
        other => (other, file),
    }
}
