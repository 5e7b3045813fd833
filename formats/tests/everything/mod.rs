//! Calls every public function with arbitrary bytes and asks for what must hold whatever they are.

#![allow(clippy::unwrap_used, reason = "test code may unwrap, outside test functions too")]
#![allow(dead_code, reason = "each test plays a part of it")]

use formats::{
    charset::{self, Charset},
    dicom,
    hl7::{
        Message, Path, Place,
        acknowledgement::{self, Answer, Code, Condition, ErrorPlace},
        batch, escape,
        header::Header,
        with_control_id,
    },
};
use jiff::{Timestamp, tz::TimeZone};

const HOSTILE_TEXT: &str = "a|b^c~d\\e&f#g\r\nh\\F\\";

/// Everything that reads and changes one message.
pub(crate) fn hl7(bytes: &[u8]) {
    check_header(bytes);
    let Ok(decoded) = charset::decode_hl7(bytes, None) else { return };
    if [Charset::UTF_8, Charset::WINDOWS_1252].contains(&decoded.charset) {
        assert_eq!(decoded.charset.encode(&decoded.text).unwrap(), bytes);
    }
    let Ok(message) = Message::parse(decoded.text.clone()) else { return };
    assert_eq!(message.text(), &*decoded.text);
    let _ = message.readable();
    read_all(&message);
    change_all(&message);
    for group in message.groups("OBR") {
        assert_eq!(Message::parse(group.text()).unwrap().segment_count(), group.segment_count());
    }
}

/// Everything that cuts a batch.
pub(crate) fn batch(bytes: &[u8]) {
    let Ok(Some(found)) = batch::split(bytes) else { return };
    let mut end = 0;
    for place in &found.messages {
        assert!(place.start >= end && place.end > place.start && place.end <= bytes.len());
        end = place.end;
        hl7(&bytes[place.clone()]);
    }
    let answers: Vec<_> =
        found.messages.iter().map(|place| answer(&bytes[place.clone()], Code::AA)).collect();
    if let Ok(Some(answered)) = batch::split(&acknowledgement::batch(bytes, &answers)) {
        assert_eq!(answered.messages.len(), answers.len());
    }
}

/// Everything that answers, or reads an answer.
pub(crate) fn acknowledgement(bytes: &[u8]) {
    let _ = acknowledgement::read(bytes);
    for code in [Code::AA, Code::AE, Code::CR] {
        let answer = answer(bytes, code);
        let header = Header::read(&answer).unwrap();
        assert!(header.readable().is_ok());
        assert_eq!(header.message_code(), b"ACK");
        match acknowledgement::read(&answer) {
            Ok(read) => assert_eq!(read.code, code),
            // What the message's own header holds is echoed, also where its charset cannot hold it.
            Err(error) => assert!(matches!(error, acknowledgement::ReadError::NotHl7(_))),
        }
    }
}

fn answer(message: &[u8], code: Code) -> Vec<u8> {
    let error = ErrorPlace {
        path: Path::parse("PID-3[2].4.1").ok(),
        condition: Condition::RequiredFieldMissing,
        reason: HOSTILE_TEXT,
    };
    let when = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let answer = Answer {
        code,
        text: Some("refusé: Ω | \r MSH"),
        error: Some(error),
        when: &when,
        control_id: "A1",
        charset: None,
    };
    acknowledgement::build(message, &answer)
}

fn check_header(bytes: &[u8]) {
    let Ok(header) = Header::read(bytes) else { return };
    let _ = header.readable();
    for number in 0..25 {
        let _ = (header.field(number), header.first(number), header.text(number));
    }
    let changed = with_control_id(bytes, "N1").unwrap();
    let changed = Header::read(&changed).unwrap();
    let taken = [b'.', b'N', b'1'].contains(&header.delimiters().field);
    assert!(taken || changed.control_id() == b"N1");
}

fn read_all(message: &Message) {
    for index in 0..message.segment_count().min(50) {
        let name = message.segment_name(index);
        assert!(name.is_empty() || message.segments(name).contains(&index));
        for field in 1..12 {
            let places = [
                Place::field(field),
                Place::component(field, 2),
                Place { repetition: 2, ..Place::component(field, 1) },
            ];
            for place in &places {
                let raw = message.raw_at(index, place);
                assert!(raw.is_some() || !message.has_at(index, place));
                assert!(raw.is_some() || message.get_at(index, place).is_empty());
                assert_eq!(message.part_at(index, place).as_str(), raw.unwrap_or_default());
            }
        }
    }
}

fn change_all(message: &Message) {
    let delimiters = message.delimiters();
    for path in ["PID-3[2].4.1", "PID-5", "ZZZ-7.2", "MSH-10", "OBX[2]-5.1"] {
        let path = Path::parse(path).unwrap();
        let mut changed = message.clone();
        let part = message.part(&Path::parse("PID-5").unwrap());
        let _ = changed.set_part(&path, &part);
        let mut changed = message.clone();
        if changed.set(&path, HOSTILE_TEXT).is_ok() {
            assert_eq!(changed.get(&path), HOSTILE_TEXT);
            let again = Message::parse(changed.text()).unwrap();
            assert_eq!(again.get(&path), HOSTILE_TEXT);
            assert_eq!(again.segment_count(), changed.segment_count());
        }
        changed.set(&path, "").unwrap();
        assert!(!changed.has(&path));
    }
    let encoded = escape::encode(HOSTILE_TEXT, delimiters);
    assert!(encoded.is_err() || escape::decode(&encoded.unwrap(), delimiters) == HOSTILE_TEXT);
    let mut changed = message.clone();
    let place = changed.insert("ZAA", "MSH").unwrap();
    let last = changed.append("ZBB").unwrap();
    assert_eq!((changed.segment_name(place), changed.segment_name(last)), ("ZAA", "ZBB"));
    changed.remove_segment(last).unwrap();
    changed.remove_segment(place).unwrap();
    assert_eq!(changed.segment_count(), message.segment_count());
}

/// Reads bytes as every kind of rows, changes one field of each, and takes them apart.
pub(crate) fn rows(bytes: &[u8]) {
    use formats::{
        charset,
        hprim::{self, Hprim},
        rows::{Column, Csv, Fixed, Sheet, Side},
    };

    let Ok(decoded) = charset::decode_text(bytes, None) else { return };
    let text = decoded.text;
    let column = Column { name: "a".to_owned(), start: 2, width: 3, side: Side::Right, fill: '0' };
    let fixed = Fixed { columns: vec![column], decimal: '.' };
    let bare = Csv { header: false, ragged: true, ..Csv::default() };
    let mut sheets: Vec<Sheet> =
        [Csv::default().read(text.clone()), bare.read(text.clone()), fixed.read(text.clone())]
            .into_iter()
            .flatten()
            .collect();
    match hprim::read(text.clone()) {
        Ok(Hprim::Medecins(letter)) => sheets.push(letter),
        Ok(Hprim::Sante(message)) => {
            assert_eq!(hprim::written(message.text(), &text), *text, "it leaves as it came");
            hl7(message.text().as_bytes());
        }
        Err(_) => {}
    }
    for mut sheet in sheets {
        assert_eq!(sheet.text(), &*text, "it leaves as it came");
        assert_eq!(sheet.records().len(), sheet.rows().count());
        let _ = sheet.groups(0);
        let Ok(row) = sheet.nth(0) else { continue };
        if sheet.set(row, 0, "x\"y").is_ok() {
            assert_eq!(sheet.get(row, 0).as_deref(), Some("x\"y"));
        }
        let _ = sheet.add(&["1".to_owned()]);
        sheet.remove(row);
        let _ = sheet.text();
    }
}

/// Reads bytes as a document, changes it, and takes it apart.
pub(crate) fn xml(bytes: &[u8]) {
    use formats::{
        charset,
        xml::{Document, Path},
    };

    let _ = formats::xml::declared_charset(bytes);
    let Ok(decoded) = charset::decode_text(bytes, None) else { return };
    let Ok(mut document) = Document::parse(decoded.text.clone()) else { return };
    assert_eq!(document.text(), &*decoded.text, "it leaves as it came");
    let root = document.root();
    for child in document.children(root) {
        let _ = Document::parse(document.outer(child));
        let _ = document.value(child);
    }
    let path = Path::parse("added/inner/@name").unwrap();
    document.set_in(root, &path, HOSTILE_TEXT).unwrap();
    let again = Document::parse(document.text()).unwrap();
    assert_eq!(again.get_in(again.root(), &path).as_deref(), Some(HOSTILE_TEXT));
    for child in document.children(root) {
        document.remove(child).unwrap();
    }
    assert!(Document::parse(document.text()).is_ok());
}

/// Everything that reads, changes and de-identifies an instance.
pub(crate) fn dicom(bytes: &[u8]) {
    let Ok(mut instance) = dicom::Instance::of_bytes(bytes.to_vec().into()) else { return };
    assert_eq!(instance.written().unwrap(), bytes);
    let header = dicom::Header::read(std::io::Cursor::new(bytes));
    let elements = instance.list(None).unwrap();
    for element in &elements {
        let _ = instance.get(&dicom::Path::to(element.tag));
    }
    let paths = ["PatientID", "(0019,MAKER,01)", "RequestAttributesSequence[1].ScheduledProcedureStepID"];
    for path in paths.map(|path| dicom::Path::parse(path).unwrap()) {
        if instance.set(&path, "X").is_ok() {
            assert_eq!(instance.get(&path).unwrap(), "X");
        }
    }
    let changed = instance.written().unwrap();
    let again = dicom::Instance::of_bytes(changed).unwrap();
    assert!(again.list(None).unwrap().len() + 3 >= elements.len());
    let key = dicom::Deidentification::new(b"a key of some length");
    if key.apply(&mut instance).is_ok() {
        dicom::Instance::of_bytes(instance.written().unwrap()).unwrap();
        assert!(
            header.is_err() || dicom::Header::read(std::io::Cursor::new(instance.written().unwrap())).is_ok()
        );
    }
}
