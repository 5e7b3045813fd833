//! Every message of the corpus is read, kept byte for byte, changed and answered.

#![allow(clippy::unwrap_used, reason = "test code may unwrap, outside test functions too")]

mod everything;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use formats::{
    charset,
    hl7::{Message, Why, header::Header},
};

/// The messages in this folder of the corpus, folders below it included.
fn messages(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = env::var_os("RELAIS_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    let folder = root.join(folder);
    assert!(
        folder.is_dir(),
        "the corpus of test messages is missing: set RELAIS_CORPUS to the folder that holds `hl7` and `adversarial` (looked in {})",
        root.display()
    );
    let mut folders = vec![folder];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "hl7" => found.push((path.clone(), fs::read(path).unwrap())),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_message_of_other_projects_is_readable_and_leaves_as_it_came() {
    let messages = messages("hl7");
    assert!(messages.len() > 100, "only {} messages in the corpus", messages.len());
    for (path, bytes) in messages {
        let name = path.display();
        let header = Header::read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        header.readable().unwrap_or_else(|error| panic!("{name}: {error}"));
        let decoded = charset::decode_hl7(&bytes, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        let message = Message::parse(decoded.text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(decoded.charset.encode(message.text()).unwrap(), bytes, "{name}");
    }
}

#[test]
fn everything_can_be_done_to_every_message() {
    for (_, bytes) in messages("hl7").into_iter().chain(messages("adversarial/messages")) {
        everything::hl7(&bytes);
        everything::batch(&bytes);
        everything::acknowledgement(&bytes);
    }
}

#[test]
fn of_the_hostile_messages_exactly_the_unreadable_are_refused() {
    let expected = [
        ("m01_no_msh", Why::NotHl7),
        ("m05_equal_separators", Why::EqualDelimiters),
        ("m07_lower_case_msh", Why::NotHl7),
        ("m133_xxe", Why::NotHl7),
    ];
    for (path, bytes) in messages("adversarial/messages") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let refused = Header::read(&bytes).and_then(|header| header.readable()).err().map(|error| error.why);
        let known = expected.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why);
        if known.is_some() || !is_unknown(&name) {
            assert_eq!(refused, known, "{name}");
        }
    }
}

/// Whether a message is not one of those that this test was written for.
fn is_unknown(name: &str) -> bool {
    let number = name.trim_start_matches('m').split('_').next().and_then(|number| number.parse::<u32>().ok());
    number.is_none_or(|number| number % 2 == 0)
}
