//! A part of a message that is copied or built with its delimiters, such as `DUPONT^JEAN`.

use std::{borrow::Cow, fmt};

use super::{Delimiters, EditError, escape};

/// Text as it stands in a message, together with the delimiters it is written in.
#[derive(Clone, PartialEq, Eq)]
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

    /// The text in the delimiters of another message. What is only text here and a delimiter there becomes escaped.
    pub(super) fn written_in(&self, target: &Delimiters) -> Result<Cow<'_, str>, EditError> {
        if self.delimiters == *target && !self.text.contains(['\r', '\n']) {
            return Ok(Cow::Borrowed(&self.text));
        }
        let mut written = String::with_capacity(self.text.len());
        for character in self.text.chars() {
            self.write(character, target, &mut written)?;
        }
        Ok(Cow::Owned(written))
    }

    fn write(&self, character: char, target: &Delimiters, written: &mut String) -> Result<(), EditError> {
        let letter = u8::try_from(character).ok().and_then(|byte| self.delimiters.letter(byte));
        match letter {
            // Truncation marks the text and divides nothing.
            None | Some(b'P') => {
                let mut buffer = [0; 4];
                written.push_str(&escape::encode(character.encode_utf8(&mut buffer), target)?);
            }
            Some(letter) => {
                let missing = if letter == b'E' { EditError::NoEscape } else { EditError::NoSubcomponent };
                written.push(target.delimiter(letter).ok_or(missing)?.into());
            }
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Shows the size only: a part is about a patient, and debug output ends in logs.
impl fmt::Debug for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Part({} bytes)", self.text.len())
    }
}
