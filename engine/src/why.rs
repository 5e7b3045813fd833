//! Why something did not get through: in words, which may hold a patient, and beside them what may be said to everybody.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The words, and of which kind they are, as whoever said them knew it.
///
/// It is kept as one text, so that what was kept when there were words alone is read as it stands: of no known kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    kind: Option<WhyKind>,
    words: String,
}

/// What may be said to everybody, with nothing of a message in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyKind {
    /// All of the words: they are the engine's own.
    Ours,
    /// The endpoint takes nothing now.
    NotDelivered(Option<Hindrance>),
    /// Nobody can tell whether it arrived.
    Doubted(Option<Hindrance>),
    /// The receiver refused this message, by its own code.
    Refused(Option<String>),
    /// A step did, and named a place in the message.
    StepRefused(Option<String>),
    Filtered,
    /// What a step asks does not answer.
    Unavailable,
    /// A table lacks a code.
    Held,
    StepFailed,
    /// Its bytes are not what its channel takes.
    Unreadable,
    /// The store cannot give it.
    Unloaded,
    /// A bug of the engine cut it.
    Bug,
}

/// What keeps an endpoint from taking anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hindrance {
    NoAnswer,
    Tls,
    /// Nobody knows the name of its machine.
    NameUnknown,
    /// It does not let us in, or not to where we want.
    SignedOut,
    NoRoom,
    /// It says that it has too much to do.
    Busy,
    CannotConnect,
}

/// Why an endpoint takes nothing, in words and, where whoever said them knew it, as what hinders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hindered {
    pub words: String,
    pub by: Option<Hindrance>,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
struct Whole {
    kind: Option<WhyKind>,
    words: String,
}

impl Why {
    pub fn new(kind: WhyKind, words: impl Into<String>) -> Self {
        Self { kind: Some(kind), words: words.into() }
    }

    /// The engine's own words.
    pub fn ours(words: impl Into<String>) -> Self {
        Self::new(WhyKind::Ours, words)
    }

    pub fn words(&self) -> &str {
        &self.words
    }

    /// `None` where it was kept as words alone.
    pub fn kind(&self) -> Option<&WhyKind> {
        self.kind.as_ref()
    }

    /// The same, with no more than so many letters.
    #[must_use]
    pub fn cut(self, letters: usize) -> Self {
        let Some((end, _)) = self.words.char_indices().nth(letters) else { return self };
        Self { words: format!("{}…", &self.words[..end]), ..self }
    }

    /// One text for all of it. Words that could be taken for such a text are wrapped like those of a known kind.
    pub fn to_kept(&self) -> String {
        if self.kind.is_none() && !self.words.starts_with('{') {
            return self.words.clone();
        }
        let whole = Whole { kind: self.kind.clone(), words: self.words.clone() };
        serde_json::to_string(&whole).unwrap_or_else(|_| self.words.clone())
    }

    /// What [`Why::to_kept`] made, or the words alone that stood there before.
    pub fn of_kept(text: String) -> Self {
        let whole = text.starts_with('{').then(|| serde_json::from_str::<Whole>(&text).ok()).flatten();
        match whole {
            Some(Whole { kind, words }) => Self { kind, words },
            None => Self { kind: None, words: text },
        }
    }
}

/// It reads as its words.
impl Deref for Why {
    type Target = str;

    fn deref(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_kept())
    }
}

impl<'de> Deserialize<'de> for Why {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::of_kept)
    }
}

impl Hindered {
    pub fn by(hindrance: Hindrance, words: impl Into<String>) -> Self {
        Self { words: words.into(), by: Some(hindrance) }
    }

    /// The same with words around its own.
    #[must_use]
    pub fn worded(self, words: impl FnOnce(&str) -> String) -> Self {
        Self { words: words(&self.words), ..self }
    }

    /// What hinders it where nobody closer to it knew.
    #[must_use]
    pub fn or_by(self, hindrance: Hindrance) -> Self {
        Self { by: self.by.or(Some(hindrance)), ..self }
    }
}

impl From<String> for Hindered {
    fn from(words: String) -> Self {
        Self { words, by: None }
    }
}

impl From<&str> for Hindered {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl From<Hindered> for String {
    fn from(hindered: Hindered) -> Self {
        hindered.words
    }
}

impl fmt::Display for Hindered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_with_its_kind() {
        let kinds = [
            WhyKind::Ours,
            WhyKind::NotDelivered(Some(Hindrance::Busy)),
            WhyKind::NotDelivered(None),
            WhyKind::Refused(Some("AE".to_owned())),
            WhyKind::StepRefused(Some("PID-3".to_owned())),
            WhyKind::Held,
        ];
        for kind in kinds {
            let why = Why::new(kind, "\"DUPONT\" is not known");
            assert_eq!(Why::of_kept(why.to_kept()), why);
        }
    }

    #[test]
    fn what_was_kept_as_words_alone_is_of_no_known_kind() {
        for words in ["refused: the peer answered AE", "", "{ is no name", "{\"kind\":\"ours\"}"] {
            let why = Why::of_kept(words.to_owned());
            assert_eq!((why.words(), why.kind()), (words, None));
            assert_eq!(Why::of_kept(why.to_kept()), why);
        }
    }

    #[test]
    fn words_that_look_like_what_is_kept_stay_words() {
        let words = Why::ours("DUPONT").to_kept();
        let why = Why { kind: None, words };
        assert_eq!(Why::of_kept(why.to_kept()), why);
    }

    #[test]
    fn a_long_one_is_cut_between_two_letters() {
        let why = Why::new(WhyKind::Held, "é".repeat(5));
        assert_eq!(why.clone().cut(3), Why::new(WhyKind::Held, "ééé…"));
        assert_eq!(why.clone().cut(5), why);
    }
}
