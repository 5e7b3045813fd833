//! What a test expects, beside what came out.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use engine::Content;
use formats::{
    charset,
    dicom::{self, Instance},
    hl7,
};
use serde_json::Value;

use super::{
    Around, Expected, Problem, Trial, answers,
    diff::diff,
    run::{Left, Ran, run},
};
use crate::tests_file::{ExpectFile, ExpectedPayload, OutcomeFile, TestFile};

/// Runs a test: its problems, and the files that were rewritten.
pub(super) fn check(
    trial: &Trial,
    test: &TestFile,
    around: &Around<'_>,
    expected: Expected,
) -> (Vec<Problem>, Vec<PathBuf>) {
    let rans = match run(trial, test, around) {
        Ok(ran) => ran,
        Err(why) => return (vec![Problem::new(why)], Vec::new()),
    };
    let root = around.root;
    let mut comparison = Comparison { test, root, expected, problems: Vec::new(), rewritten: Vec::new() };
    comparison.whole(&rans);
    for (destination, expectation) in &test.expect {
        let left = rans.iter().flat_map(|ran| &ran.left).filter(|left| left.destination == *destination);
        comparison.destination(destination, expectation, &left.collect::<Vec<_>>());
    }
    comparison.problems.extend(answers::check(trial, test, around, &rans));
    if !comparison.problems.is_empty() {
        comparison.say_why(&rans);
    }
    (comparison.problems, comparison.rewritten)
}

struct Comparison<'t> {
    test: &'t TestFile,
    root: &'t Path,
    expected: Expected,
    problems: Vec<Problem>,
    rewritten: Vec<PathBuf>,
}

impl Comparison<'_> {
    /// One code, or one outcome, stands for every message of a batch.
    fn whole(&mut self, rans: &[Ran]) {
        let codes: Vec<_> = rans.iter().map(|ran| ran.code.as_str()).collect();
        if let Some(reply) = &self.test.reply {
            let wanted: Vec<_> = reply.split(',').map(str::trim).collect();
            let fits = wanted == codes || codes.iter().all(|code| code == reply);
            if !fits {
                self.say(format!("the sender hears `{}`, not `{reply}`", codes.join(", ")));
            }
        }
        let outcomes: Vec<_> = rans.iter().map(|ran| ran.fared).collect();
        if let Some(outcome) = self.test.outcome.map(name_of)
            && outcomes.iter().any(|came| *came != outcome)
        {
            self.say(format!("the outcome is `{}`, not `{outcome}`", outcomes.join(", ")));
        }
    }

    /// What the steps said of a message that was not accepted.
    fn say_why(&mut self, rans: &[Ran]) {
        for (place, ran) in rans.iter().enumerate() {
            let Some(why) = &ran.why else { continue };
            let which = if rans.len() == 1 { String::new() } else { format!(" {} of the batch", place + 1) };
            self.say(format!("the message{which} was {}", ran.said(why)));
        }
    }

    fn destination(&mut self, name: &str, expectation: &ExpectFile, got: &[&Left]) {
        let wanted: &[ExpectedPayload] = match expectation {
            ExpectFile::Nothing(_) => &[],
            ExpectFile::One(one) => std::slice::from_ref(one),
            ExpectFile::Several(several) => several,
        };
        if wanted.len() != got.len() {
            self.say(format!("`{name}` gets {}, not {}", messages(got.len()), messages(wanted.len())));
        }
        for (place, (wanted, got)) in wanted.iter().zip(got).enumerate() {
            let which = if wanted_is_one(expectation) { name.to_owned() } else { format!("{name}[{place}]") };
            self.payload(&which, wanted, got);
        }
    }

    fn payload(&mut self, name: &str, wanted: &ExpectedPayload, left: &Left) {
        let got = &left.body;
        if let Some(file) = &wanted.file {
            self.file(name, file, got);
        }
        if wanted.same_as.is_some() {
            self.bytes(
                name,
                &self.test.message,
                &left.of.whole().unwrap_or_default(),
                &got.whole().unwrap_or_default(),
            );
        }
        for (path, text) in &wanted.paths {
            match at(&got.whole().unwrap_or_default(), path) {
                Ok(found) if found == *text => {}
                Ok(found) => self.say(format!("`{path}` of what `{name}` gets is `{found}`, not `{text}`")),
                Err(why) => self.say(format!("`{path}` of what `{name}` gets cannot be read: {why}")),
            }
        }
    }

    fn file(&mut self, name: &str, file: &str, got: &Content) {
        let path = self.root.join(file);
        let wanted = fs::read(&path);
        if wanted.as_ref().is_ok_and(|wanted| *wanted == got.whole().unwrap_or_default()) {
            return;
        }
        match (self.expected, wanted) {
            (Expected::Rewrite, _) => match rewrite(&path, &got.whole().unwrap_or_default()) {
                Ok(()) => self.rewritten.push(file.into()),
                Err(error) => self.say(format!("cannot write `{file}`: {error}")),
            },
            (Expected::Compare, Ok(wanted)) => {
                self.bytes(name, file, &wanted, &got.whole().unwrap_or_default());
            }
            (Expected::Compare, Err(error)) if error.kind() == ErrorKind::NotFound => {
                self.say(format!("there is no `{file}`; `relais test --update` writes what came out there"));
            }
            (Expected::Compare, Err(error)) => self.say(format!("cannot read `{file}`: {error}")),
        }
    }

    fn bytes(&mut self, name: &str, file: &str, wanted: &[u8], got: &[u8]) {
        if wanted != got {
            let what = format!("what `{name}` gets is not `{file}`");
            self.problems.push(Problem { what, diff: Some(diff(wanted, got)) });
        }
    }

    fn say(&mut self, what: String) {
        self.problems.push(Problem::new(what));
    }
}

fn wanted_is_one(expectation: &ExpectFile) -> bool {
    matches!(expectation, ExpectFile::One(_))
}

fn messages(count: usize) -> String {
    match count {
        0 => "nothing".into(),
        1 => "one message".into(),
        count => format!("{count} messages"),
    }
}

fn name_of(outcome: OutcomeFile) -> &'static str {
    match outcome {
        OutcomeFile::Accepted => "accepted",
        OutcomeFile::Filtered => "filtered",
        OutcomeFile::Unrouted => "unrouted",
        OutcomeFile::Unreadable => "unreadable",
        OutcomeFile::Refused => "refused",
        OutcomeFile::Failed => "failed",
        OutcomeFile::Held => "held",
    }
}

fn rewrite(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}

/// What stands at a path of a DICOM instance, of an HL7 message, or of JSON.
fn at(payload: &[u8], path: &str) -> Result<String, String> {
    if payload.get(128..132) == Some(b"DICM") {
        let instance =
            Instance::of_bytes(Bytes::copy_from_slice(payload)).map_err(|error| error.to_string())?;
        let path = dicom::Path::parse(path).map_err(|error| error.to_string())?;
        return instance.get(&path).map_err(|error| error.to_string());
    }
    if let Ok(path) = hl7::Path::parse(path) {
        let decoded = charset::decode_hl7(payload, None).map_err(|error| error.to_string())?;
        let message = hl7::Message::parse(decoded.text).map_err(|error| error.to_string())?;
        return Ok(message.get(&path).into_owned());
    }
    let value: Value = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    let plain = path.replace('[', ".").replace(']', "");
    let found =
        plain.split('.').filter(|part| !part.is_empty()).try_fold(&value, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(part),
        });
    Ok(match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    })
}
