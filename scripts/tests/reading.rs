//! What is read of a message before it is kept.

mod channel;

use channel::{Channel, JSON, ORU, at, inbound};
use engine::{Reading, Script, Unreadable};
use scripts::Format;

fn read(channel: &Channel, body: impl Into<engine::Content>) -> Result<Reading, Unreadable> {
    channel.program().read(&inbound(body))
}

#[test]
fn an_hl7_message_tells_its_sender_id_type_and_search_keys() {
    let mut channel = Channel::hl7();
    channel.file.index = vec![("ward".to_owned(), at("index.ward", "PV1-3.1"))];
    let reading = read(&channel, ORU.to_owned()).unwrap();
    assert_eq!(reading.sender, "LAB|HOP");
    assert_eq!(reading.control_id.as_deref(), Some("MSG001"));
    assert_eq!(reading.kind.as_deref(), Some("ORU^R01^ORU_R01"));
    let keys: Vec<(&str, &str)> =
        reading.keys.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        keys,
        [
            ("patient", "12345678"),
            ("patient", "1850312075123"),
            ("visit", "V42"),
            ("order", "PL1"),
            ("filler", "FI1"),
            ("ward", "CAR"),
        ]
    );
    assert_eq!(reading.flags, [""; 0]);
}

#[test]
fn an_undeclared_charset_is_flagged() {
    let latin: Vec<u8> = ORU.replace("DUPONT", "H\u{e9}l").chars().map(|c| c as u8).collect();
    let reading = read(&Channel::hl7(), latin.clone()).unwrap();
    assert_eq!(reading.flags.len(), 1);
    assert_eq!(read(&Channel::hl7().charset("windows-1252"), latin).unwrap().flags, [""; 0]);
}

#[test]
fn what_is_not_hl7_is_unreadable_with_words_and_place_and_no_content() {
    let why = |body: &[u8]| read(&Channel::hl7(), body.to_vec()).unwrap_err().why;
    assert_eq!(why(b"SECRET|x"), "the message does not begin with MSH (byte 0)");
    assert!(why(b"MSH|^~\\&|A|B|||x|||1|P|2.5\rPID|1\r").contains("MSH-9"));
    assert!(why(b"MSH|^~\\&|A|B|||x||ADT^A01|1|P|2.5\r").contains("nothing follows MSH"));
    let utf8 = ORU.replace("|2.5\r", "|2.5||||||UNICODE UTF-8\r").replace("DUPONT", "D\u{1}PONT");
    let broken: Vec<u8> = utf8.bytes().map(|byte| if byte == 1 { 0xe9 } else { byte }).collect();
    let at = broken.iter().position(|byte| *byte == 0xe9).unwrap();
    assert!(why(&broken).contains(&format!("byte {at}")), "{}", why(&broken));
}

#[test]
fn json_must_be_json() {
    let why = read(&Channel::json(), "{\"a\":\n  secret}".to_owned()).unwrap_err().why;
    assert!(why.contains("line 2 column 3") && !why.contains("secret"), "{why}");
    let mut channel = Channel::json();
    channel.file.index = vec![("family".to_owned(), at("index.family", "name[0].family"))];
    let reading = read(&channel, JSON.to_owned()).unwrap();
    assert_eq!((reading.control_id, reading.kind.as_deref()), (None, Some("Patient")));
    assert_eq!(reading.keys, [("family".to_owned(), "DUPONT".to_owned())]);
    assert!(read(&channel, format!("\u{feff}{JSON}")).is_ok());
    assert!(read(&channel, "[".repeat(100_000)).is_err());
}

#[test]
fn text_and_bytes_are_always_readable() {
    assert!(read(&Channel::new(Format::Text), vec![0xff, 0xe9]).is_ok());
    assert!(read(&Channel::new(Format::Binary), vec![0, 1, 2]).is_ok());
}
