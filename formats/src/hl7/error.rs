//! What can be wrong with a message, a path or an edit, said without a word of the message's content.

use thiserror::Error;

/// Why bytes cannot be taken as an HL7 message, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{why} (byte {at})")]
pub struct ParseError {
    /// The offset in the bytes or text given, from 0.
    pub at: usize,
    /// What is wrong there.
    pub why: Why,
}

/// The ways in which bytes fail to be a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// There is nothing but blanks.
    #[error("the message is empty")]
    Empty,
    /// The first segment is another one, or this is not HL7 at all.
    #[error("the message does not begin with MSH")]
    NotHl7,
    /// MSH ends before its delimiters.
    #[error("MSH ends before its delimiters")]
    NoDelimiters,
    /// A delimiter is a letter, a digit, a blank or not ASCII.
    #[error("a delimiter in MSH-1 or MSH-2 is a letter, a digit, a blank or not ASCII")]
    BadDelimiter,
    /// Two delimiters are the same character.
    #[error("two delimiters in MSH-1 and MSH-2 are equal")]
    EqualDelimiters,
    /// The message does not say what it is.
    #[error("MSH-9, the message type, is missing")]
    NoMessageType,
    /// Only a header came.
    #[error("nothing follows MSH")]
    NothingAfterHeader,
    /// Two messages in one, without a batch around them.
    #[error("a second MSH outside a batch")]
    SecondHeader,
    /// A batch holds a segment that belongs to no message.
    #[error("a segment of the batch stands outside any message")]
    OutsideMessage,
    /// MSH-10 cannot hold a delimiter between fields or a line break.
    #[error("the new MSH-10 holds a field delimiter or a line break")]
    BadControlId,
    /// The text is not possible in the charset that the message declares.
    #[error("a byte that the declared charset cannot hold")]
    Charset,
}

/// Why a text is not a path, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{path}` is not a path: {why} (at character {at})")]
pub struct PathError {
    /// The text that was given.
    pub path: String,
    /// The character that is wrong, from 1.
    pub at: usize,
    /// What is wrong, for a person.
    pub why: &'static str,
}

/// Why a message cannot be changed as asked. The message is then as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// Changing MSH-1 or MSH-2 would change what every other character means.
    #[error("MSH-1 and MSH-2 hold the delimiters and cannot be set")]
    Delimiters,
    /// A place made with a 0, which no path can say.
    #[error("`{0}` is no place: fields, repetitions and components count from 1")]
    CountsFromOne(String),
    /// Text does not replace a segment; a part does.
    #[error("`{0}` is a whole segment: set a field, or a part that begins with its name")]
    WholeSegment(String),
    /// An occurrence that would leave a hole before it.
    #[error("`{path}` cannot be added: the message has {count} of them")]
    Gap {
        /// The place asked for.
        path: String,
        /// How many there are.
        count: usize,
    },
    /// No segment of this name or number.
    #[error("the message has no segment `{0}`")]
    NoSegment(String),
    /// A name that is not three capitals or digits.
    #[error("`{0}` is not the name of a segment that can be written")]
    BadName(String),
    /// A character needs an escape sequence in a message without an escape character.
    #[error("the message has no escape character, and the text holds a delimiter or a line break")]
    NoEscape,
    /// The message declares no subcomponents.
    #[error("the message declares no subcomponent delimiter")]
    NoSubcomponent,
    /// The part holds delimiters of a higher level than the place.
    #[error("the part has more levels than `{0}` can hold")]
    TooManyLevels(String),
    /// A header cannot be removed, added or moved.
    #[error("a message has exactly one MSH")]
    Header,
    /// One segment holds no line break.
    #[error("a segment holds no line break")]
    LineBreak,
}
