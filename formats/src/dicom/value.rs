//! Values as text, and text as values.

use thiserror::Error;

use super::{
    charset::{CharacterSet, Lacks},
    syntax::Encoding,
    tag::Tag,
    uid::is_uid,
    vr::Vr,
};

/// Why a text cannot be a value, without the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    /// A value of bytes was read or written as text.
    #[error("holds bytes, not text: `bytes(…)` reads them")]
    Bytes,
    /// A sequence was read or written as text.
    #[error("is a sequence: its items are named by `[1]`, and added by `add`")]
    Sequence,
    /// Its bytes are not in its character set.
    #[error("has bytes that its character set does not hold")]
    NotInCharset,
    /// The character set has no such character.
    #[error(
        "cannot hold character {0} of the text in the instance's character set: write `ISO_IR 192` to `SpecificCharacterSet` first"
    )]
    Lacks(usize),
    /// Not a number where a number is written.
    #[error("takes a number of kind {0}")]
    NotNumber(Vr),
    /// Not a UID where one is written.
    #[error("takes a UID: digits and dots, 64 at most")]
    NotUid,
    /// Longer than the standard lets it be.
    #[error("takes {most} characters at most, not {length}")]
    TooLong {
        /// What it takes.
        most: usize,
        /// What it was given.
        length: usize,
    },
    /// A control character.
    #[error("cannot hold a control character")]
    Control,
    /// A date or time that is none.
    #[error("takes a value of kind {0}")]
    NotTime(Vr),
}

/// What must be known to read or write a value.
#[derive(Clone, Copy)]
pub(crate) struct Manner<'a> {
    pub(crate) vr: Vr,
    pub(crate) encoding: Encoding,
    pub(crate) charset: &'a CharacterSet,
}

impl Manner<'_> {
    /// The value as text; several with `\` between.
    pub(crate) fn read(&self, bytes: &[u8]) -> Result<String, ValueError> {
        if self.vr == Vr::SQ {
            return Err(ValueError::Sequence);
        }
        if self.vr.width().is_some() {
            return Ok(self.numbers(bytes));
        }
        let text = if self.vr.has_charset() {
            self.charset.decode(bytes).ok_or(ValueError::NotInCharset)?
        } else if self.vr.is_text() {
            // By the standard ASCII alone; what others write there is at least shown.
            CharacterSet::default().decode(bytes).ok_or(ValueError::NotInCharset)?
        } else {
            self.unknown(bytes)?
        };
        Ok(self.trimmed(&text))
    }

    /// Bytes of an unknown kind are text where they can be.
    fn unknown(&self, bytes: &[u8]) -> Result<String, ValueError> {
        let is_printable = |text: &String| !text.trim_end_matches('\0').contains(|c: char| c.is_control());
        let text = if self.vr == Vr::UN { self.charset.decode(bytes).filter(is_printable) } else { None };
        text.ok_or(ValueError::Bytes)
    }

    fn trimmed(&self, text: &str) -> String {
        let ends = [' ', '\0'];
        if !self.vr.has_several() {
            return text.trim_end_matches(ends).to_owned();
        }
        let values: Vec<&str> = text.split('\\').map(|value| value.trim_matches(ends)).collect();
        values.join("\\")
    }

    fn numbers(&self, bytes: &[u8]) -> String {
        let width = self.vr.width().unwrap_or(1);
        let numbers = bytes.chunks_exact(width).map(|bytes| self.number(bytes));
        numbers.collect::<Vec<_>>().join("\\")
    }

    fn number(&self, bytes: &[u8]) -> String {
        let mut eight = [0; 8];
        // As little-endian, whatever it was, with what is missing behind it.
        eight[..bytes.len()].copy_from_slice(bytes);
        if self.encoding.is_big {
            eight[..bytes.len()].reverse();
        }
        let number = u64::from_le_bytes(eight);
        match &self.vr.0 {
            b"SS" => (number as u16 as i16).to_string(),
            b"SL" => (number as u32 as i32).to_string(),
            b"SV" => (number as i64).to_string(),
            b"FL" => f32::from_bits(number as u32).to_string(),
            b"FD" => f64::from_bits(number).to_string(),
            b"AT" => self.read_tag(bytes).to_string(),
            _ => number.to_string(),
        }
    }

    fn read_tag(&self, bytes: &[u8]) -> Tag {
        let half = |at: usize| self.encoding.u16([bytes[at], bytes[at + 1]]);
        Tag::new(half(0), half(2))
    }

    /// Text as the bytes of a value, of an even length.
    pub(crate) fn write(&self, text: &str) -> Result<Vec<u8>, ValueError> {
        if self.vr == Vr::SQ {
            return Err(ValueError::Sequence);
        }
        if text.is_empty() {
            return Ok(Vec::new());
        }
        if self.vr.width().is_some() {
            return text
                .split('\\')
                .map(|number| self.write_number(number.trim()))
                .collect::<Result<Vec<_>, _>>()
                .map(|all| all.concat());
        }
        if !self.vr.is_text() && self.vr != Vr::UN {
            return Err(ValueError::Bytes);
        }
        self.allow(text)?;
        let charset =
            if self.vr.is_text() && !self.vr.has_charset() { &CharacterSet::default() } else { self.charset };
        let mut bytes = charset.encode(text).map_err(|Lacks(place)| ValueError::Lacks(place))?;
        if bytes.len() % 2 == 1 {
            bytes.push(if self.vr == Vr::UI { 0 } else { b' ' });
        }
        Ok(bytes)
    }

    fn write_number(&self, text: &str) -> Result<Vec<u8>, ValueError> {
        let wrong = || ValueError::NotNumber(self.vr);
        let whole = |least: i128, most: i128| {
            text.parse::<i128>().ok().filter(|number| (least..=most).contains(number)).ok_or_else(wrong)
        };
        let (mut bytes, width) = match &self.vr.0 {
            b"US" => (whole(0, i128::from(u16::MAX))?.to_le_bytes().to_vec(), 2),
            b"SS" => (whole(i128::from(i16::MIN), i128::from(i16::MAX))?.to_le_bytes().to_vec(), 2),
            b"UL" => (whole(0, i128::from(u32::MAX))?.to_le_bytes().to_vec(), 4),
            b"SL" => (whole(i128::from(i32::MIN), i128::from(i32::MAX))?.to_le_bytes().to_vec(), 4),
            b"UV" => (whole(0, i128::from(u64::MAX))?.to_le_bytes().to_vec(), 8),
            b"SV" => (whole(i128::from(i64::MIN), i128::from(i64::MAX))?.to_le_bytes().to_vec(), 8),
            b"FL" => (text.parse::<f32>().map_err(|_| wrong())?.to_le_bytes().to_vec(), 4),
            b"FD" => (text.parse::<f64>().map_err(|_| wrong())?.to_le_bytes().to_vec(), 8),
            _ => return self.write_tag(text),
        };
        bytes.truncate(width);
        if self.encoding.is_big {
            bytes.reverse();
        }
        Ok(bytes)
    }

    fn write_tag(&self, text: &str) -> Result<Vec<u8>, ValueError> {
        let digits = text.replace(['(', ')', ','], "");
        let tag = Tag::parse_digits(&digits).ok_or(ValueError::NotNumber(self.vr))?;
        Ok([self.encoding.write_u16(tag.group()), self.encoding.write_u16(tag.number())].concat())
    }

    /// What the standard lets stand in a value of this kind.
    fn allow(&self, text: &str) -> Result<(), ValueError> {
        let is_paragraph = !self.vr.has_several();
        let may_control = |c: char| is_paragraph && matches!(c, '\r' | '\n' | '\t' | '\x0C');
        if text.chars().any(|character| character.is_control() && !may_control(character)) {
            return Err(ValueError::Control);
        }
        if is_paragraph || self.vr == Vr::UN {
            return longest(self.vr).map_or(Ok(()), |most| within(text, most));
        }
        text.split('\\').try_for_each(|value| self.allow_one(value.trim_matches(' ')))
    }

    fn allow_one(&self, value: &str) -> Result<(), ValueError> {
        if value.is_empty() {
            return Ok(());
        }
        if let Some(most) = longest(self.vr) {
            value
                .split(if self.vr == Vr::PN { '=' } else { '\\' })
                .try_for_each(|group| within(group, most))?;
        }
        let holds = |allowed: &str| value.chars().all(|c| c.is_ascii_digit() || allowed.contains(c));
        match &self.vr.0 {
            b"UI" if !is_uid(value) => Err(ValueError::NotUid),
            b"IS" | b"DS" if value.parse::<f64>().is_err() || !holds("+-.eE") => {
                Err(ValueError::NotNumber(self.vr))
            }
            b"DA" if value.len() != 8 || !holds("") => Err(ValueError::NotTime(self.vr)),
            b"TM" if !holds(".") || value.len() < 2 => Err(ValueError::NotTime(self.vr)),
            b"DT" if !holds(".+-") || value.len() < 4 => Err(ValueError::NotTime(self.vr)),
            b"AS" if value.len() != 4 || !value.ends_with(['D', 'W', 'M', 'Y']) => {
                Err(ValueError::NotTime(self.vr))
            }
            _ => Ok(()),
        }
    }
}

fn within(text: &str, most: usize) -> Result<(), ValueError> {
    let length = text.chars().count();
    if length > most { Err(ValueError::TooLong { most, length }) } else { Ok(()) }
}

/// How many characters one value has at most; of a name, each of its three ways of writing.
fn longest(vr: Vr) -> Option<usize> {
    match &vr.0 {
        b"AE" | b"CS" | b"SH" | b"DS" | b"TM" => Some(16),
        b"IS" => Some(12),
        b"DT" => Some(26),
        b"LO" | b"PN" | b"UI" => Some(64),
        b"ST" => Some(1024),
        b"LT" => Some(10240),
        _ => None,
    }
}
