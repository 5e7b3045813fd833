//! The characters that divide one HL7 message, as its MSH-1 and MSH-2 declare them.

use memchr::memchr;

use super::error::Why;

/// The delimiters of one message. All of them are ASCII and no two are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields: `|`.
    pub field: u8,
    /// Between components: `^`.
    pub component: u8,
    /// Between repetitions of a field: `~`.
    pub repetition: u8,
    /// Around escape sequences: `\`. A message may do without.
    pub escape: Option<u8>,
    /// Between subcomponents: `&`. A message may do without.
    pub subcomponent: Option<u8>,
    /// Marks shortened text from version 2.7 on: `#`.
    pub truncation: Option<u8>,
}

impl Delimiters {
    /// What nearly every message uses: `|^~\&`.
    pub const STANDARD: Delimiters = Delimiters {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: Some(b'\\'),
        subcomponent: Some(b'&'),
        truncation: None,
    };

    /// Reads them from a line that begins with `MSH`, `FHS` or `BHS`.
    ///
    /// Tolerates `^~&`, which means `^~\&`, and an empty second field. The error comes with the place within the line.
    pub fn read(line: &[u8]) -> Result<Delimiters, (usize, Why)> {
        Delimiters::behind(3, line)
    }

    /// Reads them from a line that begins with a name of this length.
    pub(super) fn behind(name: usize, line: &[u8]) -> Result<Delimiters, (usize, Why)> {
        let Some((&field, rest)) = line.get(name..).and_then(<[u8]>::split_first) else {
            return Err((line.len(), Why::NoDelimiters));
        };
        let declared = &rest[..memchr(field, rest).unwrap_or(rest.len())];
        let delimiters = match declared {
            [] | b"^~&" => Delimiters { field, ..Delimiters::STANDARD },
            [component, others @ ..] => Delimiters {
                field,
                component: *component,
                repetition: others.first().copied().unwrap_or(Delimiters::STANDARD.repetition),
                escape: others.get(1).copied(),
                subcomponent: others.get(2).copied(),
                truncation: others.get(3).copied(),
            },
        };
        // What is standard and not declared has no place of its own.
        delimiters.check().map_err(|(at, why)| (at.min(line.len()), why))
    }

    /// The same field delimiter with the standard others, for a message whose MSH-2 is of no use.
    pub(super) fn rescued(line: &[u8]) -> Option<Delimiters> {
        let field = *line.get(3)?;
        Delimiters { field, ..Delimiters::STANDARD }.check().ok()
    }

    /// What MSH-2 says: all but the field delimiter, in their order.
    pub(super) fn declaration(&self) -> impl Iterator<Item = u8> {
        [Some(self.component), Some(self.repetition), self.escape, self.subcomponent, self.truncation]
            .into_iter()
            .map_while(|delimiter| delimiter)
    }

    /// The letter that stands for a delimiter in an escape sequence.
    pub(super) fn letter(&self, byte: u8) -> Option<u8> {
        match byte {
            _ if byte == self.field => Some(b'F'),
            _ if byte == self.component => Some(b'S'),
            _ if byte == self.repetition => Some(b'R'),
            _ if Some(byte) == self.escape => Some(b'E'),
            _ if Some(byte) == self.subcomponent => Some(b'T'),
            _ if Some(byte) == self.truncation => Some(b'P'),
            _ => None,
        }
    }

    /// The delimiter that such a letter stands for.
    pub(super) fn delimiter(&self, letter: u8) -> Option<u8> {
        match letter {
            b'F' => Some(self.field),
            b'S' => Some(self.component),
            b'R' => Some(self.repetition),
            b'E' => self.escape,
            b'T' => self.subcomponent,
            b'P' => self.truncation,
            _ => None,
        }
    }

    fn check(self) -> Result<Delimiters, (usize, Why)> {
        let mut seen = vec![self.field];
        if !is_possible(self.field) {
            return Err((3, Why::BadDelimiter));
        }
        for (place, delimiter) in self.declaration().enumerate() {
            if !is_possible(delimiter) {
                return Err((4 + place, Why::BadDelimiter));
            }
            if seen.contains(&delimiter) {
                return Err((4 + place, Why::EqualDelimiters));
            }
            seen.push(delimiter);
        }
        Ok(self)
    }
}

fn is_possible(delimiter: u8) -> bool {
    delimiter.is_ascii() && !delimiter.is_ascii_alphanumeric() && !b" \r\n\0".contains(&delimiter)
}

#[cfg(test)]
mod tests {
    use super::{Delimiters, Why};

    #[test]
    fn the_usual_and_the_unusual_are_read() {
        assert_eq!(Delimiters::read(b"MSH|^~\\&|A"), Ok(Delimiters::STANDARD));
        let unusual = Delimiters::read(b"MSH#*:!@#A").unwrap();
        assert_eq!((unusual.field, unusual.component, unusual.repetition), (b'#', b'*', b':'));
        assert_eq!((unusual.escape, unusual.subcomponent), (Some(b'!'), Some(b'@')));
        assert_eq!(Delimiters::read(b"MSH|^~\\&#|").unwrap().truncation, Some(b'#'));
    }

    #[test]
    fn a_forgotten_escape_character_is_tolerated_and_a_missing_one_respected() {
        assert_eq!(Delimiters::read(b"MSH|^~&|A"), Ok(Delimiters::STANDARD));
        assert_eq!(Delimiters::read(b"MSH||A"), Ok(Delimiters::STANDARD));
        let short = Delimiters::read(b"MSH|^~|A").unwrap();
        assert_eq!((short.escape, short.subcomponent), (None, None));
    }

    #[test]
    fn what_cannot_divide_is_refused_with_its_place() {
        assert_eq!(Delimiters::read(b"MSH"), Err((3, Why::NoDelimiters)));
        assert_eq!(Delimiters::read(b"MSHELLO"), Err((3, Why::BadDelimiter)));
        assert_eq!(Delimiters::read(b"MSH|^^^^|"), Err((5, Why::EqualDelimiters)));
        assert_eq!(Delimiters::read(b"MSH|^~\\\xE9|"), Err((7, Why::BadDelimiter)));
    }
}
