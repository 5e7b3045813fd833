//! Transfer syntaxes: how the elements of an instance are written.

use super::uid::is_uid;

/// How the bytes of an instance are written, by its UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferSyntax {
    uid: String,
}

pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
const PAPYRUS: &str = "1.2.840.10008.1.20";
const GE_PRIVATE: &str = "1.2.840.113619.5.2";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const DEFLATED: &[&str] = &["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"];

impl TransferSyntax {
    /// The one of this UID; none where it is no UID.
    pub fn of(uid: &str) -> Option<Self> {
        is_uid(uid).then(|| Self { uid: uid.to_owned() })
    }

    /// Its UID.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Whether the data set is deflated as a whole.
    pub fn is_deflated(&self) -> bool {
        DEFLATED.contains(&self.uid.as_str())
    }

    /// How its elements are written. What is not known is written as the standard asks of all new ones.
    pub fn encoding(&self) -> Encoding {
        Encoding {
            is_explicit: ![IMPLICIT, PAPYRUS, GE_PRIVATE].contains(&self.uid.as_str()),
            is_big: self.uid == BIG_ENDIAN,
        }
    }
}

/// How elements are written: with their kind or without, and which byte of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub is_explicit: bool,
    pub is_big: bool,
}

impl Encoding {
    /// That of the file meta group.
    pub const META: Self = Self { is_explicit: true, is_big: false };
    /// That of sequences whose kind was not known to who wrote them.
    pub const IMPLICIT: Self = Self { is_explicit: false, is_big: false };

    pub fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    pub fn write_u16(self, number: u16) -> [u8; 2] {
        if self.is_big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub fn write_u32(self, number: u32) -> [u8; 4] {
        if self.is_big { number.to_be_bytes() } else { number.to_le_bytes() }
    }
}
