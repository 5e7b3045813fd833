//! Numbers and times as they are told in a note.

use std::time::Duration;

use crate::values::Period;

/// `3 deliveries stay`, or what can be said where nobody could count.
pub(super) fn stay(waiting: Option<u64>) -> String {
    match waiting {
        None => "what waits stays".to_owned(),
        Some(0) => "what is left stays".to_owned(),
        Some(1) => "1 delivery stays".to_owned(),
        Some(number) => format!("{number} deliveries stay"),
    }
}

/// `3 deliveries that wait`; nothing where nothing waits.
pub(super) fn those_that_wait(waiting: Option<u64>) -> Option<String> {
    match waiting {
        None => Some("deliveries that wait".to_owned()),
        Some(0) => None,
        Some(1) => Some("1 delivery that waits".to_owned()),
        Some(number) => Some(format!("{number} deliveries that wait")),
    }
}

/// A length of time as it is written in a channel file: `30d`, `1h30m`.
pub(super) fn period(time: Duration) -> String {
    Period(time).to_string()
}
