//! Which charset a message is read in, and that every byte comes back.

#![allow(clippy::unwrap_used, reason = "test code may unwrap, outside test functions too")]

use formats::charset::{Charset, CharsetError, Decoded, Flag, decode_hl7, decode_text};

/// A message that declares this charset and holds these bytes.
fn message(declared: &str, content: &[u8]) -> Vec<u8> {
    [b"MSH|^~\\&|||||||ADT^A01|1|P|2.5||||||", declared.as_bytes(), b"\rPID|", content].concat()
}

fn decoded(declared: &str, content: &[u8], fallback: Option<Charset>) -> Decoded {
    let bytes = message(declared, content);
    let decoded = decode_hl7(&bytes, fallback.as_ref()).unwrap();
    assert_eq!(decoded.charset.encode(&decoded.text).unwrap(), bytes, "{declared}");
    decoded
}

fn content(decoded: &Decoded) -> &str {
    decoded.text.rsplit('|').next().unwrap()
}

#[test]
fn the_declared_charset_is_obeyed() {
    let declared = [
        ("8859/1", &b"\xE9 \x80\x97"[..], "é €—"),
        ("8859/2~8859/1", b"\xB1", "ą"),
        ("8859/9", b"\xFE", "ş"),
        ("8859/15", b"\xA4", "€"),
        ("UNICODE UTF-8", "é\u{1f600}e\u{301}\u{202e}".as_bytes(), "é\u{1f600}e\u{301}\u{202e}"),
        ("UNICODE", "é".as_bytes(), "é"),
        ("WINDOWS-1252", b"\x9C", "œ"),
        ("GB 18030-2000", b"\xC4\xE3", "你"),
        ("ISO IR87", b"\x1B$B$\"\x1B(B", "あ"),
        ("ASCII", b"e", "e"),
    ];
    for (name, bytes, text) in declared {
        let decoded = decoded(name, bytes, Some(Charset::named("koi8-r").unwrap()));
        assert_eq!((content(&decoded), decoded.flags.len()), (text, 0), "{name}");
    }
}

#[test]
fn every_byte_of_windows_1252_comes_back() {
    let all: Vec<u8> = (0x20..=0xFF).filter(|byte| *byte != b'|').collect();
    decoded("8859/1", &all, None);
    decoded("", &all, None);
}

#[test]
fn what_the_message_does_not_say_the_channel_does() {
    let latin = Some(Charset::WINDOWS_1252);
    assert_eq!(content(&decoded("", "é".as_bytes(), latin)), "Ã©");
    let ascii = decoded("ASCII", b"\xE9", latin);
    assert_eq!((content(&ascii), &*ascii.flags), ("é", &[Flag::AsciiWithHighBytes][..]));
    let unknown = decoded("KLINGON", b"\xE9", latin);
    assert_eq!((content(&unknown), &*unknown.flags), ("é", &[Flag::UnknownName("KLINGON".into())][..]));
    let first_empty = decoded("~8859/2", b"\xE9", latin);
    assert_eq!((content(&first_empty), first_empty.flags.len()), ("é", 0));
}

#[test]
fn what_nobody_says_is_utf_8_or_else_windows_1252_and_flagged() {
    let utf8 = decoded("", "é".as_bytes(), None);
    assert_eq!((content(&utf8), utf8.charset, utf8.flags.len()), ("é", Charset::UTF_8, 0));
    let guessed = decoded("", b"\xE9", None);
    assert_eq!((content(&guessed), &*guessed.flags), ("é", &[Flag::GuessedWindows1252][..]));
    let both = decoded("ASCII", b"\xE9", None);
    assert_eq!(both.flags, [Flag::AsciiWithHighBytes, Flag::GuessedWindows1252]);
}

#[test]
fn a_declaration_that_is_surely_wrong_is_obeyed_and_flagged() {
    let decoded = decoded("8859/1", "É".as_bytes(), None);
    assert_eq!((content(&decoded), &*decoded.flags), ("Ã‰", &[Flag::LooksLikeUtf8][..]));
}

#[test]
fn bytes_that_a_given_charset_cannot_hold_are_named_by_their_place() {
    let place = |declared, bytes, fallback: Option<&Charset>| {
        let message = message(declared, bytes);
        let Err(CharsetError::Byte { at, charset }) = decode_hl7(&message, fallback) else {
            panic!("{declared}")
        };
        (message.len() - at, charset)
    };
    assert_eq!(place("UNICODE UTF-8", b"a\xE9b", None), (2, "UTF-8"));
    assert_eq!(place("8859/6", b"a\xFFbc", None), (3, "ISO-8859-6"));
    assert_eq!(place("GB 18030-2000", b"abc\xFF", None), (1, "gb18030"));
    assert_eq!(place("", b"a\xE9b", Some(&Charset::UTF_8)), (2, "UTF-8"));
    assert!(decode_hl7(&message("UNICODE UTF-16", b"1"), None).is_err());
    assert!(decode_hl7(b"\xEF\xBB\xBFMSH|^~\\&|\xE9", None).is_err());
}

#[test]
fn utf_16_and_byte_order_marks_speak_for_themselves() {
    let text = "MSH|^~\\&||||||||1||||||||8859/1\rPID|é\u{1f600}";
    for mark in ["", "\u{feff}"] {
        let marked = format!("{mark}{text}");
        let little: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, name) in [(little, "UTF-16LE"), (big, "UTF-16BE")] {
            let decoded = decode_hl7(&bytes, Some(&Charset::WINDOWS_1252)).unwrap();
            assert_eq!((&*decoded.text, decoded.charset.name()), (&*marked, name));
            assert_eq!(decoded.charset.encode(&decoded.text).unwrap(), bytes);
        }
    }
    let marked = format!("\u{feff}{text}");
    let decoded = decode_hl7(marked.as_bytes(), None).unwrap();
    assert_eq!((&*decoded.text, decoded.charset), (&*marked, Charset::UTF_8));
    let lone = b"M\0S\0H\0|\0\x00\xD8a\0";
    assert_eq!(decode_hl7(lone, None).unwrap_err(), CharsetError::Byte { at: 8, charset: "UTF-16LE" });
}

#[test]
fn a_character_that_a_charset_lacks_is_named_and_never_replaced() {
    let lacks = |name: &str, text| Charset::named(name).unwrap().encode(text).unwrap_err();
    let expected = CharsetError::Character { character: 'Ω', at: 2, charset: "windows-1252" };
    assert_eq!(lacks("8859/1", "éΩ"), expected);
    assert_eq!(lacks("ASCII", "aé").to_string(), "`é` (at byte 1 of the text) does not exist in ASCII");
    assert_eq!(lacks("big5", "aé"), CharsetError::Character { character: 'é', at: 1, charset: "Big5" });
}

#[test]
fn names_are_found_however_they_are_written() {
    let same = [
        ("windows-1252", "8859/1"),
        ("iso-8859-1", "8859/1"),
        ("utf8", "UNICODE UTF-8"),
        ("iso-8859-15", "8859/15"),
        ("8859-2", "8859/2"),
        (" us-ascii ", "ASCII"),
    ];
    for (one, other) in same {
        assert_eq!(Charset::named(one).unwrap(), Charset::named(other).unwrap(), "{one}");
    }
    for name in ["", "KLINGON", "8859/12", "replacement", "x-user-defined", "UNICODE UTF-32"] {
        assert_eq!(Charset::named(name), None, "{name}");
    }
    for name in ["ASCII", "utf-16", "utf-16le", "koi8-r", "GB 18030-2000", "KS X 1001"] {
        let charset = Charset::named(name).unwrap();
        assert_eq!(Charset::named(charset.name()), Some(charset));
    }
}

#[test]
fn other_text_is_read_by_the_same_rule() {
    assert_eq!(&*decode_text(b"\xE9;1", None).unwrap().text, "é;1");
    assert_eq!(&*decode_text("é".as_bytes(), None).unwrap().text, "é");
    assert_eq!(&*decode_text(b"\xA4", Charset::named("8859/15").as_ref()).unwrap().text, "€");
}
