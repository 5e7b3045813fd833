//! The character sets of DICOM: single ones, and those that are switched by escapes within a text (ISO 2022).

use std::{collections::HashMap, sync::LazyLock};

use encoding_rs::Encoding;

const ESCAPE: u8 = 0x1B;

/// The sets of `SpecificCharacterSet`, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CharacterSet {
    sets: Vec<Set>,
    /// Whether it names one that is not known.
    is_unknown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Ascii,
    /// 256 characters, the upper half of them by this table.
    Upper(Upper),
    /// Two bytes a character.
    Pairs(Pairs),
    /// One that knows no escapes.
    Whole(&'static Encoding),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upper {
    Latin1,
    Kana,
    Table(&'static Encoding),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairs {
    Kanji,
    MoreKanji,
    Korean,
    Chinese,
}

/// Which name of the standard, the set, and what follows an escape that turns to it.
const SETS: &[(&str, Set, &[u8])] = &[
    ("6", Set::Ascii, b"(B"),
    ("100", Set::Upper(Upper::Latin1), b"-A"),
    ("101", Set::Upper(Upper::Table(encoding_rs::ISO_8859_2)), b"-B"),
    ("109", Set::Upper(Upper::Table(encoding_rs::ISO_8859_3)), b"-C"),
    ("110", Set::Upper(Upper::Table(encoding_rs::ISO_8859_4)), b"-D"),
    ("144", Set::Upper(Upper::Table(encoding_rs::ISO_8859_5)), b"-L"),
    ("127", Set::Upper(Upper::Table(encoding_rs::ISO_8859_6)), b"-G"),
    ("126", Set::Upper(Upper::Table(encoding_rs::ISO_8859_7)), b"-F"),
    ("138", Set::Upper(Upper::Table(encoding_rs::ISO_8859_8)), b"-H"),
    ("148", Set::Upper(Upper::Table(encoding_rs::WINDOWS_1254)), b"-M"),
    ("203", Set::Upper(Upper::Table(encoding_rs::ISO_8859_15)), b"-b"),
    ("166", Set::Upper(Upper::Table(encoding_rs::WINDOWS_874)), b"-T"),
    ("13", Set::Upper(Upper::Kana), b")I"),
    ("87", Set::Pairs(Pairs::Kanji), b"$B"),
    ("159", Set::Pairs(Pairs::MoreKanji), b"$(D"),
    ("149", Set::Pairs(Pairs::Korean), b"$)C"),
    ("58", Set::Pairs(Pairs::Chinese), b"$)A"),
];

/// A character that a set lacks: its place, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacks(pub usize);

impl CharacterSet {
    /// The sets of a value of `SpecificCharacterSet`: names with `\` between. What is not known counts as not given.
    pub fn named(names: &str) -> Self {
        let mut charset = Self::default();
        for name in names.split('\\') {
            match named(name.trim()) {
                Some(set) => charset.sets.push(set),
                None => charset.is_unknown = true,
            }
        }
        if charset.sets.is_empty() {
            charset.sets.push(Set::Ascii);
        }
        charset
    }

    /// Whether each of the names was known.
    pub fn is_known(&self) -> bool {
        !self.is_unknown
    }

    fn first(&self) -> Set {
        self.sets.first().copied().unwrap_or(Set::Ascii)
    }

    /// The bytes as text; none where they are not in these sets.
    pub fn decode(&self, bytes: &[u8]) -> Option<String> {
        if bytes.iter().all(|byte| byte.is_ascii() && *byte != ESCAPE) {
            return String::from_utf8(bytes.to_vec()).ok();
        }
        if let Set::Whole(encoding) = self.first() {
            return encoding.decode_without_bom_handling_and_without_replacement(bytes).map(Into::into);
        }
        Decoding { left: None, right: self.upper(), set: self }.run(bytes).or_else(|| {
            // Nothing declared: what is written by those who forget it.
            let is_undeclared = self.sets.iter().all(|set| *set == Set::Ascii);
            let latin = || bytes.iter().map(|byte| char::from(*byte)).collect();
            let guessed = String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| latin());
            (is_undeclared && !bytes.contains(&ESCAPE)).then_some(guessed)
        })
    }

    /// What bytes from 80 on are before any escape.
    fn upper(&self) -> Option<Set> {
        Some(self.first()).filter(|set| matches!(set, Set::Upper(_)))
    }

    /// Text as bytes; fails for a character that none of the sets has.
    pub fn encode(&self, text: &str) -> Result<Vec<u8>, Lacks> {
        if let Set::Whole(encoding) = self.first() {
            let (bytes, _, lacks) = encoding.encode(text);
            return if lacks { Err(Lacks(first_lacking(text, encoding))) } else { Ok(bytes.into_owned()) };
        }
        let mut written =
            Encoding2022 { out: Vec::with_capacity(text.len()), left: None, right: self.upper() };
        for (place, character) in text.chars().enumerate() {
            written.put(character, self).ok_or(Lacks(place + 1))?;
        }
        written.end_in_ascii();
        Ok(written.out)
    }
}

fn first_lacking(text: &str, encoding: &'static Encoding) -> usize {
    let lacks = |character: char| encoding.encode(character.encode_utf8(&mut [0; 4])).2;
    text.chars().position(lacks).map_or(1, |place| place + 1)
}

fn named(name: &str) -> Option<Set> {
    match name {
        "" => return Some(Set::Ascii),
        "ISO_IR 192" | "ISO 2022 IR 192" => return Some(Set::Whole(encoding_rs::UTF_8)),
        "GB18030" | "ISO 2022 GB18030" => return Some(Set::Whole(encoding_rs::GB18030)),
        "GBK" | "ISO 2022 GBK" => return Some(Set::Whole(encoding_rs::GBK)),
        _ => {}
    }
    // `ISO-IR` and `ISO IR` are met, too.
    let number = ["ISO_IR ", "ISO 2022 IR ", "ISO-IR ", "ISO IR "]
        .iter()
        .find_map(|start| name.strip_prefix(start))?;
    SETS.iter().find(|(known, _, _)| *known == number).map(|(_, set, _)| *set)
}

struct Decoding<'a> {
    /// Pairs below 80, while an escape has turned to them.
    left: Option<Pairs>,
    /// What bytes from 80 on are.
    right: Option<Set>,
    set: &'a CharacterSet,
}

impl Decoding<'_> {
    fn run(&mut self, bytes: &[u8]) -> Option<String> {
        let mut text = String::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = match (byte, self.left) {
                (ESCAPE, _) => self.turn(behind)?,
                (0x21..=0x7E, Some(pairs)) => {
                    let (second, behind) = behind.split_first()?;
                    text.push(pairs.character([byte | 0x80, second | 0x80])?);
                    behind
                }
                (..=0x7F, _) => {
                    self.plain(byte);
                    text.push(char::from(byte));
                    behind
                }
                (0x80.., _) => match self.right? {
                    Set::Upper(upper) => {
                        text.push(upper.character(byte)?);
                        behind
                    }
                    Set::Pairs(pairs) => {
                        let (second, behind) = behind.split_first()?;
                        text.push(pairs.character([byte, *second])?);
                        behind
                    }
                    Set::Ascii | Set::Whole(_) => return None,
                },
            };
        }
        Some(text)
    }

    /// Behind a delimiter and a line's end the first set is in force again.
    fn plain(&mut self, byte: u8) {
        if byte < 0x20 {
            self.left = None;
        }
        let begins = self.set.upper();
        if begins.is_some() && matches!(byte, b'\\' | b'^' | b'=' | b'\t' | b'\n' | 0x0C | b'\r') {
            self.right = begins;
        }
    }

    fn turn<'b>(&mut self, behind: &'b [u8]) -> Option<&'b [u8]> {
        // JIS X 0201, its lower half: ASCII but for two signs, which are read as ASCII. And the older JIS X 0208.
        for (escape, left) in [(&b"(J"[..], None), (b"$@", Some(Pairs::Kanji))] {
            if let Some(rest) = behind.strip_prefix(escape) {
                self.left = left;
                return Some(rest);
            }
        }
        let (_, set, escape) = SETS.iter().find(|(_, _, escape)| behind.starts_with(escape))?;
        match set {
            Set::Ascii => self.left = None,
            Set::Pairs(pairs) if pairs.is_left() => self.left = Some(*pairs),
            other => self.right = Some(*other),
        }
        Some(&behind[escape.len()..])
    }
}

impl Upper {
    fn character(self, byte: u8) -> Option<char> {
        match self {
            Self::Latin1 => Some(char::from(byte)),
            Self::Kana if (0xA1..=0xDF).contains(&byte) => char::from_u32(0xFF61 + u32::from(byte - 0xA1)),
            Self::Kana => None,
            Self::Table(encoding) => {
                encoding.decode_without_bom_handling_and_without_replacement(&[byte])?.chars().next()
            }
        }
    }

    fn byte(self, character: char) -> Option<u8> {
        match self {
            Self::Latin1 => u8::try_from(u32::from(character)).ok().filter(|byte| *byte >= 0xA0),
            Self::Kana => {
                let place = u32::from(character).checked_sub(0xFF61).filter(|place| *place <= 0x3E)?;
                Some(0xA1 + place as u8)
            }
            Self::Table(encoding) => {
                let mut buffer = [0; 4];
                let (bytes, _, lacks) = encoding.encode(character.encode_utf8(&mut buffer));
                match &*bytes {
                    [byte @ 0xA0..=0xFF] if !lacks => Some(*byte),
                    _ => None,
                }
            }
        }
    }
}

impl Pairs {
    /// Whether its bytes are below 80.
    fn is_left(self) -> bool {
        matches!(self, Self::Kanji | Self::MoreKanji)
    }

    fn character(self, [first, second]: [u8; 2]) -> Option<char> {
        let (encoding, bytes): (_, &[u8]) = match self {
            Self::Kanji => (encoding_rs::EUC_JP, &[first, second]),
            Self::MoreKanji => (encoding_rs::EUC_JP, &[0x8F, first, second]),
            Self::Korean => (encoding_rs::EUC_KR, &[first, second]),
            Self::Chinese => (encoding_rs::GBK, &[first, second]),
        };
        encoding.decode_without_bom_handling_and_without_replacement(bytes)?.chars().next()
    }

    fn bytes(self, character: char) -> Option<[u8; 2]> {
        let encoding = match self {
            Self::MoreKanji => return MORE_KANJI.get(&character).copied(),
            Self::Kanji => encoding_rs::EUC_JP,
            Self::Korean => encoding_rs::EUC_KR,
            Self::Chinese => encoding_rs::GBK,
        };
        let mut buffer = [0; 4];
        let (bytes, _, lacks) = encoding.encode(character.encode_utf8(&mut buffer));
        match *bytes {
            // The encoders know more than these sets have: those have 94 rows of 94.
            [first @ 0xA1..=0xFE, second @ 0xA1..=0xFE] if !lacks => Some([first, second]),
            _ => None,
        }
    }
}

/// JIS X 0212, which can be decoded alone: turned round.
static MORE_KANJI: LazyLock<HashMap<char, [u8; 2]>> = LazyLock::new(|| {
    let all = (0xA1..=0xFE).flat_map(|first| (0xA1..=0xFE).map(move |second| [first, second]));
    all.filter_map(|bytes| Some((Pairs::MoreKanji.character(bytes)?, bytes))).collect()
});

struct Encoding2022 {
    out: Vec<u8>,
    left: Option<Pairs>,
    right: Option<Set>,
}

impl Encoding2022 {
    fn put(&mut self, character: char, charset: &CharacterSet) -> Option<()> {
        if character.is_ascii() {
            self.end_in_ascii();
            self.out.push(character as u8);
            // Behind a delimiter whoever reads it begins anew.
            if character.is_ascii_control() || matches!(character, '\\' | '^' | '=') {
                self.right = charset.upper();
            }
            return Some(());
        }
        let candidates =
            self.left.map(Set::Pairs).into_iter().chain(self.right).chain(charset.sets.iter().copied());
        for set in candidates {
            match set {
                Set::Upper(upper) => {
                    let Some(byte) = upper.byte(character) else { continue };
                    self.turn_to(set);
                    self.out.push(byte);
                }
                Set::Pairs(pairs) => {
                    let Some(bytes) = pairs.bytes(character) else { continue };
                    self.turn_to(set);
                    let mask = if pairs.is_left() { 0x7F } else { 0xFF };
                    self.out.extend(bytes.map(|byte| byte & mask));
                }
                Set::Ascii | Set::Whole(_) => continue,
            }
            return Some(());
        }
        None
    }

    fn turn_to(&mut self, set: Set) {
        let is_in_force = match set {
            Set::Pairs(pairs) if pairs.is_left() => self.left == Some(pairs),
            other => self.right == Some(other),
        };
        if is_in_force {
            return;
        }
        match set {
            Set::Pairs(pairs) if pairs.is_left() => self.left = Some(pairs),
            other => self.right = Some(other),
        }
        let escape =
            SETS.iter().find(|(_, known, _)| *known == set).map_or(&b""[..], |(_, _, escape)| escape);
        self.out.push(ESCAPE);
        self.out.extend(escape);
    }

    fn end_in_ascii(&mut self) {
        if self.left.take().is_some() {
            self.out.push(ESCAPE);
            self.out.extend(b"(B");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of part 5, annexes H, I, J and K.
    const EXAMPLES: &[(&str, &[u8], &str)] = &[
        ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        ("ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1\xe3\xe0\xd3", "Люкceмбург"),
        ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東=".as_bytes(), "Wang^XiaoDong=王^小東="),
        ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", b"\xe9\x1b-L\xbb\xee", "éЛю"),
    ];

    #[test]
    fn the_examples_of_the_standard_are_read_and_written() {
        for (names, bytes, text) in EXAMPLES {
            let charset = CharacterSet::named(names);
            assert_eq!(charset.decode(bytes).as_deref(), Some(*text), "{names}");
            let written = charset.encode(text).unwrap();
            assert_eq!(charset.decode(&written).as_deref(), Some(*text), "{names}");
            assert_eq!(written, *bytes, "{names}");
        }
    }

    #[test]
    fn a_character_that_a_set_lacks_is_told_by_its_place() {
        assert_eq!(CharacterSet::named("ISO_IR 100").encode("ab€"), Err(Lacks(3)));
        assert_eq!(CharacterSet::default().encode("é"), Err(Lacks(1)));
        assert_eq!(CharacterSet::named("GBK").encode("a\u{1F600}"), Err(Lacks(2)));
    }

    #[test]
    fn what_nobody_declared_is_read_as_it_is_mostly_meant() {
        let charset = CharacterSet::default();
        assert_eq!(charset.decode("Zoé".as_bytes()).as_deref(), Some("Zoé"));
        assert_eq!(charset.decode(b"Zo\xe9").as_deref(), Some("Zoé"));
        assert_eq!(CharacterSet::named("ISO_IR 192").decode(b"Zo\xe9"), None);
        assert!(!CharacterSet::named("ISO_IR 999").is_known());
    }
}
