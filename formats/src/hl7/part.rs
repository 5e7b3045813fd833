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
        let mut rest = self.text.as_str();
        while let Some(character) = rest.chars().next() {
            let sequence = self.sequence(rest);
            match sequence {
                Some(sequence) => self.write_sequence(sequence, target, &mut written)?,
                None => self.write(character, target, &mut written)?,
            }
            rest = &rest[sequence.map_or(character.len_utf8(), |sequence| sequence.len() + 2)..];
        }
        Ok(Cow::Owned(written))
    }

    /// What stands between the escape characters, if the text begins with a sequence.
    fn sequence<'a>(&self, text: &'a str) -> Option<&'a str> {
        let escape = char::from(self.delimiters.escape?);
        let (sequence, _) = text.strip_prefix(escape)?.split_once(escape)?;
        (self.meant(sequence).is_some() || escape::is_same_everywhere(sequence)).then_some(sequence)
    }

    /// The delimiter that a sequence stands for; in another message it may be a plain character.
    fn meant(&self, sequence: &str) -> Option<u8> {
        let [letter] = sequence.as_bytes() else { return None };
        self.delimiters.delimiter(*letter)
    }

    fn write_sequence(
        &self,
        sequence: &str,
        target: &Delimiters,
        written: &mut String,
    ) -> Result<(), EditError> {
        let Some(delimiter) = self.meant(sequence) else {
            let escape = char::from(target.escape.ok_or(EditError::NoEscape)?);
            written.extend([escape.encode_utf8(&mut [0; 4]), sequence, escape.encode_utf8(&mut [0; 4])]);
            return Ok(());
        };
        write_text(delimiter.into(), target, written)
    }

    fn write(&self, character: char, target: &Delimiters, written: &mut String) -> Result<(), EditError> {
        let letter = u8::try_from(character).ok().and_then(|byte| self.delimiters.letter(byte));
        match letter {
            // An escape character alone is text; truncation marks text and divides nothing.
            None | Some(b'E' | b'P') => write_text(character, target, written),
            Some(letter) => {
                written.push(target.delimiter(letter).ok_or(EditError::NoSubcomponent)?.into());
                Ok(())
            }
        }
    }
}

fn write_text(character: char, target: &Delimiters, written: &mut String) -> Result<(), EditError> {
    written.push_str(&escape::encode(character.encode_utf8(&mut [0; 4]), target)?);
    Ok(())
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
