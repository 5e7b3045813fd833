//! The header of a message, read from its bytes before anything is decoded.

use std::borrow::Cow;

use super::Delimiters;
pub use super::ParseError as HeaderError;

/// The fields of MSH as they stand. Bytes in UTF-16 are turned into UTF-8; all others are as they came.
#[derive(Clone, Debug)]
pub struct Header<'a> {
    line: Cow<'a, [u8]>,
    delimiters: Delimiters,
}

impl<'a> Header<'a> {
    /// Finds MSH and its delimiters.
    pub fn read(message: &'a [u8]) -> Result<Header<'a>, HeaderError> {
        let _ = message;
        unimplemented!()
    }

    /// Says why the message cannot be taken: no MSH-9, nothing after MSH, a second MSH.
    pub fn readable(&self) -> Result<(), HeaderError> {
        unimplemented!()
    }

    /// The delimiters of the message.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// A field of MSH as it stands, all repetitions and components; empty when absent.
    pub fn field(&self, number: usize) -> &[u8] {
        let _ = (number, &self.line);
        unimplemented!()
    }

    /// The first component of the first repetition of a field, as it stands.
    pub fn first(&self, number: usize) -> &[u8] {
        let _ = number;
        unimplemented!()
    }

    /// A field as text, for people: UTF-8, else Windows-1252.
    pub fn text(&self, number: usize) -> Cow<'_, str> {
        let _ = number;
        unimplemented!()
    }

    /// MSH-3 and MSH-4, which together name the sender.
    pub fn sender(&self) -> (&[u8], &[u8]) {
        (self.field(3), self.field(4))
    }

    /// MSH-9.1, such as `ADT`.
    pub fn message_code(&self) -> &[u8] {
        unimplemented!()
    }

    /// MSH-9.2, such as `A01`.
    pub fn trigger_event(&self) -> &[u8] {
        unimplemented!()
    }

    /// The whole of MSH-10.
    pub fn control_id(&self) -> &[u8] {
        self.field(10)
    }

    /// MSH-11.1.
    pub fn processing_id(&self) -> &[u8] {
        self.first(11)
    }

    /// MSH-12.1.
    pub fn version(&self) -> &[u8] {
        self.first(12)
    }

    /// MSH-15, what the sender wants to hear at once: `AL`, `NE`, `ER`, `SU` or nothing.
    pub fn accept_acknowledgement(&self) -> &[u8] {
        self.first(15)
    }

    /// MSH-16, what the sender wants to hear in the end: `AL`, `NE`, `ER`, `SU` or nothing.
    pub fn application_acknowledgement(&self) -> &[u8] {
        self.first(16)
    }

    /// The first repetition of MSH-18.
    pub fn charset(&self) -> &[u8] {
        self.first(18)
    }
}
