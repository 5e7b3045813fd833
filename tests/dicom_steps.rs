//! DICOM as others read it: every test file of pydicom, as it came and changed, against pydicom and dcmtk.

use std::{
    collections::BTreeMap,
    fs,
    ops::Not,
    path::{Path as File, PathBuf},
    process::Command,
};

use bytes::Bytes;
use formats::dicom::{Deidentification, Header, Instance, Path, Piece};
use serde_json::Value;
use tests::{dumped, installed};

/// Files that pydicom reads and we refuse, and why: each of them is broken in its structure.
const REFUSED: &[(&str, &str)] = &[
    ("SC_rgb_jpeg.dcm", "is not a value representation"),
    ("DICOMDIR-nooffset", "are left"),
    ("rtplan_truncated.dcm", "are left"),
    ("MR_truncated.dcm", "are left"),
    ("meta_missing_tsyntax.dcm", "does not say in which transfer syntax"),
];

fn files() -> Vec<PathBuf> {
    let python = installed("python/bin/python");
    let code = "import pydicom, os; print(os.path.join(os.path.dirname(pydicom.__file__), 'data'))";
    let said = Command::new(python).args(["-c", code]).output().expect("python runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let folder = PathBuf::from(String::from_utf8(said.stdout).expect("it says UTF-8").trim());
    let mut files = Vec::new();
    for part in ["test_files", "charset_files"] {
        gather(&folder.join(part), &mut files);
    }
    files.sort();
    assert!(files.len() > 180, "{} files", files.len());
    files
}

fn gather(folder: &File, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("pydicom has the folder") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_none_or(|ending| ending != "py") {
            files.push(path);
        }
    }
}

/// What pydicom reads: of each file a path and its text, or nothing where it reads none.
fn values(files: &[PathBuf]) -> Vec<Option<BTreeMap<String, Value>>> {
    told(&[], files)
}

fn told(options: &[&str], files: &[PathBuf]) -> Vec<Option<BTreeMap<String, Value>>> {
    let lines = python("dicom_values.py", options, files);
    let read = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("each line is JSON");
        serde_json::from_value(line["values"].take()).ok()
    };
    let values: Vec<_> = lines.lines().map(read).collect();
    assert_eq!(values.len(), files.len());
    values
}

fn python(script: &str, options: &[&str], files: &[PathBuf]) -> String {
    let script = File::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
    let mut run = Command::new(installed("python/bin/python"));
    let said = run.arg(script).args(options).args(files).output().expect("python runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).expect("it says UTF-8")
}

fn assert_dcmtk_reads(files: &[PathBuf]) {
    let dumped = Command::new("dcmdump").arg("-q").arg("+E").args(files).output();
    let dumped = dumped.expect("dcmdump is missing: `tests/run` installs dcmtk");
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
}

fn read(file: &File) -> Result<Instance, String> {
    Instance::of_bytes(Bytes::from(fs::read(file).expect("the file can be read")))
        .map_err(|error| error.to_string())
}

/// To the precision that the shorter kind of number has.
fn is_same_number(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || (one as f32).to_bits() == (other as f32).to_bits()
}

fn is_same(ours: &str, theirs: &Value) -> bool {
    match theirs {
        Value::String(text) => {
            // pydicom leaves the empty end of a name away.
            let one = |value: &str| value.trim().trim_end_matches('=').to_owned();
            let trimmed = |text: &str| text.split('\\').map(one).collect::<Vec<_>>();
            trimmed(ours) == trimmed(text)
        }
        Value::Array(numbers) => {
            let ours: Vec<f64> = ours.split('\\').filter_map(|number| number.parse().ok()).collect();
            let theirs: Vec<f64> = numbers.iter().filter_map(Value::as_f64).collect();
            ours.len() == theirs.len()
                && ours.iter().zip(&theirs).all(|(one, other)| is_same_number(*one, *other))
        }
        _ => false,
    }
}

#[test]
fn every_file_reads_as_pydicom_reads_it_and_leaves_as_it_came() {
    let files = files();
    let (mut compared, mut wrong) = (0, Vec::new());
    for (file, theirs) in files.iter().zip(values(&files)) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let ours = read(file);
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            let said = ours.err().unwrap_or_else(|| panic!("{name} was read"));
            assert!(said.starts_with("byte ") && said.contains(why), "{name}: {said}");
            continue;
        }
        let (Some(theirs), Ok(ours)) = (&theirs, &ours) else {
            assert!(theirs.is_none() && ours.is_err(), "{name}: {:?}", ours.err());
            continue;
        };
        let length = fs::metadata(file).unwrap().len();
        assert_eq!(ours.pieces(), [Piece::Kept(0..length)], "{name}");
        assert!(ours.written().unwrap() == fs::read(file).unwrap(), "{name} does not leave as it came");
        for (path, value) in theirs {
            compared += 1;
            match ours.get(&Path::parse(path).unwrap()) {
                Ok(text) if is_same(&text, value) => {}
                other => wrong.push(format!("{name} {path}: {other:?} where pydicom has {value}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 12_000, "{compared} values");
}

/// Changes of every kind: a text, one longer, a sequence in a sequence, a private element, one taken away.
fn change(instance: &mut Instance) -> Vec<(&'static str, &'static str)> {
    let changes = [
        ("(0010,0020)", "CHANGED-1"),
        ("(0008,1030)", "A study description that is longer than the one before"),
        ("(0040,0275)[1].(0040,0008)[1].(0008,0100)", "CODE"),
        ("(0008,1111)[1].(0008,1155)", "1.2.3.4.5"),
        ("(0028,0010)", "17"),
    ];
    for (path, text) in changes {
        instance
            .set(&Path::parse(path).expect("it is a path"), text)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let private = Path::parse("(0019,RELAIS TEST,01)").expect("it is a path");
    instance.set(&private, "private").expect("a private element can be added");
    instance
        .remove(&Path::parse("(0008,0070)").expect("it is a path"))
        .expect("an element can be taken away");
    changes.to_vec()
}

#[test]
fn what_is_changed_is_read_back_by_pydicom_and_dcmtk_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let files = files();
    let (mut written, mut before) = (Vec::new(), Vec::new());
    for (place, (file, theirs)) in files.iter().zip(values(&files)).enumerate() {
        let (Ok(mut instance), Some(theirs)) = (read(file), theirs) else { continue };
        let changes = change(&mut instance);
        let to = folder.path().join(format!("{place}-{}", file.file_name().unwrap().to_str().unwrap()));
        fs::write(&to, instance.written().unwrap()).unwrap();
        written.push(to);
        before.push((theirs, changes));
    }
    assert!(written.len() > 140, "{} files", written.len());
    for ((file, (mut expected, changes)), after) in written.iter().zip(before).zip(values(&written)) {
        let mut after = after.unwrap_or_else(|| panic!("pydicom does not read {}", file.display()));
        expected.remove("(0008,0070)");
        for (path, text) in changes {
            expected.insert(path.to_owned(), text.into());
        }
        let private = after.iter().find(|(_, value)| **value == "RELAIS TEST").map(|(path, _)| path.clone());
        let creator = private.unwrap_or_else(|| panic!("no creator in {}", file.display()));
        let element = format!("(0019,{}01)", &creator[8..10]);
        // Without kinds in the file, a private element is bytes to pydicom.
        let private = after.remove(&element);
        let is_implicit = read(file).unwrap().syntax().encoding().is_explicit.not();
        assert_eq!(private.is_none(), is_implicit, "{}", file.display());
        assert!(private.is_none_or(|private| private == "private"), "{}", file.display());
        after.remove(&creator);
        for elements in [&mut expected, &mut after] {
            // A group's own length is left out where the group was changed.
            elements.retain(|path, _| !path.ends_with(",0000)"));
        }
        assert_eq!(after, expected, "{}", file.display());
    }
    assert_dcmtk_reads(&written);
}

const TABLE: &str = include_str!("../formats/src/dicom/profile.tsv");

/// What stands where something must.
const DUMMIES: &[&str] =
    &["ANONYMIZED", "19000101", "19000101000000", "000000", "000Y", "0", "(0000,0000)", "urn:anonymized"];

/// What de-identification itself says.
const SAID: &[&str] = &["(0012,006", "(0028,0303)"];

/// The table's action for `(0010,0020)`.
fn action(tag: &str) -> Option<&'static str> {
    let digits: String = tag.chars().filter(char::is_ascii_hexdigit).collect();
    let is_it = |row: &str| row.chars().zip(digits.chars()).all(|(one, other)| one == 'x' || one == other);
    let is_private = u32::from_str_radix(&digits, 16).is_ok_and(|number| number >> 16 & 1 == 1);
    if is_private {
        return Some("X");
    }
    TABLE
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .find(|(row, _)| is_it(row))
        .map(|(_, action)| action)
}

/// Why an element of a de-identified file does not stand as the profile asks, by its value before and now.
fn fault(path: &str, before: Option<&Value>, now: &Value) -> Option<&'static str> {
    let mut tags: Vec<&str> = path.split('.').map(|step| &step[..11]).collect();
    let last = tags.pop().and_then(action).unwrap_or_default();
    // Of a sequence that had to go or to be emptied, nothing is left.
    let is_walked = |action: &str| matches!(action, "U" | "X/Z/U*");
    if last == "X" || tags.into_iter().filter_map(action).any(|action| !is_walked(action)) {
        return Some("is still there");
    }
    let now = match now {
        Value::String(text) => text.clone(),
        Value::Array(numbers) if numbers.is_empty() => String::new(),
        other => other.to_string(),
    };
    if now.is_empty() {
        return None;
    }
    let is_same =
        before.is_some_and(|before| before.as_str().map_or_else(|| before.to_string(), str::to_owned) == now);
    let is_standard = now.split('\\').all(|uid| uid.starts_with("1.2.840.10008."));
    match last {
        "Z" | "X/Z" => Some("is not empty"),
        "U" | "X/Z/U*" => (is_same && !is_standard).then_some("is the UID it was"),
        "" => None,
        _ => (is_same && !DUMMIES.contains(&&*now) && now != "[0.0]").then_some("is what it was"),
    }
}

/// What is wrong with a de-identified file, as one reader shows it and what it came from; and how many elements were looked at.
fn judged(
    file: &File,
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> (usize, Vec<String>) {
    assert_eq!(after["(0012,0062)"], "YES", "{}", file.display());
    let told: Vec<_> =
        after.iter().filter(|(path, _)| !SAID.iter().any(|said| path.starts_with(said))).collect();
    let faults = told.iter().filter_map(|(path, value)| {
        let fault = fault(path, before.get(*path), value)?;
        Some(format!("{} {path} {fault}", file.display()))
    });
    (told.len(), faults.collect())
}

/// How many rows of the profile's table have an element of their own in a file.
fn rows(elements: &BTreeMap<String, Value>) -> usize {
    let tags = TABLE.lines().filter_map(|line| line.split_once('\t')).filter(|(row, _)| !row.contains('x'));
    tags.filter(|(row, _)| elements.contains_key(&format!("({},{})", &row[..4], &row[4..]))).count()
}

#[test]
fn what_is_deidentified_has_nothing_left_of_the_profile_as_others_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    fs::create_dir(&made).unwrap();
    let table = File::new(env!("CARGO_MANIFEST_DIR")).join("../formats/src/dicom/profile.tsv");
    python("dicom_profile.py", &[table.to_str().unwrap(), made.to_str().unwrap()], &[]);
    let made = ["explicit.dcm", "implicit.dcm"].map(|name| made.join(name));
    let how = Deidentification::new(b"a key of some length");
    let (mut from, mut written) = (Vec::new(), Vec::new());
    for (place, file) in made.iter().chain(&files()).enumerate() {
        let Ok(mut instance) = read(file) else { continue };
        how.apply(&mut instance).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let bytes = instance.written().unwrap();
        if place < made.len() {
            for secret in ["SECRET", "1.2.3.4.5", "20010203"] {
                let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!is_there, "{} holds {secret}", file.display());
            }
        }
        let to = folder.path().join(format!("{place}-{}", file.file_name().unwrap().to_str().unwrap()));
        fs::write(&to, &bytes).unwrap();
        from.push(file.clone());
        written.push(to);
    }
    let (before, after) = (told(&["--bytes"], &from), told(&["--bytes"], &written));
    let (mut looked_at, mut faults) = (0, Vec::new());
    for (place, (before, after)) in before.into_iter().zip(after).enumerate() {
        let file = &from[place];
        let after = after.unwrap_or_else(|| panic!("pydicom does not read {} again", file.display()));
        let by_pydicom = judged(file, &before.unwrap_or_default(), &after);
        // dcmtk shows sequences too, and what pydicom leaves out.
        let (before, mut after) = (dumped(file), dumped(&written[place]));
        if Header::read(fs::File::open(file).unwrap()).is_err() {
            // A data set that does not name its instance is refused where it comes in, whatever its head says.
            after.remove("(0002,0003)");
        }
        if place < made.len() {
            // All but two, which are of commands on the wire: no file holds those.
            assert_eq!(rows(&before), 650, "of the table");
        }
        let by_dcmtk = judged(file, &before, &after);
        looked_at += by_pydicom.0.min(by_dcmtk.0);
        faults.extend(by_pydicom.1.iter().map(|fault| format!("pydicom: {fault}")));
        faults.extend(by_dcmtk.1.iter().map(|fault| format!("dcmtk: {fault}")));
    }
    assert!(faults.is_empty(), "{} of {looked_at}:\n{}", faults.len(), faults.join("\n"));
    assert!(looked_at > 5_000, "{looked_at} elements");
    assert_dcmtk_reads(&written);
}
