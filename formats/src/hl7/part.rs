//! A part of a message that is copied or built with its delimiters, such as `DUPONT^JEAN`.

use std::fmt;

use super::Delimiters;

/// Text as it stands in a message, together with the delimiters it is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub(super) text: String,
    pub(super) delimiters: Delimiters,
}

impl Part {
    /// A part written with the standard delimiters `|^~\&`; put in a message it takes on those of the message.
    pub fn of(text: &str) -> Part {
        Part { text: text.to_owned(), delimiters: Delimiters::STANDARD }
    }

    /// The text as it stands.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether nothing stands there.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
