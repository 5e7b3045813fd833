//! What a sender hears, byte for byte, and what is understood of a receiver's answer.

#![allow(clippy::unwrap_used, reason = "test code may unwrap, outside test functions too")]

use formats::{
    charset::Charset,
    hl7::{
        Path,
        acknowledgement::{
            Acknowledgement, Answer, Code, Condition, ErrorPlace, ReadError, batch, build, read,
        },
    },
};
use jiff::Zoned;

fn when() -> Zoned {
    "2026-03-01T08:00:00+01:00[Europe/Paris]".parse().unwrap()
}

/// The answer with line ends shown as `/`.
fn answered(message: &[u8], change: impl FnOnce(&mut Answer<'_>)) -> String {
    String::from_utf8(answer_bytes(message, change)).unwrap().replace('\r', "/")
}

fn answer_bytes(message: &[u8], change: impl FnOnce(&mut Answer<'_>)) -> Vec<u8> {
    let when = when();
    let mut answer =
        Answer { code: Code::AA, text: None, error: None, when: &when, control_id: "N1", charset: None };
    change(&mut answer);
    build(message, &answer)
}

fn fault<'a>(path: &str, reason: &'a str) -> ErrorPlace<'a> {
    ErrorPlace { path: Path::parse(path).ok(), condition: Condition::RequiredFieldMissing, reason }
}

#[test]
fn sender_and_receiver_change_places_with_all_their_components() {
    let message = b"MSH|^~\\&|LAB^1.2^ISO|HOSP|EHR|CLIN^9|20260301||ORU^R01^ORU_R01|MSG1|P^T|2.5.1|||AL|NE||UNICODE UTF-8\rPID|1";
    let expected = "MSH|^~\\&|EHR|CLIN^9|LAB^1.2^ISO|HOSP|20260301080000+0100||ACK^R01^ACK|N1|P^T|2.5.1||||||UNICODE UTF-8/MSA|AA|MSG1/";
    assert_eq!(answered(message, |_| {}), expected);
}

#[test]
fn before_version_2_4_the_type_is_only_ack() {
    let answer = answered(b"MSH|^~\\&|A|B|C|D|||ADT^A01|MSG2|T|2.3.1\rPID|1", |_| {});
    assert_eq!(answer, "MSH|^~\\&|C|D|A|B|20260301080000+0100||ACK|N1|T|2.3.1/MSA|AA|MSG2/");
}

#[test]
fn what_the_header_leaves_out_has_a_sound_value() {
    let answer = answered(b"MSH|^~\\&|||||||ADT^A01||||\rPID|1", |_| {});
    assert_eq!(answer, "MSH|^~\\&|||||20260301080000+0100||ACK^A01^ACK|N1|P|2.5/MSA|AA/");
    assert!(answered(b"MSH|^~\\&|^|^^|^|^^|||ADT^A01|7|P|blah\rPID|1", |_| {}).contains("|^|^^|^|^^|"));
}

#[test]
fn the_delimiters_are_those_of_the_message() {
    let answer = answered(b"MSH#*:!@#A#B#C#D###ADT*A01#7#P#2.5\rPID#1", |answer| {
        answer.text = Some("a#b|c");
        answer.error = Some(fault("PID-5.1", "a*b"));
    });
    let expected = "MSH#*:!@#C#D#A#B#20260301080000+0100##ACK*A01*ACK#N1#P#2.5/MSA#AA#7#a!F!b|c/\
        ERR##PID*1*5*1*1#101*Required field missing*HL70357#E####a!S!b/";
    assert_eq!(answer, expected);
}

#[test]
fn an_error_names_its_place_in_the_form_of_the_version() {
    let refuse = |answer: &mut Answer<'_>| {
        answer.code = Code::AE;
        answer.text = Some("no patient");
        answer.error = Some(fault("PID-3", "PID-3 is missing"));
    };
    let new = answered(b"MSH|^~\\&|||||||ADT^A01|7|P|2.5\rPID|1", refuse);
    assert!(
        new.ends_with(
            "/MSA|AE|7|no patient/ERR||PID^1^3|101^Required field missing^HL70357|E||||PID-3 is missing/"
        ),
        "{new}"
    );
    let old = answered(b"MSH|^~\\&|||||||ADT^A01|7|P|2.4\rPID|1", refuse);
    assert!(old.ends_with("/MSA|AE|7|no patient/ERR|PID^1^3^101&PID-3 is missing&HL70357/"), "{old}");
}

#[test]
fn what_is_not_hl7_is_answered_with_an_empty_msa_2() {
    let expected = "MSH|^~\\&|||||20260301080000+0100||ACK|N1|P|2.5/MSA|AR||not HL7/";
    for bytes in
        ["HELLO WORLD this is not HL7", "", "MSH", "MSHELLO", "<?xml?>", "PID|1\rMSH|^~\\&|||||||ADT|7"]
    {
        let answer = answered(bytes.as_bytes(), |answer| {
            answer.code = Code::AR;
            answer.text = Some("not HL7");
        });
        assert_eq!(answer, expected, "{bytes}");
    }
}

#[test]
fn a_message_with_impossible_delimiters_still_hears_its_own_control_id() {
    let answer = answered(b"MSH|^^^^|A|B|C|D|||ORU^R01|m05|P|2.5\rPID|1", |answer| answer.code = Code::AR);
    assert!(answer.starts_with("MSH|^~\\&|C|D|A|B|") && answer.ends_with("/MSA|AR|m05/"), "{answer}");
}

#[test]
fn a_delimiter_never_stands_unescaped_in_what_we_write() {
    let answer = answered(b"MSH+^~\\&+A+B+C+D+++ADT^A01+7+P\rPID+1", |_| {});
    assert_eq!(answer, "MSH+^~\\&+C+D+A+B+20260301080000\\F\\0100++ACK^A01^ACK+N1+P+2.5/MSA+AA+7/");
}

#[test]
fn the_control_id_comes_back_whole_and_unchanged() {
    let answer = answered(b"MSH|^~\\&|||||||ADT^A01|a^b~c\\F\\..\\X0D\\|P|2.5\rPID|1", |_| {});
    assert!(answer.ends_with("/MSA|AA|a^b~c\\F\\..\\X0D\\/"), "{answer}");
}

#[test]
fn text_is_in_the_charset_of_the_message_and_never_breaks_the_answer() {
    let refuse = |answer: &mut Answer<'_>| answer.text = Some("refus\u{e9}: \u{3a9}\rMSA|AA");
    let latin = answer_bytes(b"MSH|^~\\&|\xC9|||||||7|P|2.5||||||8859/1\rPID|1", refuse);
    assert!(latin.ends_with(b"\rMSA|AA|7|refus\xE9: \\XCEA9\\ MSA\\F\\AA\r"));
    assert!(latin.starts_with(b"MSH|^~\\&|||\xC9||"));
    let channel = answer_bytes(b"MSH|^~\\&||||||||7|P|2.5\rPID|1", |answer| {
        answer.text = Some("\u{e9}");
        answer.charset = Some(Charset::WINDOWS_1252);
    });
    assert!(channel.ends_with(b"|\xE9\r"));
}

#[test]
fn a_message_in_utf_16_is_answered_in_utf_16() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
    let message = wide("\u{feff}MSH|^~\\&|é||||||ADT^A01|7|P|2.5||||||UNICODE UTF-16\rPID|1");
    let answer = answer_bytes(&message, |answer| answer.text = Some("refusé"));
    let expected = "\u{feff}MSH|^~\\&|||é||20260301080000+0100||ACK^A01^ACK|N1|P|2.5||||||UNICODE UTF-16\rMSA|AA|7|refusé\r";
    assert_eq!(answer, wide(expected));
    assert_eq!(read(&answer).unwrap().text, "refusé");
}

#[test]
fn a_batch_is_answered_by_a_batch() {
    let original = b"FHS|^~\\&|A|B|C|D|||f||F9\rBHS|^~\\&|A|B|C|D|||b||B9\rMSH|1\rBTS|2\rFTS|1";
    let answers = [b"MSH|1\rMSA|AA|1\r".to_vec(), b"MSH|2\rMSA|AE|2\r".to_vec()];
    let expected = "FHS|^~\\&|C|D|A|B||||||F9\rBHS|^~\\&|C|D|A|B||||||B9\rMSH|1\rMSA|AA|1\rMSH|2\rMSA|AE|2\rBTS|2\rFTS|1\r";
    assert_eq!(String::from_utf8(batch(original, &answers)).unwrap(), expected);
    let only = batch(b"BHS#*:!@#A\rMSH#", &[b"MSH#\r".to_vec()]);
    assert_eq!(String::from_utf8(only).unwrap(), "BHS#*:!@###A\rMSH#\rBTS#1\r");
}

#[test]
fn a_receivers_answer_is_understood_in_either_form() {
    let answer = read(b"MSH|^~\\&|||||||ACK|1|P|2.5\nMSA|AE|C\\F\\1^x~y|no\\T\\good\nERR||PID^1^3|101^missing^HL70357|E||||no id\n");
    let expected = Acknowledgement {
        code: Code::AE,
        control_id: "C\\F\\1^x~y".into(),
        text: "no&good".into(),
        error_text: "PID-3: no id".into(),
    };
    assert_eq!(answer, Ok(expected));
    let old = read(b"\r\nMSH|^~\\&|||||||ACK|1|P|2.3\rMSA|AR|C1\rERR|PV1^1^2^207&broken&HL70357\r").unwrap();
    assert_eq!(
        (old.code, &*old.control_id, &*old.text, &*old.error_text),
        (Code::AR, "C1", "", "PV1-2: broken")
    );
}

#[test]
fn an_answer_that_says_nothing_certain_is_not_understood() {
    for code in ["ZZ", "aa", "AAX", ""] {
        let answer = format!("MSH|^~\\&|||||||ACK\rMSA|{code}|1\r");
        assert_eq!(read(answer.as_bytes()), Err(ReadError::UnknownCode), "{code}");
    }
    assert_eq!(read(b"MSH|^~\\&|||||||ACK\rERR|1\r"), Err(ReadError::NoMsa));
    assert!(matches!(read(b""), Err(ReadError::NotHl7(_))));
    assert!(matches!(read(b"MSA|AA|1"), Err(ReadError::NotHl7(_))));
}
