//! The characters that divide one HL7 message, as its MSH-1 and MSH-2 declare them.

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
        let _ = line;
        unimplemented!()
    }
}
