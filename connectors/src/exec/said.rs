//! What people and steps see of a run that is over.

use bytes::Bytes;
use engine::{Facts, Response};
use serde_json::Value;

use super::{
    answer::Left,
    meaning::End,
    run::{Ran, Stdout},
};

/// Of an answer that counts for nothing, enough to see what it was.
const ENOUGH: usize = 64_000;

/// The response of a run whose message was sent; `left` is the file that was to be its answer.
pub(super) fn response(ran: &Ran, left: Option<Left>) -> Response {
    let (body, is_cut) = match (&ran.stdout, left) {
        (Stdout::Answer(whole), _) => (Some(Bytes::copy_from_slice(&whole.bytes)), whole.is_cut),
        (Stdout::Kept(_), Some(Left::File { bytes, is_cut })) => (Some(bytes), is_cut),
        (Stdout::Kept(_), Some(Left::Nothing) | None) => (None, false),
    };
    let mut facts = facts(ran, written(ran, body.is_some()));
    if is_cut {
        facts.insert("cut".to_owned(), true.into());
    }
    Response { body, facts }
}

/// What is kept of a run whose message was not sent.
pub(super) fn of_failure(ran: &Ran, attempt: u32) -> Response {
    let mut facts = facts(ran, written(ran, false));
    facts.insert("attempt".to_owned(), attempt.into());
    Response { body: None, facts }
}

/// What a program says of its refusal: stderr, else stdout.
pub(super) fn of_refusal(ran: &Ran) -> Option<Bytes> {
    let [stdout, stderr] = written(ran, false);
    [stderr, stdout].into_iter().find(|text| !text.trim().is_empty()).map(Bytes::from)
}

/// Its stdout, unless that is the answer, and its stderr.
fn written(ran: &Ran, is_answered: bool) -> [String; 2] {
    let stdout = match &ran.stdout {
        Stdout::Kept(kept) => kept.text(),
        Stdout::Answer(_) if is_answered => String::new(),
        Stdout::Answer(whole) => {
            String::from_utf8_lossy(&whole.bytes[..whole.bytes.len().min(ENOUGH)]).into_owned()
        }
    };
    [stdout, ran.stderr.text()]
}

fn facts(ran: &Ran, [stdout, stderr]: [String; 2]) -> Facts {
    let mut facts = Facts::new();
    let mut put = |name: &str, value: Value| facts.insert(name.to_owned(), value);
    match ran.end {
        End::Exit(code) => put("exit", code.into()),
        End::Signal(signal) => put("signal", signal.into()),
        End::TooLong => put("ended", "it took too long".into()),
    };
    put("took_ms", (ran.took.as_millis() as u64).into());
    if ran.left_behind {
        put(
            "left_behind",
            "something that it started held its output open; its process group was ended".into(),
        );
    }
    for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
        if !text.is_empty() {
            put(name, text.into());
        }
    }
    facts
}
