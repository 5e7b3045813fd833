//! What must hold for any message, path and text; and a second opinion by another parser.

#![allow(clippy::unwrap_used, reason = "test code may unwrap, outside test functions too")]

mod everything;

use formats::hl7::{Delimiters, Message, Path, Place, escape, header::Header};
use proptest::prelude::*;

/// Text with plenty of what divides, escapes and breaks lines.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            4 => proptest::char::range('a', 'z'),
            3 => proptest::sample::select(vec!['|', '^', '~', '\\', '&', '#', '\r', '\n', '"', ' ', 'X', 'F', '0', '.']),
            1 => any::<char>(),
        ],
        0..30,
    )
    .prop_map(|characters| characters.into_iter().collect())
}

/// A field without escapes: plain words with delimiters between them.
fn field() -> impl Strategy<Value = String> {
    "[A-Za-z0-9 .é^~&]{0,12}".prop_map(|field| field.trim().to_owned())
}

/// A message that both parsers take: standard delimiters, CR, no blank line, each segment with a field.
fn plain_message() -> impl Strategy<Value = String> {
    let segment = ("(PID|PV1|OBX|ZPD)", proptest::collection::vec(field(), 1..8))
        .prop_map(|(name, fields)| format!("{name}|{}", fields.join("|")));
    proptest::collection::vec(segment, 1..6)
        .prop_map(|segments| format!("MSH|^~\\&|LAB|CHU|||2026||ADT^A01|7|P|2.5\r{}\r", segments.join("\r")))
}

/// A message as they come: any line ends, blanks, escapes, other delimiters.
fn wild_message() -> impl Strategy<Value = String> {
    let header = prop_oneof![
        Just("MSH|^~\\&|A".to_owned()),
        Just("\u{feff}\r\nMSH|^~&|A".to_owned()),
        Just("MSH#*:!@#A".to_owned()),
        Just("MSH|^~|A".to_owned()),
        Just("MSH|^~\\&#|A".to_owned()),
    ];
    let line = ("[A-Z][A-Z0-9]{2}|", text()).prop_map(|(name, text)| name + &text);
    (header, proptest::collection::vec((line, "[\r\n ]{0,3}"), 0..6)).prop_map(|(header, lines)| {
        let lines = lines.into_iter().map(|(line, end)| format!("{line}{end}\r"));
        header + "\r" + &lines.collect::<String>()
    })
}

fn place() -> impl Strategy<Value = Place> {
    let part = || proptest::option::of(1u16..4);
    (1u16..12, 1u16..3, part(), part()).prop_map(|(field, repetition, component, subcomponent)| Place {
        field,
        repetition,
        component,
        subcomponent: component.and(subcomponent),
    })
}

fn path() -> impl Strategy<Value = Path> {
    ("(MSH|PID|OBX|ZZZ)", place()).prop_map(|(name, place)| Path::parse(&format!("{name}-{place}")).unwrap())
}

proptest! {
    #[test]
    fn an_untouched_message_leaves_as_it_came(text in wild_message()) {
        let message = Message::parse(text.as_str()).unwrap();
        prop_assert_eq!(message.text(), &*text);
    }

    #[test]
    fn what_was_written_is_read_again(message in wild_message(), path in path(), written in text()) {
        let mut changed = Message::parse(message).unwrap();
        if changed.set(&path, &written).is_ok() {
            prop_assert_eq!(changed.get(&path), written.as_str());
            let again = Message::parse(changed.text()).unwrap();
            prop_assert_eq!(again.get(&path), written.as_str());
            prop_assert_eq!(again.segment_count(), changed.segment_count());
        }
    }

    #[test]
    fn writing_one_field_changes_no_other(text in plain_message(), path in path(), written in text()) {
        let before = Message::parse(text).unwrap();
        let mut after = before.clone();
        let place = *path.place().unwrap();
        let written_at = before.segments(path.segment()).first().copied();
        prop_assume!(after.set(&path, &written).is_ok());
        for index in 0..before.segment_count() {
            for number in (1..12).filter(|number| Some(index) != written_at || *number != place.field) {
                let field = Place::field(number);
                let changed = after.raw_at(index, &field).unwrap_or_default();
                prop_assert_eq!(before.raw_at(index, &field).unwrap_or_default(), changed);
            }
        }
    }

    #[test]
    fn a_part_can_be_put_back_where_it_was(message in wild_message(), path in path()) {
        let before = Message::parse(message).unwrap();
        let mut after = before.clone();
        let part = before.part(&path);
        if after.set_part(&path, &part).is_ok() {
            prop_assert_eq!(after.text(), before.text());
        }
    }

    #[test]
    fn encoded_text_is_safe_and_decodes_to_itself(text in text()) {
        for header in ["MSH|^~\\&|", "MSH#*:!@#", "MSH|^~\\&#|"] {
            let delimiters = Delimiters::read(header.as_bytes()).unwrap();
            let encoded = escape::encode(&text, &delimiters).unwrap();
            prop_assert!(!encoded.contains(['\r', '\n', char::from(delimiters.field), char::from(delimiters.component)]));
            prop_assert_eq!(escape::decode(&encoded, &delimiters), text.as_str());
        }
    }

    #[test]
    fn the_header_read_from_bytes_agrees_with_the_message(text in wild_message()) {
        let message = Message::parse(text.as_str()).unwrap();
        let header = Header::read(text.as_bytes()).unwrap();
        for number in 1..8u16 {
            let expected = message.raw_at(0, &Place::field(number)).unwrap_or_default();
            prop_assert!(header.field(number.into()).starts_with(expected.as_bytes()));
        }
    }

    #[test]
    fn groups_lose_no_order_and_no_segment_after_it(text in plain_message()) {
        let message = Message::parse(text).unwrap();
        let groups = message.groups("OBX");
        prop_assert_eq!(groups.len(), message.segments("OBX").len());
        for (group, index) in groups.iter().zip(message.segments("OBX")) {
            let own = group.segments("OBX");
            prop_assert_eq!(own.len(), 1);
            prop_assert_eq!(group.segment_text(own[0]), message.segment_text(index));
        }
    }

    #[test]
    fn nothing_panics_whatever_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        everything::hl7(&bytes);
        everything::batch(&bytes);
        everything::acknowledgement(&bytes);
    }

    #[test]
    fn nothing_panics_whatever_stands_in_a_message(text in wild_message()) {
        everything::hl7(text.as_bytes());
        everything::batch(format!("BHS|^~\\&\r{text}BTS|1").as_bytes());
        everything::acknowledgement(text.as_bytes());
    }

    #[test]
    fn another_parser_finds_the_same(text in plain_message()) {
        let ours = Message::parse(text.as_str()).unwrap();
        let theirs = hl7_parser::Message::parse(&text).unwrap();
        prop_assume!(theirs.raw_value().trim_end_matches('\r') == text.trim_end_matches('\r'));
        for name in ["PID", "PV1", "OBX", "ZPD"] {
            for (occurrence, index) in ours.segments(name).into_iter().enumerate() {
                let segment = theirs.segment_n(name, occurrence + 1).unwrap();
                prop_assert_eq!(Some(segment.raw_value()), ours.segment_text(index));
                for (place, expected) in leaves(segment) {
                    prop_assert_eq!(ours.raw_at(index, &place).unwrap_or_default(), expected, "{}-{}", name, place);
                }
            }
        }
    }
}

/// What the other parser finds in a segment at every level, absent things too.
fn leaves<'a>(segment: &'a hl7_parser::message::Segment<'a>) -> Vec<(Place, &'a str)> {
    let mut found = Vec::new();
    for number in 1..9u16 {
        let repeat = segment.field(number.into()).and_then(|field| field.repeat(1));
        found.push((Place::field(number), repeat.map_or("", |repeat| repeat.raw_value())));
        for component in 1..4u16 {
            let place = Place::component(number, component);
            let part = repeat.and_then(|repeat| repeat.component(component.into()));
            found.push((place, part.map_or("", |part| part.raw_value())));
            let leaf = part.and_then(|part| part.subcomponent(2));
            found.push((Place { subcomponent: Some(2), ..place }, leaf.map_or("", |leaf| leaf.raw_value())));
        }
    }
    found
}
