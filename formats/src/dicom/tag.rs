//! The name of an element: a group and a number in it.

use std::fmt;

use super::dictionary;

/// A tag: its group in the upper half, its number in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

impl Tag {
    /// The tag of a group and a number.
    pub const fn new(group: u16, number: u16) -> Self {
        Self((group as u32) << 16 | number as u32)
    }

    /// The first half.
    pub const fn group(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The second half.
    pub const fn number(self) -> u16 {
        self.0 as u16
    }

    /// Whether a manufacturer gives it its meaning: its group is odd.
    pub const fn is_private(self) -> bool {
        self.group() % 2 == 1
    }

    /// Whether it names the maker of a block of private elements.
    pub const fn is_creator(self) -> bool {
        self.is_private() && self.number() >= 0x10 && self.number() <= 0xFF
    }

    /// Which element names the maker of this private one.
    pub const fn creator(self) -> Option<Self> {
        if self.is_private() && self.number() >= 0x1000 {
            Some(Self::new(self.group(), self.number() >> 8))
        } else {
            None
        }
    }

    /// Whether its value is what an image is made of: it is passed over, never read.
    pub const fn is_pixels(self) -> bool {
        matches!(self.0, 0x7FE0_0008..=0x7FE0_0010)
    }

    /// Reads eight hexadecimal digits.
    pub fn parse_digits(digits: &str) -> Option<Self> {
        let are_digits = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if are_digits { u32::from_str_radix(digits, 16).ok().map(Self) } else { None }
    }
}

/// `(0010,0020)`.
impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({:04X},{:04X})", self.group(), self.number())?;
        match dictionary::keyword_of(*self) {
            Some(keyword) if formatter.alternate() => write!(formatter, " {keyword}"),
            _ => Ok(()),
        }
    }
}

/// Tags that the engine itself asks for.
pub mod tags {
    use super::Tag;

    pub const TRANSFER_SYNTAX: Tag = Tag(0x0002_0010);
    pub const MEDIA_SOP_CLASS: Tag = Tag(0x0002_0002);
    pub const MEDIA_SOP_INSTANCE: Tag = Tag(0x0002_0003);
    pub const META_VERSION: Tag = Tag(0x0002_0001);
    pub const IMPLEMENTATION: Tag = Tag(0x0002_0012);
    pub const META_LENGTH: Tag = Tag(0x0002_0000);
    pub const CHARACTER_SET: Tag = Tag(0x0008_0005);
    pub const SOP_CLASS: Tag = Tag(0x0008_0016);
    pub const SOP_INSTANCE: Tag = Tag(0x0008_0018);
    pub const ACCESSION: Tag = Tag(0x0008_0050);
    pub const MODALITY: Tag = Tag(0x0008_0060);
    pub const PATIENT_ID: Tag = Tag(0x0010_0020);
    pub const STUDY: Tag = Tag(0x0020_000D);
    pub const SERIES: Tag = Tag(0x0020_000E);
    pub const PIXEL_REPRESENTATION: Tag = Tag(0x0028_0103);
    pub const PIXELS: Tag = Tag(0x7FE0_0010);
    pub const ITEM: Tag = Tag(0xFFFE_E000);
    pub const ITEM_END: Tag = Tag(0xFFFE_E00D);
    pub const SEQUENCE_END: Tag = Tag(0xFFFE_E0DD);
}
