//! Reads of which kind words are that say so themselves: what stores kept before kinds were kept, and what sources say.

use std::borrow::Cow;

use engine::Hindrance;

use super::{HIDDEN, is_address, is_given, spoken, with};

/// What the engine says itself, in front of the words of others.
pub(super) fn kind(words: &str) -> Cow<'static, str> {
    if let Some(rest) = words.strip_prefix("not delivered: ") {
        return with("not delivered", hindrance(rest).map(spoken)).into();
    }
    if let Some(rest) = words.strip_prefix("no telling whether it was delivered: ") {
        return with("no telling whether it was delivered", hindrance(rest).map(spoken)).into();
    }
    if let Some(rest) = words.strip_prefix("refused: ") {
        return match given(rest) {
            Some(code) => format!("refused by the receiver ({code})").into(),
            None => "refused".into(),
        };
    }
    if let Some(rest) = words.strip_prefix("refused at ") {
        let place = rest.split(": ").next().filter(|place| is_address(place));
        return with("a step refused it", place).into();
    }
    let said = [
        ("filtered: ", "a step filtered it"),
        ("unavailable: ", "what a step asks does not answer"),
        ("held: ", "a table lacks a code"),
        ("a bug of the engine cut it: ", "a bug of the engine cut it"),
        ("it cannot be read: ", "it cannot be read"),
    ];
    if let Some((_, kind)) = said.iter().find(|(begins, _)| words.starts_with(begins)) {
        return (*kind).into();
    }
    if is_own(words) {
        return words.to_owned().into();
    }
    let is_step = words.contains(" failed: ") || words.contains(" failed at ");
    if is_step { "a step failed".into() } else { HIDDEN.into() }
}

/// Whole sentences of the engine.
fn is_own(words: &str) -> bool {
    const SAID: [&str; 5] = [
        "it could not be delivered within the sender's wait",
        "the bytes of its message are no longer kept",
        "filtered by its own steps",
        "the engine ended twice while this message was in its steps",
        "an object of this name was taken before, with other bytes",
    ];
    let numbered = |before: &str, behind: &str| {
        let number = words.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
    };
    let named = |before: &str, behind: &str| {
        words.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind)).is_some_and(is_name)
    };
    SAID.contains(&words)
        || numbered("its sender sent it again: see message ", "")
        || numbered("message ", " has the same name, and other bytes")
        || words.strip_prefix("its effect is that of delivery ").is_some_and(|rest| {
            let digits = rest.replace(" of message ", "").replace(", an earlier copy", "");
            digits.bytes().all(|byte| byte.is_ascii_digit())
        })
        || named("dropped by ", " while it waited for a code")
        || named("", " given up")
}

/// The code in what our own destinations say of an answer: of what a server says, no more than its number or its letters.
fn given(words: &str) -> Option<&str> {
    const SAID: [&str; 6] = [
        "the peer answered ",
        "the server answered ",
        "the archive answered ",
        "the receiver of the message answered ",
        "the program ended with ",
        "the mail server refused ",
    ];
    let rest = SAID.iter().find_map(|said| words.strip_prefix(said));
    let entries = || Some(words.split_once(" entries were not done: entry ")?.1.split_once(": ")?.1);
    let rest = rest.or_else(entries)?;
    // What a mail server refused stands before its code.
    let rest = if words.starts_with("the mail server") { rest.split_once(": ")?.1 } else { rest };
    let code = rest.trim_start_matches('`').split([' ', ',', ';', '`', ':']).next()?;
    is_given(code).then_some(code)
}

/// Whether the endpoint is why a delivery waits.
pub(super) fn is_of_endpoint(words: &str) -> bool {
    words.starts_with("not delivered: ") || words.starts_with("no telling whether it was delivered: ")
}

/// Why a destination or a source takes nothing, from what is said of it.
pub(super) fn hindrance(why: &str) -> Option<Hindrance> {
    const SIGNS: [(Hindrance, &[&str]); 7] = [
        (Hindrance::NoAnswer, &["no telling", "timed out", "no answer"]),
        (Hindrance::Tls, &["TLS", "certificate"]),
        (Hindrance::NameUnknown, &["lookup", "name or service", "not known", "no address"]),
        (Hindrance::SignedOut, &["401", "403", "407", "login", "sign in", "password", "permission", "token"]),
        (Hindrance::NoRoom, &["no space", "No space", "quota", "552", "452"]),
        (Hindrance::Busy, &["429", "503", "425", "408", "busy", "later"]),
        (Hindrance::CannotConnect, &["cannot connect", "cannot start"]),
    ];
    // A status is a word of its own: a port may hold the same digits.
    let words = why.split([' ', ',', ';', '(', ')', '`']).map(|word| word.trim_end_matches([':', '.']));
    let statuses: Vec<&str> = words.filter(|word| word.len() == 3).collect();
    let says = |word: &str| {
        let is_status = word.starts_with(|first: char| first.is_ascii_digit());
        if is_status { statuses.contains(&word) } else { why.contains(word) }
    };
    SIGNS.iter().find(|(_, words)| words.iter().any(|word| says(word))).map(|(by, _)| *by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::why::code;

    #[test]
    fn a_status_is_told_from_the_digits_of_a_port() {
        for (why, wanted) in [
            ("cannot connect to 127.0.0.1:14529: Connection refused", Some("cannot_connect")),
            ("cannot connect to 10.4.0.3:503: Connection refused", Some("cannot_connect")),
            ("the server answered 503: come again", Some("busy")),
            ("the mail server refused the letter: 552 5.2.2 over quota", Some("no_room")),
            ("the server answered 401 (no)", Some("signed_out")),
        ] {
            assert_eq!(hindrance(why).map(code), wanted, "{why}");
        }
    }

    #[test]
    fn of_words_that_may_hold_a_patient_the_kind_and_the_code_are_said() {
        let known = [
            ("refused: the peer answered AE", "refused by the receiver (AE)"),
            ("refused: the server answered 422 (DUPONT is unknown)", "refused by the receiver (422)"),
            (
                "refused: the archive answered A900 (the data set does not match)",
                "refused by the receiver (A900)",
            ),
            ("refused: the program ended with 3, saying DUPONT", "refused by the receiver (3)"),
            ("refused: the mail server refused the address: 550 5.1.1", "refused by the receiver (550)"),
            ("refused: 1 of 2 entries were not done: entry 2: 422 (DUPONT)", "refused by the receiver (422)"),
            ("refused: the peer answered DUPONT", "refused"),
            ("refused: DUPONT has no visit", "refused"),
            ("refused at PID-3: DUPONT has no number", "a step refused it (PID-3)"),
            ("refused at DUPONT ANNA: no number", "a step refused it"),
            ("refused at DUP-ONT: no number", "a step refused it"),
            ("map.rhai failed at map.rhai:3: DUPONT is no number", "a step failed"),
            ("filtered: DUPONT is of no concern", "a step filtered it"),
            ("not delivered: cannot connect to 10.0.0.9:2575", "not delivered (cannot connect)"),
            ("not delivered: cannot write DUPONT.hl7", "not delivered"),
            (
                "no telling whether it was delivered: no answer within 30 s",
                "no telling whether it was delivered (no answer)",
            ),
            ("record given up", "record given up"),
            ("DUPONT ANNA given up", HIDDEN),
            ("dropped by ada while it waited for a code", "dropped by ada while it waited for a code"),
            ("its sender sent it again: see message 7", "its sender sent it again: see message 7"),
            ("its sender sent it again: see message DUPONT", HIDDEN),
            (
                "its effect is that of delivery 2 of message 1, an earlier copy",
                "its effect is that of delivery 2 of message 1, an earlier copy",
            ),
            ("segment DUPONT is too long", HIDDEN),
        ];
        for (words, wanted) in known {
            assert_eq!(kind(words), wanted, "{words}");
        }
    }

    #[test]
    fn what_is_said_of_an_attempt_has_a_code() {
        let known = [
            ("cannot connect to 127.0.0.1:2701: Connection refused", Some("cannot_connect")),
            ("cannot connect to record: TLS failed: expired", Some("tls")),
            ("no telling whether it was delivered: no answer within 30 s", Some("no_answer")),
            ("the server answered 503", Some("busy")),
            ("something new", None),
        ];
        for (why, known) in known {
            assert_eq!(hindrance(why).map(code), known, "{why}");
        }
    }
}
