//! What `docs/style.md` and `docs/architecture.md` say and a machine can check.

use std::{
    fs,
    path::{Path, PathBuf},
};

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 60;

/// The arrows of `docs/architecture.md`: who may depend on whom.
const ARROWS: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("formats", &[]),
    ("scripts", &["engine", "formats"]),
    ("connectors", &["engine", "formats"]),
    ("channels", &["engine", "formats", "connectors", "scripts"]),
    ("store", &["engine"]),
    ("server", &["engine", "formats", "connectors", "scripts", "channels", "store"]),
];

/// Words that name nothing.
const BANNED: &[&str] = &["manager", "handler", "helper", "util", "utils", "common", "impl"];

#[test]
fn every_source_file_begins_with_what_it_is() {
    complain(&sources(), |file, text| {
        (!text.starts_with("//! ")).then(|| format!("{file} does not begin with `//! `"))
    });
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    complain(&sources(), |file, text| {
        let lines = text.lines().count();
        (lines > LONGEST_FILE).then(|| format!("{file} has {lines} lines, more than {LONGEST_FILE}"))
    });
}

#[test]
fn no_function_is_longer_than_a_screen() {
    complain(&sources(), |file, text| {
        let long: Vec<String> = functions(text)
            .into_iter()
            .filter(|(_, _, length)| *length > LONGEST_FUNCTION)
            .map(|(name, line, length)| {
                format!("{file}:{line} `{name}` has {length} lines, more than {LONGEST_FUNCTION}")
            })
            .collect();
        (!long.is_empty()).then(|| long.join("\n"))
    });
}

#[test]
fn nothing_unfinished_is_left() {
    complain(&sources(), |file, text| {
        let marks = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX"];
        let here = file.ends_with("tests/tidy.rs");
        marks.iter().find(|mark| !here && text.contains(**mark)).map(|mark| format!("{file} holds `{mark}`"))
    });
}

#[test]
fn no_test_is_ignored_without_a_reason() {
    complain(&sources(), |file, text| {
        text.lines()
            .any(|line| line.trim() == concat!("#[", "ignore]"))
            .then(|| format!("{file} ignores a test without a reason"))
    });
}

/// The words of a line of the log are its field `message`: another one of that name takes their place in JSON.
#[test]
fn no_field_of_the_log_is_named_as_its_words_are() {
    complain(&sources(), |file, text| {
        let hides = |(at, _): &(usize, &str)| {
            let told = &text[*at..];
            let fields = told.split_once('"').map_or(told, |(fields, _)| fields);
            fields.split(['(', ',']).any(|field| {
                field
                    .split('=')
                    .next()
                    .is_some_and(|name| name.trim().trim_start_matches(['%', '?']) == "message")
            })
        };
        let levels = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];
        let mut hidden = levels.iter().flat_map(|level| text.match_indices(level)).filter(hides);
        let here = file.ends_with("tests/tidy.rs");
        hidden
            .next()
            .filter(|_| !here)
            .map(|(at, _)| format!("{file}:{} logs a field `message`", text[..at].lines().count()))
    });
}

#[test]
fn no_file_is_named_after_a_pattern() {
    complain(&sources(), |file, _| {
        let name = Path::new(file).file_stem()?.to_str()?;
        BANNED.contains(&name).then(|| format!("{file} is named after a pattern"))
    });
}

#[test]
fn the_crates_depend_as_the_architecture_says() {
    for (name, allowed) in ARROWS {
        let manifest =
            fs::read_to_string(root().join(name).join("Cargo.toml")).expect("each crate has a manifest");
        let depends = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let depends = depends.split("\n[").next().unwrap_or_default();
        for (other, _) in ARROWS {
            let has = depends
                .lines()
                .any(|line| line.starts_with(&format!("{other}.")) || line.starts_with(&format!("{other} ")));
            assert!(
                !has || allowed.contains(other),
                "{name} depends on {other}, which docs/architecture.md forbids"
            );
        }
    }
}

#[test]
fn the_readme_fits_a_screen_or_two() {
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let lines = readme.lines().count();
    assert!(lines <= 60, "README.md has {lines} lines, more than 60");
}

/// Name, line and length of each function, by its indentation: the code is formatted.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some((_, after)) = trimmed.split_once("fn ") else { continue };
        let indent = line.len() - trimmed.len();
        let starts =
            ["fn ", "pub ", "pub(", "async ", "const "].iter().any(|start| trimmed.starts_with(start));
        // One without a body ends with its signature.
        let signed = lines[at..].iter().find(|line| line.ends_with('{') || line.ends_with(';'));
        if !starts || signed.is_none_or(|line| line.ends_with(';')) {
            continue;
        }
        let end = " ".repeat(indent) + "}";
        let length = lines[at..].iter().position(|line| **line == end).map_or(1, |length| length + 1);
        let name: String =
            after.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        found.push((name, at + 1, length));
    }
    found
}

fn complain(files: &[PathBuf], wrong: impl Fn(&str, &str) -> Option<String>) {
    assert!(files.len() > 50, "the source files were not found");
    let complaints: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let text = fs::read_to_string(file).expect("a source file can be read");
            let name = file.strip_prefix(root()).unwrap_or(file).to_string_lossy().into_owned();
            wrong(&name, &text)
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ARROWS.iter().map(|(name, _)| *name).chain(["tests", "fuzz"]) {
        gather(&root().join(folder), &mut files);
    }
    files
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            gather(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}
