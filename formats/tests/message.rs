//! What reading and changing a message by path must do, case by case.

#![allow(clippy::unwrap_used, reason = "test code may unwrap, outside test functions too")]

use formats::hl7::{EditError, Message, ParseError, Part, Path, Place, Why};

const ORU: &str = "MSH|^~\\&|LAB^1.2^ISO|CHU|DPI|CHU|20260301||ORU^R01^ORU_R01|7|P^T|2.5\r\
    PID|1||IPP1^^^CHU&1.2.250&ISO^PI~285^^^INS||D\\T\\G^O\\S\\NEIL|\"\"\r\
    OBR|1||F456\rOBX|1|NM|718-7||13.2\rOBX|2|TX|8251-1||line one\\.br\\line two\rZPD|x";

fn message(text: &str) -> Message {
    Message::parse(text).unwrap()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn after(text: &str, changes: &[(&str, &str)]) -> String {
    let mut message = message(text);
    for (at, text) in changes {
        message.set(&path(at), text).unwrap();
    }
    message.text().to_owned()
}

#[test]
fn a_path_finds_what_the_standard_counts() {
    let message = message(ORU);
    let expected = [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-3", "LAB^1.2^ISO"),
        ("MSH-9.1", "ORU"),
        ("MSH-11.2", "T"),
        ("PID-3", "IPP1^^^CHU&1.2.250&ISO^PI"),
        ("PID-3.1", "IPP1"),
        ("PID-3.4", "CHU&1.2.250&ISO"),
        ("PID-3.4.2", "1.2.250"),
        ("PID-3[2].4", "INS"),
        ("PID-3[2].4.1", "INS"),
        ("PID-3[3].1", ""),
        ("PID-3.4.9", ""),
        ("PID-99", ""),
        ("OBX[2]-5", "line one\nline two"),
        ("OBX[3]-5", ""),
        ("ZPD-1", "x"),
        ("ZPD", "ZPD|x"),
        ("PV1-2", ""),
    ];
    for (at, text) in expected {
        assert_eq!(message.get(&path(at)), text, "{at}");
    }
}

#[test]
fn a_leaf_is_decoded_and_parts_stay_as_they_stand() {
    let message = message(ORU);
    assert_eq!(message.get(&path("PID-5.1")), "D&G");
    assert_eq!(message.get(&path("PID-5")), "D\\T\\G^O\\S\\NEIL");
    assert_eq!(message.raw(&path("PID-5.2")), Some("O\\S\\NEIL"));
}

#[test]
fn absent_empty_and_null_are_told_apart() {
    let message = message("MSH|^~\\&|\rPID|||^^|\"\"|x");
    assert_eq!((message.raw(&path("PID-2")), message.has(&path("PID-2"))), (Some(""), false));
    assert_eq!((message.raw(&path("PID-3")), message.has(&path("PID-3"))), (Some("^^"), false));
    assert_eq!((message.raw(&path("PID-4")), message.has(&path("PID-4"))), (Some("\"\""), true));
    assert_eq!((message.raw(&path("PID-6")), message.has(&path("PID-6"))), (None, false));
    assert_eq!((message.raw(&path("PV1-1")), message.has(&path("PV1"))), (None, false));
    assert!(message.has(&path("PID")) && message.has(&path("MSH-1")) && message.has(&path("MSH-2")));
}

#[test]
fn hexadecimal_escapes_are_read_in_the_charset_of_the_message() {
    let declared = message("MSH|^~\\&||||||||||||||||8859/7\rPID|\\XE1\\");
    assert_eq!(declared.get(&path("PID-1")), "α");
    let given = message("MSH|^~\\&|\rPID|\\XE9\\").in_charset(formats::charset::Charset::WINDOWS_1252);
    assert_eq!(given.get(&path("PID-1")), "é");
}

#[test]
fn what_no_one_touches_leaves_byte_for_byte() {
    for text in [ORU, "\u{feff}\r\nMSH|^~&|A\n\nPID|1\r\n \tZZ1|\\f\\|\\\r\r\n", "MSH#*:!@#x\nPID#a*b\n"] {
        assert_eq!(message(text).text(), text);
    }
    let changed = after("\u{feff}\nMSH|^~\\&|A\n\n PID|1|\\q\\|3\r\r\nOBX|||\\\r", &[("PID-3", "x")]);
    assert_eq!(changed, "\u{feff}\nMSH|^~\\&|A\n\n PID|1|\\q\\|x\r\r\nOBX|||\\\r");
}

#[test]
fn text_replaces_what_stands_there_and_is_encoded() {
    let expected = "MSH|^~\\&|\rPID|||A\\S\\B\\F\\\\R\\\\E\\\\T\\\\X0D\\~2|z";
    assert_eq!(after("MSH|^~\\&|\rPID|||1^2^3~2|z", &[("PID-3", "A^B|~\\&\r")]), expected);
}

#[test]
fn what_stands_before_a_place_is_filled_up() {
    assert_eq!(after("MSH|^~\\&|\rPID|1\r", &[("PID-3[2].4.2", "x")]), "MSH|^~\\&|\rPID|1||~^^^&x\r");
    assert_eq!(after("MSH|^~\\&|\rPID|1||a\r", &[("PID-3.2", "b")]), "MSH|^~\\&|\rPID|1||a^b\r");
    assert_eq!(after("MSH|^~\\&|A", &[("MSH-10", "7")]), "MSH|^~\\&|A|||||||7");
}

#[test]
fn empty_text_empties_and_never_fills_up() {
    assert_eq!(
        after("MSH|^~\\&|\rPID|1|2|3", &[("PID-2", ""), ("PID-9", ""), ("PV1-2", "")]),
        "MSH|^~\\&|\rPID|1||3"
    );
    assert_eq!(after("MSH|^~\\&|\rPID|1|2|3", &[("PID-2", "\"\"")]), "MSH|^~\\&|\rPID|1|\"\"|3");
}

#[test]
fn a_missing_segment_is_added_at_the_end_in_the_messages_own_manner() {
    assert_eq!(
        after("MSH|^~\\&|\r\nPID|1\r\n\r\n", &[("ZPD-2", "x")]),
        "MSH|^~\\&|\r\nPID|1\r\nZPD||x\r\n\r\n"
    );
    assert_eq!(
        after("MSH|^~\\&|\nPID|1", &[("ZPD-1", "x"), ("ZPD[2]-1", "y")]),
        "MSH|^~\\&|\nPID|1\nZPD|x\nZPD|y"
    );
    let error = message("MSH|^~\\&|\rOBX|1").set(&path("OBX[3]-1"), "3").unwrap_err();
    assert_eq!(error.to_string(), "`OBX[3]-1` cannot be added: the message has 1 of them");
}

#[test]
fn the_delimiters_cannot_be_written() {
    let mut message = message(ORU);
    for at in ["MSH-1", "MSH-2", "MSH-2.1"] {
        assert_eq!(message.set(&path(at), "x"), Err(EditError::Delimiters));
    }
    assert_eq!(message.set(&path("PID"), "x"), Err(EditError::WholeSegment("PID".into())));
    let name = Place::field(0);
    assert!(message.get_at(1, &name).is_empty());
    assert_eq!(message.set_at(1, &name, "x"), Err(EditError::CountsFromOne("0".into())));
    assert!(message.set_at(1, &Place::component(5, 0), "x").is_err());
    assert_eq!(message.text(), ORU);
}

#[test]
fn a_part_takes_on_the_delimiters_of_the_message() {
    let mut other = message("MSH#*:!@#\rPID#1");
    other.set_part(&path("PID-5"), &Part::of("DU*PONT^JEAN&\\T\\\\S\\~X")).unwrap();
    assert_eq!(other.text(), "MSH#*:!@#\rPID#1####DU!S!PONT*JEAN@&^:X");
    let mut message = message(ORU);
    message.set_part(&path("ZPD-3"), &other.part(&path("PID-5"))).unwrap();
    assert_eq!(message.get(&path("ZPD-3")), "DU*PONT^JEAN&\\T\\\\S\\");
    assert!(!message.has(&path("ZPD-3[2]")), "without a number the first repetition is meant");
}

#[test]
fn a_part_that_does_not_fit_is_refused() {
    let mut message = message(ORU);
    for (at, part) in [("PID-5.1", "a^b"), ("PID-5.1", "a~b"), ("PID-5.1.1", "a&b"), ("PID-5", "a|b")] {
        assert!(
            matches!(message.set_part(&path(at), &Part::of(part)), Err(EditError::TooManyLevels(_))),
            "{at}"
        );
    }
    message.set_part(&path("PID-5.1"), &Part::of("a&b\rMSH")).unwrap();
    assert_eq!(message.raw(&path("PID-5")), Some("a&b\\X0D\\MSH^O\\S\\NEIL"));
}

#[test]
fn whole_segments_are_copied_as_parts() {
    let mut message = message("MSH|^~\\&|\rPID|1|a^b\rOBX|1");
    let part = message.part(&path("OBX"));
    message.set_part(&path("OBX[2]"), &part).unwrap();
    message.set_part(&path("PID"), &Part::of("PID|9")).unwrap();
    assert_eq!(message.text(), "MSH|^~\\&|\rPID|9\rOBX|1\rOBX|1");
    assert!(message.set_part(&path("PID"), &Part::of("PV1|9")).is_err());
    assert_eq!(message.set_part(&path("MSH"), &Part::of("MSH|^~\\&|")), Err(EditError::Header));
}

#[test]
fn a_message_without_escape_character_takes_only_plain_text() {
    let mut message = message("MSH|^~|\rPID|1");
    assert_eq!(message.set(&path("PID-2"), "a|b"), Err(EditError::NoEscape));
    assert_eq!(message.set(&path("PID-2.1.2"), "a"), Err(EditError::NoSubcomponent));
    assert_eq!(message.set(&path("ZZZ-2.1.2"), "a"), Err(EditError::NoSubcomponent));
    message.set(&path("PID-2"), "a&b").unwrap();
    assert_eq!(message.text(), "MSH|^~|\rPID|1|a&b");
}

#[test]
fn segments_are_put_in_and_taken_out() {
    let mut message = message("MSH|^~\\&|\rPID|1\rOBX|1\rOBX|2");
    assert_eq!(message.insert("PV1", "PID"), Ok(2));
    assert_eq!(message.insert("NTE", "OBX[2]"), Ok(5));
    message.set_at(2, &Place::field(2), "I").unwrap();
    assert_eq!(message.append("ZZ1|a^b"), Ok(6));
    assert_eq!(message.text(), "MSH|^~\\&|\rPID|1\rPV1||I\rOBX|1\rOBX|2\rNTE\rZZ1|a^b");
    message.remove_segment(3).unwrap();
    assert_eq!(message.segments("OBX"), [3]);
    assert_eq!((message.segment_count(), message.segment_name(4), message.segment_name(9)), (6, "NTE", ""));
    assert_eq!(message.remove_segment(0), Err(EditError::Header));
    assert!(message.remove_segment(6).is_err() && message.insert("PV1", "PV9").is_err());
    assert!(message.append("pid|1").is_err() && message.append("PID|1\rPV1").is_err());
}

#[test]
fn a_copy_and_its_origin_do_not_see_each_others_changes() {
    let origin = message(ORU);
    let mut copy = origin.clone();
    copy.set(&path("PID-5"), "X").unwrap();
    assert_eq!((origin.text(), copy.get(&path("PID-5"))), (ORU, "X".into()));
}

#[test]
fn what_is_no_message_says_why_and_where() {
    let refused = |text: &str| Message::parse(text).unwrap_err();
    assert_eq!(refused(" \r\n"), ParseError { at: 0, why: Why::Empty });
    assert_eq!(refused("\r\nPID|1"), ParseError { at: 2, why: Why::NotHl7 });
    assert_eq!(refused(" MSH"), ParseError { at: 4, why: Why::NoDelimiters });
    assert_eq!(refused("MSH|^^^^|").to_string(), "two delimiters in MSH-1 and MSH-2 are equal (byte 5)");
    let unreadable = |text: &str| message(text).readable().unwrap_err();
    assert_eq!(unreadable("MSH|^~\\&|A\rPID|1"), ParseError { at: 10, why: Why::NoMessageType });
    assert_eq!(unreadable("MSH|^~\\&|||||||^A01\rPID|1").why, Why::NoMessageType);
    assert_eq!(unreadable("MSH|^~\\&|||||||ADT\r\n "), ParseError { at: 18, why: Why::NothingAfterHeader });
    assert_eq!(
        unreadable("MSH|^~\\&|||||||ADT\rPID|1\n MSH|^~\\&|"),
        ParseError { at: 26, why: Why::SecondHeader }
    );
    assert!(message("MSH|^~\\&|||||||ADT\rPID|MSH|\rMSHX|\r").readable().is_ok());
}

#[test]
fn debug_output_shows_no_content() {
    let message = message(ORU);
    assert_eq!(
        format!("{message:?} {:?}", message.part(&path("PID-5"))),
        "Message(6 segments) Part(14 bytes)"
    );
}
