//! An HL7 message read by the simplest means, and by none of ours: what the mapping is held against.

/// A message cut at its delimiters.
pub(crate) struct Message {
    pub(crate) segments: Vec<Segment>,
    repetition: char,
    component: char,
    escape: char,
    subcomponent: char,
}

pub(crate) struct Segment {
    pub(crate) name: String,
    fields: Vec<String>,
}

impl Segment {
    /// A field as it stands; empty when absent or the HL7 null.
    pub(crate) fn field(&self, number: usize) -> &str {
        self.fields.get(number).map_or("", String::as_str).trim()
    }
}

impl Message {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        // What is not UTF-8 is read byte by byte.
        let text = std::str::from_utf8(bytes)
            .map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned);
        let text = text[text.find("MSH").expect("a message has an MSH")..].to_owned();
        let marks: Vec<char> = text.chars().skip(3).take(5).collect();
        let mark =
            |at: usize, usual| marks.get(at).copied().filter(|mark| !mark.is_alphanumeric()).unwrap_or(usual);
        let field = mark(0, '|');
        let segment = |line: &str| {
            let mut fields: Vec<String> = line.split(field).map(str::to_owned).collect();
            if fields[0] == "MSH" {
                fields.insert(1, field.to_string());
            }
            Segment { name: fields[0].clone(), fields }
        };
        let lines = text.split(['\r', '\n']).map(str::trim_start).filter(|line| !line.is_empty());
        Self {
            segments: lines.map(segment).collect(),
            component: mark(1, '^'),
            repetition: mark(2, '~'),
            escape: mark(3, '\\'),
            subcomponent: mark(4, '&'),
        }
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Segment> {
        self.segments.iter().filter(move |segment| segment.name == name)
    }

    pub(crate) fn first(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == name)
    }

    /// The repetitions of a field that say something.
    pub(crate) fn repetitions<'a>(&self, field: &'a str) -> Vec<&'a str> {
        field.split(self.repetition).filter(|text| self.says_something(text)).collect()
    }

    fn says_something(&self, text: &str) -> bool {
        text.chars().any(|one| {
            !one.is_whitespace() && one != self.component && one != self.subcomponent && one != '"'
        })
    }

    /// A component, from 1, decoded.
    pub(crate) fn component(&self, text: &str, number: usize) -> String {
        let piece = text.split(self.component).nth(number - 1).unwrap_or_default();
        self.decoded(if piece == "\"\"" { "" } else { piece })
    }

    /// The first subcomponent of a component, decoded.
    pub(crate) fn leaf(&self, text: &str, number: usize) -> String {
        let piece = text.split(self.component).nth(number - 1).unwrap_or_default();
        let leaf = piece.split(self.subcomponent).next().unwrap_or_default();
        self.decoded(if leaf == "\"\"" { "" } else { leaf })
    }

    /// Text with its escape sequences decoded; what formats it is left out.
    pub(crate) fn decoded(&self, text: &str) -> String {
        let mut decoded = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(self.escape) {
            decoded.push_str(&rest[..start]);
            let after = &rest[start + self.escape.len_utf8()..];
            let Some(end) = after.find(self.escape) else {
                decoded.push_str(&rest[start..]);
                return decoded.trim().to_owned();
            };
            if let Some(text) = self.sequence(&after[..end]) {
                decoded.push_str(&text);
                rest = &after[end + self.escape.len_utf8()..];
            } else {
                decoded.push(self.escape);
                rest = after;
            }
        }
        decoded.push_str(rest);
        decoded.trim().to_owned()
    }

    fn sequence(&self, name: &str) -> Option<String> {
        Some(match name {
            "F" => "|".to_owned(),
            "S" => self.component.to_string(),
            "T" => self.subcomponent.to_string(),
            "R" => self.repetition.to_string(),
            "E" => self.escape.to_string(),
            "H" | "N" => String::new(),
            ".br" => "\n".to_owned(),
            _ if name.starts_with(".sp") => "\n".to_owned(),
            _ if name.starts_with('X') => {
                let pairs = name.as_bytes()[1..].chunks(2);
                let bytes: Vec<u8> = pairs
                    .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                    .collect::<Option<_>>()?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            _ => return None,
        })
    }
}
