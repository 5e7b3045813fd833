//! What the end of a program permits: nothing more, another try, or neither.

use std::{collections::BTreeMap, os::unix::process::ExitStatusExt, process::ExitStatus};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an exit code means for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Meaning {
    Sent,
    Retry,
    Refused,
    Unsure,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this code.
    Exit(u8),
    /// A signal ended it that was not ours.
    Signal(i32),
    /// It took too long and was ended.
    TooLong,
}

impl End {
    pub(super) fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code as u8),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }

    /// What it means where a channel gave these codes a meaning.
    pub(super) fn meaning(self, exit: &BTreeMap<String, Meaning>) -> Meaning {
        match self {
            Self::Exit(code) => exit
                .iter()
                .find(|(written, _)| written.parse() == Ok(code))
                .map_or_else(|| usual(code), |(_, meaning)| *meaning),
            Self::Signal(_) => Meaning::Retry,
            Self::TooLong => Meaning::Unsure,
        }
    }
}

/// As `sysexits.h` and the shells have it: 75 is a failure that passes, 126 is not to be run, 127 is not there.
fn usual(code: u8) -> Meaning {
    match code {
        0 => Meaning::Sent,
        75 | 126 | 127 => Meaning::Retry,
        _ => Meaning::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_means_what_the_channel_says_and_else_the_usual() {
        let exit = BTreeMap::from([("3".to_owned(), Meaning::Sent), ("075".to_owned(), Meaning::Unsure)]);
        let meanings = [
            (End::Exit(0), Meaning::Sent),
            (End::Exit(1), Meaning::Refused),
            (End::Exit(3), Meaning::Sent),
            (End::Exit(75), Meaning::Unsure),
            (End::Exit(127), Meaning::Retry),
            (End::Signal(9), Meaning::Retry),
            (End::TooLong, Meaning::Unsure),
        ];
        for (end, meaning) in meanings {
            assert_eq!(end.meaning(&exit), meaning, "{end:?}");
        }
        assert_eq!(End::Exit(75).meaning(&BTreeMap::new()), Meaning::Retry);
    }
}
