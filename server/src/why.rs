//! Why something did not get through: in words for who may see content, as a kind and a code for everybody else.

use std::{borrow::Cow, cell::Cell};

use engine::SendError;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::accounts::{Caller, Right};

/// What is said in place of words of which no kind is known.
const HIDDEN: &str = "its reason is for who may see content";

/// Words of a step, a receiver or a source, which may hold a patient, and what may be said of them to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Why {
    words: String,
    kind: String,
}

/// Who reads what is being written. Where nobody says, it is somebody who may not see content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    OfWords,
    OfKinds,
}

/// An answer that is being made: for whom, and what it has shown him.
struct Reading {
    reader: Reader,
    shown: Cell<Shown>,
}

/// What somebody was shown of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Kinds and codes.
    Kinds,
    /// Words that say more than their kind does: a look that must be written down.
    Words,
    /// Anything: this look was written down before the answer was made.
    Noted,
}

tokio::task_local! {
    static READING: Reading;
}

impl Reader {
    pub(crate) fn of(caller: &Caller) -> Self {
        if caller.may(Right::Content) { Self::OfWords } else { Self::OfKinds }
    }

    /// Lets an answer be made, and written, for this reader; says what it shows him.
    pub(crate) async fn answered<F: Future>(self, answer: F) -> (F::Output, Shown) {
        let reading = Reading { reader: self, shown: Cell::new(Shown::Kinds) };
        READING.scope(reading, async { (answer.await, READING.with(|reading| reading.shown.get())) }).await
    }

    pub(crate) fn told<T>(self, write: impl FnOnce() -> T) -> (T, Shown) {
        let reading = Reading { reader: self, shown: Cell::new(Shown::Kinds) };
        READING.sync_scope(reading, || (write(), READING.with(|reading| reading.shown.get())))
    }

    /// Writes what nobody looks at through the server: a file of ours, or what a terminal shows of an answer it was given.
    pub(crate) fn written<T>(self, write: impl FnOnce() -> T) -> T {
        self.told(write).0
    }

    /// The look at what is being answered is in the audit log already.
    pub(crate) fn is_noted() {
        // Outside an answer there is no look.
        let _ = READING.try_with(|reading| reading.shown.set(Shown::Noted));
    }
}

impl Why {
    /// What the engine says of a message or a delivery: the kind is made of what it says itself, in front of the words of
    /// others.
    pub(crate) fn of(words: impl Into<String>) -> Self {
        let words = words.into();
        Self { kind: kind(&words).into_owned(), words }
    }

    /// Our own words, with nothing of a message in them.
    pub(crate) fn ours(words: impl Into<String>) -> Self {
        let words = words.into();
        Self { kind: words.clone(), words }
    }

    /// Words that may hold anything, and what may be said of them.
    pub(crate) fn hidden(words: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { words: words.into(), kind: kind.into() }
    }

    /// What a source says of itself: it may name files.
    pub(crate) fn of_source(words: impl Into<String>) -> Self {
        let words = words.into();
        let kind = code(&words).map_or("what it takes from does not answer as it should", spoken);
        Self { kind: kind.to_owned(), words }
    }

    /// The place that a step named: shown where it is the address of a field and nothing else.
    pub(crate) fn at(place: impl Into<String>) -> Self {
        let words = place.into();
        let kind = if is_address(&words) { words.clone() } else { String::new() };
        Self { words, kind }
    }

    /// The same with our own words around it.
    pub(crate) fn within(&self, before: &str, behind: &str) -> Self {
        let around = |inside: &str| format!("{before}{inside}{behind}");
        Self { words: around(&self.words), kind: around(&self.kind) }
    }

    /// All of it: for who may see content.
    pub(crate) fn words(&self) -> &str {
        &self.words
    }

    /// Its kind, and the code where there is one: for everybody.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = READING.try_with(|reading| {
            if reading.reader == Reader::OfKinds {
                return &self.kind;
            }
            if reading.shown.get() == Shown::Kinds && self.words != self.kind {
                reading.shown.set(Shown::Words);
            }
            &self.words
        });
        serializer.serialize_str(words.unwrap_or(&self.kind))
    }
}

impl<'de> Deserialize<'de> for Why {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::of)
    }
}

impl JsonSchema for Why {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Why".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// What may be said to everybody of a delivery that did not arrive: the kind, and the code.
pub(crate) fn kind_of(error: &SendError) -> String {
    match error {
        SendError::NotDelivered { why, .. } => with("not delivered", code(why).map(spoken)),
        SendError::Unknown { why } => with("no telling whether it was delivered", code(why).map(spoken)),
        SendError::Refused { code: Some(code), .. } if is_given(code) => {
            format!("refused by the receiver ({code})")
        }
        SendError::Refused { .. } => "refused".to_owned(),
    }
}

/// What the engine says itself, in front of the words of others.
fn kind(words: &str) -> Cow<'static, str> {
    if let Some(rest) = words.strip_prefix("not delivered: ") {
        return with("not delivered", code(rest).map(spoken)).into();
    }
    if let Some(rest) = words.strip_prefix("no telling whether it was delivered: ") {
        return with("no telling whether it was delivered", code(rest).map(spoken)).into();
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

/// Whether it is one of the codes that receivers give, and no word of theirs.
fn is_given(code: &str) -> bool {
    let is_number = (1..=4).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_lowercase());
    is_number || matches!(code, "AE" | "AR" | "CE" | "CR" | "fatal-error")
}

/// `PID-3`, `OBX-5.1`, `PID-3[2].4`: the address of a field, and nothing else.
fn is_address(place: &str) -> bool {
    let (segment, field) = place.split_at_checked(3).unwrap_or_default();
    segment.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && !segment.is_empty()
        && place.len() <= 20
        && (field.is_empty() || field.starts_with(['-', '[']))
        && field.bytes().all(|byte| byte.is_ascii_digit() || b"-.[]".contains(&byte))
}

/// Why a destination or a source takes nothing, as a code, from what is said of it.
pub(crate) fn code(why: &str) -> Option<&'static str> {
    const SIGNS: [(&str, &[&str]); 7] = [
        ("no_answer", &["no telling", "timed out", "no answer"]),
        ("tls", &["TLS", "certificate"]),
        ("name_unknown", &["lookup", "name or service", "not known", "no address"]),
        ("signed_out", &["401", "403", "407", "login", "sign in", "password", "permission", "token"]),
        ("no_room", &["no space", "No space", "quota", "552", "452"]),
        ("busy", &["429", "503", "425", "408", "busy", "later"]),
        ("cannot_connect", &["cannot connect", "cannot start"]),
    ];
    // A status is a word of its own: a port may hold the same digits.
    let words = why.split([' ', ',', ';', '(', ')', '`']).map(|word| word.trim_end_matches([':', '.']));
    let statuses: Vec<&str> = words.filter(|word| word.len() == 3).collect();
    let says = |word: &str| {
        let is_status = word.starts_with(|first: char| first.is_ascii_digit());
        if is_status { statuses.contains(&word) } else { why.contains(word) }
    };
    SIGNS.iter().find(|(_, words)| words.iter().any(|word| says(word))).map(|(code, _)| *code)
}

fn spoken(code: &str) -> &'static str {
    match code {
        "no_answer" => "no answer",
        "tls" => "TLS",
        "name_unknown" => "the name is not known",
        "signed_out" => "not let in",
        "no_room" => "no room",
        "busy" => "busy",
        _ => "cannot connect",
    }
}

fn with(what: &str, more: Option<&str>) -> String {
    more.map_or_else(|| what.to_owned(), |more| format!("{what} ({more})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_from_the_digits_of_a_port() {
        for (why, wanted) in [
            ("cannot connect to 127.0.0.1:14529: Connection refused", Some("cannot_connect")),
            ("cannot connect to 10.4.0.3:503: Connection refused", Some("cannot_connect")),
            ("the server answered 503: come again", Some("busy")),
            ("the mail server refused the letter: 552 5.2.2 over quota", Some("no_room")),
            ("the server answered 401 (no)", Some("signed_out")),
        ] {
            assert_eq!(code(why), wanted, "{why}");
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
        for (words, kind) in known {
            assert_eq!(Why::of(words).kind(), kind, "{words}");
        }
    }

    #[test]
    fn who_is_not_known_to_see_content_reads_kinds() {
        let why = Why::of("refused: DUPONT");
        let written = || serde_json::to_string(&why).unwrap();
        assert_eq!(written(), "\"refused\"");
        assert_eq!(Reader::OfKinds.written(written), "\"refused\"");
        assert_eq!(Reader::OfWords.written(written), "\"refused: DUPONT\"");
    }

    #[test]
    fn words_that_say_more_than_their_kind_are_a_look_unless_it_was_noted() {
        let shown = |reader: Reader, why: Why| reader.told(|| serde_json::to_string(&why).unwrap()).1;
        assert_eq!(shown(Reader::OfWords, Why::of("refused: DUPONT")), Shown::Words);
        assert_eq!(shown(Reader::OfWords, Why::of("record given up")), Shown::Kinds);
        assert_eq!(shown(Reader::OfKinds, Why::of("refused: DUPONT")), Shown::Kinds);
        let noted = Reader::OfWords.told(|| {
            Reader::is_noted();
            serde_json::to_string(&Why::of("refused: DUPONT")).unwrap()
        });
        assert_eq!(noted.1, Shown::Noted);
    }

    #[test]
    fn of_a_delivery_that_failed_the_log_has_the_kind_and_the_code() {
        let refused = |code: Option<&str>| SendError::Refused {
            why: "DUPONT is not known".to_owned(),
            code: code.map(str::to_owned),
            response: None,
        };
        for (error, kind) in [
            (
                SendError::not_delivered("the server answered 503 (error: transient (DUPONT))"),
                "not delivered (busy)",
            ),
            (SendError::not_delivered("cannot write DUPONT.hl7"), "not delivered"),
            (
                SendError::unknown("no answer within 30 s of DUPONT"),
                "no telling whether it was delivered (no answer)",
            ),
            (refused(Some("AE")), "refused by the receiver (AE)"),
            (refused(Some("DUPONT")), "refused"),
            (refused(None), "refused"),
        ] {
            assert_eq!(kind_of(&error), kind, "{error:?}");
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
            assert_eq!(code(why), known, "{why}");
        }
    }
}
