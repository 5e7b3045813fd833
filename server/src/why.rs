//! Why something did not get through: in words for who may see content, as a kind and a code for everybody else.

use std::{borrow::Cow, cell::Cell};

use engine::{Hindrance, WhyKind};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::accounts::{Caller, Right};

mod sentences;

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
    /// Words that were kept without their kind: it is read out of what the engine says itself, in front of the words of others.
    pub(crate) fn of_words(words: impl Into<String>) -> Self {
        let words = words.into();
        Self { kind: sentences::kind(&words).into_owned(), words }
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
        let kind =
            sentences::hindrance(&words).map_or("what it takes from does not answer as it should", spoken);
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

/// What the engine says of a message or a delivery. What was kept before it said of which kind that is, is read as words.
impl From<engine::Why> for Why {
    fn from(why: engine::Why) -> Self {
        match why.kind() {
            Some(kind) => Self { kind: said(kind, &why), words: why.words().to_owned() },
            None => Self::of_words(why.words()),
        }
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
        String::deserialize(deserializer).map(Self::of_words)
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

/// What may be said to everybody of a reason of this kind.
pub(crate) fn said(kind: &WhyKind, words: &str) -> String {
    match kind {
        WhyKind::Ours => words.to_owned(),
        WhyKind::NotDelivered(by) => not_delivered(*by),
        WhyKind::Doubted(by) => with("no telling whether it was delivered", by.map(spoken)),
        WhyKind::Refused(Some(code)) if is_given(code) => format!("refused by the receiver ({code})"),
        WhyKind::Refused(_) => "refused".to_owned(),
        WhyKind::StepRefused(at) => {
            with("a step refused it", at.as_deref().filter(|place| is_address(place)))
        }
        WhyKind::Filtered => "a step filtered it".to_owned(),
        WhyKind::Unavailable => "what a step asks does not answer".to_owned(),
        WhyKind::Held => "a table lacks a code".to_owned(),
        WhyKind::StepFailed => "a step failed".to_owned(),
        WhyKind::Unreadable => "its bytes cannot be read".to_owned(),
        WhyKind::Unloaded => "it cannot be read".to_owned(),
        WhyKind::Bug => "a bug of the engine cut it".to_owned(),
    }
}

/// What may be said to everybody of an endpoint that takes nothing.
pub(crate) fn not_delivered(by: Option<Hindrance>) -> String {
    with("not delivered", by.map(spoken))
}

/// Whether the endpoint, not the message, is why a delivery waits.
pub(crate) fn is_of_endpoint(why: &engine::Why) -> bool {
    match why.kind() {
        Some(kind) => matches!(kind, WhyKind::NotDelivered(_) | WhyKind::Doubted(_)),
        None => sentences::is_of_endpoint(why),
    }
}

/// What keeps the endpoint from taking anything, where that is known.
pub(crate) fn hindrance(why: &engine::Why) -> Option<Hindrance> {
    match why.kind() {
        Some(WhyKind::NotDelivered(by) | WhyKind::Doubted(by)) => *by,
        Some(_) => None,
        None => sentences::hindrance(why),
    }
}

/// Each by the word that programs know it by.
const CODES: [(Hindrance, &str); 7] = [
    (Hindrance::NoAnswer, "no_answer"),
    (Hindrance::Tls, "tls"),
    (Hindrance::NameUnknown, "name_unknown"),
    (Hindrance::SignedOut, "signed_out"),
    (Hindrance::NoRoom, "no_room"),
    (Hindrance::Busy, "busy"),
    (Hindrance::CannotConnect, "cannot_connect"),
];

pub(crate) fn code(by: Hindrance) -> &'static str {
    CODES.iter().find(|(one, _)| *one == by).map_or("other", |(_, code)| code)
}

pub(crate) fn by_code(code: &str) -> Option<Hindrance> {
    CODES.iter().find(|(_, one)| *one == code).map(|(by, _)| *by)
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

fn spoken(by: Hindrance) -> &'static str {
    match by {
        Hindrance::NoAnswer => "no answer",
        Hindrance::Tls => "TLS",
        Hindrance::NameUnknown => "the name is not known",
        Hindrance::SignedOut => "not let in",
        Hindrance::NoRoom => "no room",
        Hindrance::Busy => "busy",
        Hindrance::CannotConnect => "cannot connect",
    }
}

fn with(what: &str, more: Option<&str>) -> String {
    more.map_or_else(|| what.to_owned(), |more| format!("{what} ({more})"))
}

#[cfg(test)]
mod tests {
    use engine::SendError;

    use super::*;

    fn refused(words: &str) -> Why {
        Why::from(engine::Why::new(WhyKind::Refused(None), words))
    }

    #[test]
    fn who_may_not_see_content_is_told_the_kind_and_nothing_of_the_words() {
        let of_doubt = SendError::unknown(engine::Hindered::by(Hindrance::NoAnswer, "DUPONT")).kind();
        let of_server = SendError::not_delivered("the server answered 503 (DUPONT)").kind();
        let code = |code: &str| WhyKind::Refused(Some(code.to_owned()));
        let at = |place: &str| WhyKind::StepRefused(Some(place.to_owned()));
        let known = [
            (WhyKind::NotDelivered(Some(Hindrance::Busy)), "not delivered (busy)"),
            // No code is guessed out of words.
            (of_server, "not delivered"),
            (of_doubt, "no telling whether it was delivered (no answer)"),
            (code("AE"), "refused by the receiver (AE)"),
            (code("A900"), "refused by the receiver (A900)"),
            (code("DUPONT"), "refused"),
            (WhyKind::Refused(None), "refused"),
            (at("PID-3"), "a step refused it (PID-3)"),
            (at("DUPONT ANNA"), "a step refused it"),
            (WhyKind::StepRefused(None), "a step refused it"),
            (WhyKind::Filtered, "a step filtered it"),
            (WhyKind::Unavailable, "what a step asks does not answer"),
            (WhyKind::Held, "a table lacks a code"),
            (WhyKind::StepFailed, "a step failed"),
            (WhyKind::Unreadable, "its bytes cannot be read"),
            (WhyKind::Unloaded, "it cannot be read"),
            (WhyKind::Bug, "a bug of the engine cut it"),
        ];
        for (kind, told) in known {
            let why = Why::from(engine::Why::new(kind.clone(), "DUPONT ANNA"));
            assert_eq!((why.kind(), why.words()), (told, "DUPONT ANNA"), "{kind:?}");
        }
        assert_eq!(Why::from(engine::Why::ours("record given up")).kind(), "record given up");
    }

    #[test]
    fn what_an_older_store_holds_is_told_by_what_the_engine_said() {
        let kept = engine::Why::of_kept("not delivered: cannot connect to 10.0.0.9:2575".to_owned());
        assert!(is_of_endpoint(&kept));
        assert_eq!(hindrance(&kept), Some(Hindrance::CannotConnect));
        assert_eq!(Why::from(kept).kind(), "not delivered (cannot connect)");
    }

    #[test]
    fn each_hindrance_has_a_word_of_its_own() {
        for (by, word) in CODES {
            assert_eq!((code(by), by_code(word)), (word, Some(by)));
            assert_eq!(serde_json::to_value(by).unwrap(), word);
        }
    }

    #[test]
    fn who_is_not_known_to_see_content_reads_kinds() {
        let why = refused("refused: DUPONT");
        let written = || serde_json::to_string(&why).unwrap();
        assert_eq!(written(), "\"refused\"");
        assert_eq!(Reader::OfKinds.written(written), "\"refused\"");
        assert_eq!(Reader::OfWords.written(written), "\"refused: DUPONT\"");
    }

    #[test]
    fn words_that_say_more_than_their_kind_are_a_look_unless_it_was_noted() {
        let shown = |reader: Reader, why: Why| reader.told(|| serde_json::to_string(&why).unwrap()).1;
        assert_eq!(shown(Reader::OfWords, refused("refused: DUPONT")), Shown::Words);
        assert_eq!(shown(Reader::OfWords, Why::ours("record given up")), Shown::Kinds);
        assert_eq!(shown(Reader::OfKinds, refused("refused: DUPONT")), Shown::Kinds);
        let noted = Reader::OfWords.told(|| {
            Reader::is_noted();
            serde_json::to_string(&refused("refused: DUPONT")).unwrap()
        });
        assert_eq!(noted.1, Shown::Noted);
    }
}
