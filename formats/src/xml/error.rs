//! What can be wrong with a document or a change, said without a word of its content.

use thiserror::Error;

/// Why a text is no XML, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {why}")]
pub struct XmlError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub why: Why,
}

/// The ways in which a text fails to be XML, or to be taken as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// No element begins where one must.
    #[error("here an element should begin: this is not XML")]
    NoElement,
    /// The text ends inside something.
    #[error("the text ends before what begins here does")]
    Unfinished,
    /// A tag is not written as one.
    #[error("this is not a tag: a `<` of the text is written `&lt;`")]
    BadTag,
    /// An attribute is not written as `name="value"`.
    #[error("this is not an attribute: it would be `name=\"value\"`")]
    BadAttribute,
    /// Two attributes of one name.
    #[error("the element has two attributes of one name")]
    SameAttribute,
    /// A tag ends another element than the one that is open.
    #[error("this tag ends an element that is not the one that is open")]
    WrongEnd,
    /// An `&` that begins no reference.
    #[error("an `&` begins a reference that is not known: one of the text is written `&amp;`")]
    BadReference,
    /// Something follows the root element.
    #[error("something stands behind the end of the document's element")]
    BehindEnd,
    /// Document types can name files and grow without end: none is read.
    #[error("a DOCTYPE is not taken")]
    Doctype,
    /// Elements in elements in elements.
    #[error("elements stand in each other more than {0} deep")]
    TooDeep(usize),
    /// A character that XML cannot hold.
    #[error("a character that XML cannot hold")]
    BadCharacter,
}

/// Why a document cannot be changed as asked. It is then as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// A name that no element or attribute can have.
    #[error("`{0}` is not the name of an element or an attribute")]
    BadName(String),
    /// An occurrence that would leave a hole before it.
    #[error("`{path}` cannot be added: there are {count} of them")]
    Gap {
        /// The step asked for.
        path: String,
        /// How many there are.
        count: usize,
    },
    /// The path names another root element.
    #[error("the document's element is not `{0}`")]
    OtherRoot(String),
    /// A document has exactly one root.
    #[error("a document has exactly one element that holds all others")]
    Root,
    /// A character that XML cannot hold.
    #[error("the text holds a control character, which XML cannot hold")]
    BadCharacter,
    /// The element was removed.
    #[error("the element was removed")]
    Removed,
}
