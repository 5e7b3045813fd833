//! The statuses of DICOM's services (PS3.4, PS3.7), as C-STORE answers them and STOW gives them as reasons.

use engine::{Outcome, Reply, ReplyWords, WhenFiltered};

/// What a status of a storage permits its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Stored,
    /// The receiver can take nothing now.
    NotNow,
    /// It will not take this instance.
    Refused,
}

pub(crate) const SUCCESS: u16 = 0x0000;
pub(crate) const PROCESSING_FAILURE: u16 = 0x0110;
/// There is an instance of that name.
pub(crate) const DUPLICATE: u16 = 0x0111;
pub(crate) const NO_SUCH_INSTANCE: u16 = 0x0112;
pub(crate) const DUPLICATE_TRANSACTION: u16 = 0x0131;
/// An operation that is not known (PS3.7).
pub(crate) const UNRECOGNIZED: u16 = 0x0211;
pub(crate) const OUT_OF_RESOURCES: u16 = 0xA700;
pub(crate) const CANNOT_UNDERSTAND: u16 = 0xC000;

/// What a status permits.
pub(crate) fn verdict(status: u16) -> Verdict {
    match status {
        // The warnings: stored, though not quite as it came.
        SUCCESS | 0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => Verdict::Stored,
        // No room, or we may not store there: another instance fares no better.
        0x0124 | 0xA700..=0xA7FF => Verdict::NotNow,
        _ => Verdict::Refused,
    }
}

/// The status an outcome is told by.
pub(crate) fn status(words: &ReplyWords, reply: &Reply) -> u16 {
    let written = words.codes.iter().find(|(outcome, _)| *outcome == reply.outcome);
    let written = written.and_then(|(_, code)| known(code));
    // Where the receiver itself said why it refuses, its own status goes back.
    let is_refusal = matches!(reply.outcome, Outcome::Refused | Outcome::Failed);
    let own = reply
        .code
        .as_deref()
        .and_then(known)
        .filter(|status| is_refusal && verdict(*status) != Verdict::Stored);
    written.or(own).unwrap_or_else(|| usual(words, reply.outcome))
}

fn known(code: &str) -> Option<u16> {
    u16::from_str_radix(code, 16).ok().filter(|_| code.len() == 4)
}

fn usual(words: &ReplyWords, outcome: Outcome) -> u16 {
    match outcome {
        Outcome::Filtered | Outcome::Unrouted if words.filtered == WhenFiltered::Refuse => CANNOT_UNDERSTAND,
        Outcome::Accepted | Outcome::Filtered | Outcome::Unrouted => SUCCESS,
        Outcome::Unreadable | Outcome::Refused => CANNOT_UNDERSTAND,
        Outcome::Failed => PROCESSING_FAILURE,
        Outcome::Unavailable => OUT_OF_RESOURCES,
    }
}

/// A status in words: its number and what the standard calls it.
pub(crate) fn words(status: u16) -> String {
    let words = match status {
        SUCCESS => "success",
        0x0105 => "no such attribute",
        0x0106 => "invalid attribute value",
        PROCESSING_FAILURE => "processing failure",
        DUPLICATE => "an instance of that name is there",
        NO_SUCH_INSTANCE => "no such instance",
        0x0117 => "invalid name of an instance",
        0x0118 | 0x0122 => "its SOP class is not supported",
        0x0119 => "the class and the instance conflict",
        0x0123 => "no such action",
        0x0124 => "not authorized",
        0x0210 => "duplicate invocation",
        DUPLICATE_TRANSACTION => "a transaction of that name is there",
        UNRECOGNIZED => "unrecognized operation",
        0x0212 => "mistyped argument",
        0x0213 => "resource limitation",
        0xA700..=0xA7FF => "out of resources",
        0xA900..=0xA9FF => "the data set does not match its SOP class",
        0xB000..=0xBFFF => "stored with a warning",
        0xC122 => "its transfer syntax is not supported",
        0xC000..=0xCFFF => "it cannot be understood",
        0xFE00 => "cancelled",
        _ => "a status that the standard does not name",
    };
    format!("{status:04X} ({words})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_status() {
        let of = |outcome| status(&ReplyWords::default(), &Reply::of(outcome));
        for outcome in [Outcome::Accepted, Outcome::Filtered, Outcome::Unrouted] {
            assert_eq!(of(outcome), SUCCESS);
        }
        let others = [Outcome::Unreadable, Outcome::Refused, Outcome::Failed, Outcome::Unavailable];
        assert_eq!(others.map(of), [0xC000, 0xC000, 0x0110, 0xA700]);
        let said = |code: &str, outcome| {
            let reply = Reply { code: Some(code.to_owned()), ..Reply::of(outcome) };
            status(&ReplyWords::default(), &reply)
        };
        assert_eq!(said("A901", Outcome::Refused), 0xA901);
        assert_eq!(said("0000", Outcome::Refused), 0xC000);
        assert_eq!(said("AR", Outcome::Refused), 0xC000);
        let words =
            ReplyWords { codes: vec![(Outcome::Refused, "A900".to_owned())], ..ReplyWords::default() };
        assert_eq!(status(&words, &Reply::of(Outcome::Refused)), 0xA900);
    }

    #[test]
    fn each_group_of_statuses_permits_one_thing() {
        for stored in [0x0000, 0xB000, 0xB006, 0xB007] {
            assert_eq!(verdict(stored), Verdict::Stored, "{stored:04X}");
        }
        for later in [0xA700, 0xA7FF, 0x0124] {
            assert_eq!(verdict(later), Verdict::NotNow, "{later:04X}");
        }
        for refused in [0x0110, 0x0111, 0x0122, 0xA900, 0xC000, 0xFE00] {
            assert_eq!(verdict(refused), Verdict::Refused, "{refused:04X}");
        }
        assert_eq!(words(0xA701), "A701 (out of resources)");
    }
}
