//! What is read from a message before it is kept: who sent it, what it is called, what it is found by.

use std::sync::LazyLock;

use engine::{Content, Reading, Unreadable};
use formats::{
    charset::{Charset, Flag},
    hl7::{self, Place, header::Header},
};

use crate::{
    Format,
    form::{Body, Form},
    paths::AnyPath,
};

/// What people search a message by, beside what the channel adds: name, segment and place.
const USUAL_KEYS: &[(&str, &str, Place)] = &[
    ("visit", "PV1", Place::component(19, 1)),
    ("order", "ORC", Place::component(2, 1)),
    ("order", "OBR", Place::component(2, 1)),
    ("filler", "OBR", Place::component(3, 1)),
];

/// The same in HPRIM Santé.
const HPRIM_KEYS: &[(&str, &str, Place)] = &[
    ("patient", "P", Place::component(2, 1)),
    ("patient", "P", Place::component(3, 1)),
    ("order", "OBR", Place::component(2, 1)),
    ("filler", "OBR", Place::component(3, 1)),
];

/// What an HPRIM Santé message is.
static HPRIM_KIND: LazyLock<hl7::Path> =
    LazyLock::new(|| hl7::Path::parse_short("H-6").expect("a path of the code is one"));

/// A value longer than this is no key.
const LONGEST_KEY: usize = 200;

/// Reads a message of a format.
pub(crate) fn read(
    content: &Content,
    format: &Format,
    charset: Option<&Charset>,
    index: &[(String, AnyPath)],
) -> Result<Reading, Unreadable> {
    let mut reading = match format {
        Format::Hl7 => read_header(&content.whole()?)?,
        Format::Dicom => crate::dicom::read_header(content)?,
        _ => Reading::default(),
    };
    let (body, flags) = Body::read(content, format, charset)?;
    reading.flags = flags.iter().map(flag).collect();
    match &body.form {
        Form::Hl7(message) if message.is_hprim() => {
            reading.kind = Some(message.get(&HPRIM_KIND).into_owned()).filter(|kind| !kind.is_empty());
            reading.keys = keys_of(message, HPRIM_KEYS);
        }
        Form::Hl7(message) => reading.keys = usual_keys(message),
        Form::Rows(letter) if letter.letters() == 1 => {
            for name in ["patient_id", "file_number"] {
                put(&mut reading.keys, name, letter.named_value(name).unwrap_or_default().to_owned());
            }
        }
        Form::Xml(document) => reading.kind = Some(document.name(document.root()).to_owned()),
        Form::Json(value) => reading.kind = value.tree()["resourceType"].as_str().map(str::to_owned),
        Form::Dicom(instance) => {
            for (name, value) in crate::dicom::usual_keys(instance) {
                put(&mut reading.keys, name, value);
            }
        }
        Form::Rows(_) | Form::Text(_) | Form::Binary => {}
    }
    for (name, path) in index {
        put(&mut reading.keys, name, path.read(&body.form).unwrap_or_default());
    }
    Ok(reading)
}

fn read_header(bytes: &[u8]) -> Result<Reading, Unreadable> {
    let unreadable = |error: hl7::ParseError| Unreadable { why: error.to_string() };
    let header = Header::read(bytes).map_err(unreadable)?;
    header.readable().map_err(unreadable)?;
    let text = |number| Some(header.text(number).into_owned()).filter(|text| !text.is_empty());
    Ok(Reading {
        sender: format!("{}|{}", header.text(3), header.text(4)),
        control_id: text(10),
        kind: text(9),
        ..Reading::default()
    })
}

fn usual_keys(message: &hl7::Message) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for segment in message.segments("PID") {
        for repetition in 1..u16::MAX {
            let place = Place { repetition, ..Place::field(3) };
            if message.raw_at(segment, &place).is_none() {
                break;
            }
            let identifier = Place { component: Some(1), ..place };
            put(&mut keys, "patient", message.get_at(segment, &identifier).into_owned());
        }
    }
    keys.extend(keys_of(message, USUAL_KEYS));
    keys
}

fn keys_of(message: &hl7::Message, places: &[(&str, &str, Place)]) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for (name, segment, place) in places {
        for segment in message.segments(segment) {
            put(&mut keys, name, message.get_at(segment, place).into_owned());
        }
    }
    keys
}

fn put(keys: &mut Vec<(String, String)>, name: &str, value: String) {
    let is_key = !value.is_empty() && value != "\"\"" && value.len() <= LONGEST_KEY;
    if is_key && !keys.iter().any(|(known, same)| known == name && *same == value) {
        keys.push((name.to_owned(), value));
    }
}

fn flag(flag: &Flag) -> String {
    match flag {
        Flag::AsciiWithHighBytes => {
            "MSH-18 says ASCII and there are bytes above 7F: taken as not given".to_owned()
        }
        Flag::UnknownName(name) => format!("MSH-18 names a charset that is not known: `{name}`"),
        Flag::LooksLikeUtf8 => {
            "another charset is declared, and the bytes are UTF-8: text may look broken".to_owned()
        }
        Flag::GuessedWindows1252 => {
            "no charset is given and it is not UTF-8: read as Windows-1252".to_owned()
        }
    }
}
