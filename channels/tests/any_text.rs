//! Whatever stands in a file, reading it ends with an answer.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{fs, path::Path};

use channels::{Colour, Fault, Options, load, render_text, to_json};
use proptest::prelude::*;

fn faults(text: &[u8]) -> Vec<Fault> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("channels")).unwrap();
    fs::write(folder.path().join("channels/any.yaml"), text).unwrap();
    let project = load(folder.path(), &Options::default());
    let _ = render_text(&project.faults, Colour::Styled);
    let _ = to_json(&project.faults);
    project.faults
}

fn codes(text: &[u8]) -> Vec<&'static str> {
    faults(text).iter().map(|fault| fault.diagnostic.code).collect()
}

/// Pieces that mean something to YAML, to variables or to a channel.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "name",
        "source",
        "mllp",
        "listen",
        "steps",
        "filter",
        "set",
        "script",
        "split",
        "destinations",
        "to",
        "file",
        "tests",
        "expect",
        "reply",
        "from",
        ": ",
        ":\n  ",
        "\n",
        "\n  ",
        "\n    - ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "'",
        "\"",
        "|",
        ">",
        "!",
        "&a ",
        "*a",
        "<<",
        "#",
        "${",
        "}",
        "${HOME}",
        "$${",
        "${file:x}",
        "${msg}",
        "---",
        "\t",
        "é",
        "\u{feff}",
        "0",
        "1s",
        "true",
        "~",
        ",",
        "\\",
        "%",
        "@",
        "`",
    ];
    prop_oneof![8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_brings_it_down(pieces in proptest::collection::vec(piece(), 0..60)) {
        faults(pieces.concat().as_bytes());
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        faults(&bytes);
    }

    #[test]
    fn no_change_of_a_good_channel_brings_it_down(at in 0usize..900, cut in 0usize..40, put in piece()) {
        let good = include_str!("../lab-results.yaml");
        let at = good.floor_char_boundary(at.min(good.len()));
        let end = good.floor_char_boundary((at + cut).min(good.len()));
        faults([&good[..at], &put, &good[end..]].concat().as_bytes());
    }
}

#[test]
fn a_file_of_five_megabytes_is_one_answer() {
    let text = format!("destinations:\n{}", "  - name: x\n".repeat(450_000));
    assert_eq!(codes(text.as_bytes()), ["file-too-big"]);
}

#[test]
fn a_long_line_of_a_channel_is_answered_without_showing_it() {
    let text = format!("name: x\nnmae: {}\n", "y".repeat(900_000));
    let found = faults(text.as_bytes());
    assert!(found.iter().any(|fault| fault.diagnostic.code == "unknown-field"));
    assert!(render_text(&found, Colour::Plain).len() < 10_000);
}

#[test]
fn many_faults_of_one_file_are_counted_and_not_all_shown() {
    let text = (0..3000).map(|n| format!("field{n}: 1")).collect::<Vec<_>>().join("\n");
    let found = codes(text.as_bytes());
    assert!(found.len() < 300 && found.contains(&"too-many-faults"));
}

#[test]
fn a_folder_that_is_not_there_is_an_answer() {
    let project = load(Path::new("/nowhere/at/all"), &Options::default());
    assert!(!project.is_sound());
    assert!(project.channels.is_empty());
}

#[test]
fn a_folder_without_anything_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    assert!(load(folder.path(), &Options::default()).is_sound());
}
