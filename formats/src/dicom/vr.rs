//! The kind of a value: how it is written, and how long it may be.

use std::fmt;

/// A value representation: two capital letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vr(pub [u8; 2]);

const KNOWN: &[&[u8; 2]] = &[
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"OB", b"OD", b"OF",
    b"OL", b"OV", b"OW", b"PN", b"SH", b"SL", b"SQ", b"SS", b"ST", b"SV", b"TM", b"UC", b"UI", b"UL", b"UN",
    b"UR", b"US", b"UT", b"UV",
];

impl Vr {
    pub const SQ: Self = Self(*b"SQ");
    pub const UN: Self = Self(*b"UN");
    pub const LO: Self = Self(*b"LO");
    pub const UI: Self = Self(*b"UI");
    pub const UL: Self = Self(*b"UL");
    pub const US: Self = Self(*b"US");
    pub const SS: Self = Self(*b"SS");
    pub const CS: Self = Self(*b"CS");
    pub const OB: Self = Self(*b"OB");
    pub const OW: Self = Self(*b"OW");
    pub const PN: Self = Self(*b"PN");

    /// One that the standard knows.
    pub fn known(letters: [u8; 2]) -> Option<Self> {
        KNOWN.iter().any(|known| **known == letters).then_some(Self(letters))
    }

    /// Whether its length takes four bytes where kinds are written out.
    pub fn is_long(self) -> bool {
        matches!(
            &self.0,
            b"OB"
                | b"OD"
                | b"OF"
                | b"OL"
                | b"OV"
                | b"OW"
                | b"SQ"
                | b"SV"
                | b"UC"
                | b"UN"
                | b"UR"
                | b"UT"
                | b"UV"
        )
    }

    /// Whether its characters are those of the instance's character set.
    pub fn has_charset(self) -> bool {
        matches!(&self.0, b"SH" | b"LO" | b"ST" | b"LT" | b"UC" | b"UT" | b"PN")
    }

    /// Whether it is written in characters at all.
    pub fn is_text(self) -> bool {
        self.has_charset()
            || matches!(
                &self.0,
                b"AE" | b"AS" | b"CS" | b"DA" | b"DS" | b"DT" | b"IS" | b"TM" | b"UI" | b"UR"
            )
    }

    /// Whether a backslash stands between several values; in the others it is a character like any.
    pub fn has_several(self) -> bool {
        self.is_text() && !matches!(&self.0, b"ST" | b"LT" | b"UT" | b"UR")
    }

    /// Whether its length may be left open, to be ended by a mark.
    pub(crate) fn may_be_open(self) -> bool {
        matches!(&self.0, b"SQ" | b"UN" | b"OB" | b"OW")
    }

    /// How many bytes one number has, for those that hold numbers.
    pub fn width(self) -> Option<usize> {
        match &self.0 {
            b"US" | b"SS" => Some(2),
            b"UL" | b"SL" | b"FL" | b"AT" => Some(4),
            b"FD" | b"SV" | b"UV" => Some(8),
            _ => None,
        }
    }
}

impl fmt::Display for Vr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{}", byte.escape_ascii()))
    }
}

impl fmt::Debug for Vr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
