//! Words that somebody looks for in what messages hold: plain text, in any case.

use std::borrow::Cow;

use formats::charset::decode_hl7;

/// What is looked for, letter by letter in lower case.
pub(super) struct Words(String);

impl Words {
    pub(super) fn of(text: &str) -> Self {
        Self(lower(text))
    }

    /// Whether they stand in these bytes, read as they are shown to a person.
    pub(super) fn stand_in(&self, bytes: &[u8]) -> bool {
        if !is_plain(bytes) {
            return lower(&text_of(bytes)).contains(&self.0);
        }
        // Most messages are: nothing has to be decoded.
        self.0.is_ascii()
            && String::from_utf8(bytes.to_ascii_lowercase()).is_ok_and(|text| text.contains(&self.0))
    }
}

/// Bytes as text for a person: as UTF-8 where they are, else as MSH-18 says.
pub(super) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let decoded = || decode_hl7(bytes, None).ok().map(|decoded| Cow::Owned(decoded.text.to_string()));
    match std::str::from_utf8(bytes) {
        Ok(text) if !has_marks(bytes) => Cow::Borrowed(text),
        Ok(text) => decoded().unwrap_or(Cow::Borrowed(text)),
        Err(_) => decoded().unwrap_or_else(|| String::from_utf8_lossy(bytes)),
    }
}

/// Whether each byte is the character of ASCII that it looks like, whatever the charset.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.is_ascii() && !has_marks(bytes)
}

/// Zeros are in UTF-16, escapes in ISO 2022: both may look like ASCII and be something else.
fn has_marks(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, 0 | 0x1B))
}

/// Letter by letter, so that a piece of a text becomes the same piece of it.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(words: &str, bytes: &[u8]) -> bool {
        Words::of(words).stand_in(bytes)
    }

    #[test]
    fn words_are_found_in_any_case_and_charset() {
        let named = |charset: &str, name: &[u8]| {
            let head = format!("MSH|^~\\&|A|B|C|D|20260301||ADT^A01|1|P|2.5||||||{charset}\rPID|1||7||");
            [head.as_bytes(), name, b"^ANNA\r"].concat()
        };
        assert!(stand("dupont^anna", &named("ASCII", b"DUPONT")));
        assert!(stand("K 7.2", b"OBX|1|TX|||k 7.2 repeated\r"));
        assert!(!stand("DURAND", &named("ASCII", b"DUPONT")));
        // The same name in three charsets, and as a sender writes it that names none.
        assert!(stand("lefèvre", &named("UNICODE UTF-8", "LEFÈVRE".as_bytes())));
        assert!(stand("lefèvre", &named("8859/1", b"LEF\xc8VRE")));
        assert!(stand("LEFÈVRE", &named("", b"lef\xe8vre")));
        assert!(!stand("lefevre", &named("8859/1", b"LEF\xc8VRE")), "a letter with an accent is another one");
        let wide: Vec<u8> = String::from_utf8(named("UNICODE UTF-16", "LEFÈVRE".as_bytes()))
            .unwrap()
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(stand("lefèvre^anna", &wide));
        // 山 in ISO-2022-JP is written with letters of ASCII between escapes.
        let yama = named("ISO IR87", b"\x1b$B;3\x1b(B");
        assert!(stand("山", &yama) && !stand(";3", &yama));
    }

    #[test]
    fn words_are_no_pattern_and_bytes_need_be_no_text() {
        assert!(!stand("DUP.NT", b"PID|||DUPONT") && !stand("DUP*", b"PID|||DUPONT"));
        assert!(stand("DUP*", b"PID|||dup*"));
        assert!(stand("dupont", b"\xff\xfe\x00\x01DICM\x00DUPONT^ANNA\xff"));
        assert!(!stand("dupont", b"") && !stand("é", b"plain"));
    }
}
