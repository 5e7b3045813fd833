//! What the standard calls its elements, and of which kind they are: part 6, as a table.

use std::{collections::HashMap, sync::LazyLock};

use super::{tag::Tag, vr::Vr};

static TABLE: LazyLock<Dictionary> = LazyLock::new(|| Dictionary::read(include_str!("dictionary.tsv")));

struct Entry {
    tag: u32,
    vr: &'static str,
    keyword: &'static str,
}

struct Dictionary {
    /// In the order of their tags.
    elements: Vec<Entry>,
    /// Those that repeat in several groups, with a mask of the digits that count.
    repeating: Vec<(u32, Entry)>,
    keywords: HashMap<&'static str, Tag>,
}

impl Dictionary {
    fn read(table: &'static str) -> Self {
        let mut dictionary = Self { elements: Vec::new(), repeating: Vec::new(), keywords: HashMap::new() };
        for line in table.lines() {
            let mut cells = line.split('\t');
            let (Some(digits), Some(vr), Some(keyword)) = (cells.next(), cells.next(), cells.next()) else {
                continue;
            };
            dictionary.add(digits, vr, keyword);
        }
        dictionary.elements.sort_unstable_by_key(|entry| entry.tag);
        dictionary
    }

    fn add(&mut self, digits: &str, vr: &'static str, keyword: &'static str) {
        let hexadecimal = |text: String| u32::from_str_radix(&text, 16).expect("the table holds tags");
        let tag = hexadecimal(digits.replace('x', "0"));
        let entry = Entry { tag, vr, keyword };
        self.keywords.insert(keyword, Tag(tag));
        if digits.contains('x') {
            let mask = |digit| if digit == 'x' { '0' } else { 'F' };
            self.repeating.push((hexadecimal(digits.chars().map(mask).collect()), entry));
        } else {
            self.elements.push(entry);
        }
    }

    fn entry(&self, tag: Tag) -> Option<&Entry> {
        if let Ok(found) = self.elements.binary_search_by_key(&tag.0, |entry| entry.tag) {
            return Some(&self.elements[found]);
        }
        // Groups 50xx and 60xx repeat with even numbers; odd ones are private.
        let repeats = |(mask, entry): &&(u32, Entry)| tag.0 & mask == entry.tag;
        self.repeating.iter().find(repeats).map(|(_, entry)| entry).filter(|_| !tag.is_private())
    }
}

/// What an element is called: `PatientID`.
pub fn keyword_of(tag: Tag) -> Option<&'static str> {
    TABLE.entry(tag).map(|entry| entry.keyword)
}

/// Which element is called so; of those that repeat, the first.
pub fn tag_of(keyword: &str) -> Option<Tag> {
    TABLE.keywords.get(keyword).copied()
}

/// Of which kind an element is where the file does not say. Some have a choice of kinds: the first that the
/// standard names.
pub fn vr_of(tag: Tag) -> Vr {
    if tag.is_creator() {
        return Vr::LO;
    }
    if tag.number() == 0 {
        return Vr::UL;
    }
    let letters = TABLE.entry(tag).and_then(|entry| entry.vr.as_bytes().first_chunk::<2>());
    match letters {
        // Pixels without a kind of their own are words.
        Some(b"OB") if tag.is_pixels() || tag.group() & 0xFF00 == 0x6000 => Vr::OW,
        Some(letters) => Vr(*letters),
        None => Vr::UN,
    }
}

/// Whether a number of this element may have a sign, as `PixelRepresentation` says.
pub(crate) fn may_have_sign(tag: Tag) -> bool {
    TABLE.entry(tag).is_some_and(|entry| entry.vr.starts_with("US/SS"))
}

/// Every keyword of the standard.
pub fn keywords() -> impl Iterator<Item = &'static str> {
    TABLE.elements.iter().map(|entry| entry.keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_tag_and_by_name() {
        assert_eq!(tag_of("PatientID"), Some(Tag(0x0010_0020)));
        assert_eq!(keyword_of(Tag(0x0040_0275)), Some("RequestAttributesSequence"));
        assert_eq!(keyword_of(Tag(0x6002_3000)), Some("OverlayData"));
        assert_eq!((vr_of(Tag(0x6002_0010)), vr_of(Tag(0x0009_0010))), (Vr::US, Vr::LO));
        assert_eq!((vr_of(Tag(0x0009_1010)), vr_of(tag_of("PixelData").unwrap())), (Vr::UN, Vr::OW));
        assert_eq!((tag_of("Nonsense"), keyword_of(Tag(0x0009_1010))), (None, None));
    }
}
