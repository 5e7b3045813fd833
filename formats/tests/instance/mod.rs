//! Builds small DICOM files, sound ones and others, byte by byte.

#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const BIG: &str = "1.2.840.10008.1.2.2";
pub(crate) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

/// Elements one behind the other.
#[derive(Clone, Default)]
pub(crate) struct Elements {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_implicit: bool,
    pub(crate) is_big: bool,
}

impl Elements {
    pub(crate) fn explicit() -> Self {
        Self::default()
    }

    pub(crate) fn implicit() -> Self {
        Self { is_implicit: true, ..Self::default() }
    }

    pub(crate) fn big() -> Self {
        Self { is_big: true, ..Self::default() }
    }

    fn u16(&self, number: u16) -> [u8; 2] {
        if self.is_big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u32(&self, number: u32) -> [u8; 4] {
        if self.is_big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// A head that says what it likes.
    pub(crate) fn head(mut self, tag: u32, vr: &str, length: u32) -> Self {
        self.bytes.extend(self.u16((tag >> 16) as u16));
        self.bytes.extend(self.u16(tag as u16));
        let is_mark = tag >> 16 == 0xFFFE;
        if self.is_implicit || is_mark {
            self.bytes.extend(self.u32(length));
            return self;
        }
        self.bytes.extend(vr.as_bytes());
        if ["OB", "OW", "SQ", "UN", "UT", "UC", "UR", "OF", "OD"].contains(&vr) {
            self.bytes.extend([0, 0]);
            self.bytes.extend(self.u32(length));
        } else {
            self.bytes.extend(self.u16(length as u16));
        }
        self
    }

    pub(crate) fn with(self, tag: u32, vr: &str, value: &[u8]) -> Self {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == "UI" || vr == "OB" { 0 } else { b' ' });
        }
        let mut grown = self.head(tag, vr, value.len() as u32);
        grown.bytes.extend(value);
        grown
    }

    /// A sequence whose lengths are told.
    pub(crate) fn sequence(self, tag: u32, items: &[Self]) -> Self {
        let mut within = Self { bytes: Vec::new(), ..self.clone() };
        for item in items {
            within = within.head(0xFFFE_E000, "", item.bytes.len() as u32);
            within.bytes.extend(&item.bytes);
        }
        let mut grown = self.head(tag, "SQ", within.bytes.len() as u32);
        grown.bytes.extend(within.bytes);
        grown
    }

    /// A sequence that is ended by marks.
    pub(crate) fn open_sequence(self, tag: u32, items: &[Self]) -> Self {
        let mut grown = self.head(tag, "SQ", u32::MAX);
        for item in items {
            grown = grown.head(0xFFFE_E000, "", u32::MAX);
            grown.bytes.extend(&item.bytes);
            grown = grown.head(0xFFFE_E00D, "", 0);
        }
        grown.head(0xFFFE_E0DD, "", 0)
    }

    /// What makes an instance one: its class and its three UIDs.
    pub(crate) fn identified(self) -> Self {
        self.with(0x0008_0016, "UI", b"1.2.840.10008.5.1.4.1.1.2").with(0x0008_0018, "UI", b"1.2.3.4")
    }
}

/// A whole file.
pub(crate) fn file(syntax: &str, elements: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    let meta = Elements::explicit()
        .with(0x0002_0002, "UI", b"1.2.840.10008.5.1.4.1.1.2")
        .with(0x0002_0003, "UI", b"1.2.3.4")
        .with(0x0002_0010, "UI", syntax.as_bytes());
    let length = Elements::explicit().with(0x0002_0000, "UL", &(meta.bytes.len() as u32).to_le_bytes());
    file.extend(length.bytes);
    file.extend(meta.bytes);
    if syntax == DEFLATED {
        let mut deflater = flate2::write::DeflateEncoder::new(file, flate2::Compression::default());
        std::io::Write::write_all(&mut deflater, elements).expect("memory takes all");
        return deflater.finish().expect("memory takes all");
    }
    file.extend(elements);
    file
}

/// A small one with everything that makes walking hard: both kinds of sequences, one in the other, and pixels.
pub(crate) fn small(of: Elements, syntax: &str) -> Vec<u8> {
    let empty = Elements { bytes: Vec::new(), ..of.clone() };
    let inner = empty.clone().with(0x0008_0100, "SH", b"CODE").with(0x0008_0104, "LO", b"Meaning");
    let request = empty
        .clone()
        .with(0x0040_0007, "LO", b"Chest")
        .sequence(0x0040_0008, std::slice::from_ref(&inner))
        .with(0x0040_0009, "SH", b"STEP1");
    let second = empty.clone().with(0x0040_0009, "SH", b"STEP2");
    let elements = of
        .with(0x0008_0005, "CS", b"ISO_IR 100")
        .identified()
        .with(0x0008_0050, "SH", b"ACC1")
        .with(0x0008_0060, "CS", b"CT")
        .open_sequence(0x0008_1032, std::slice::from_ref(&inner))
        .with(0x0010_0010, "PN", b"DUPONT^H\xE9l\xE8ne")
        .with(0x0010_0020, "LO", b"P1")
        .with(0x0019_0010, "LO", b"ACME 1.0")
        .with(0x0019_1001, "LO", b"private")
        .with(0x0020_000D, "UI", b"1.2.3")
        .with(0x0020_000E, "UI", b"1.2.3.1")
        .sequence(0x0040_0275, &[request, second])
        .with(0x7FE0_0010, "OW", &[7; 64]);
    file(syntax, &elements.bytes)
}
