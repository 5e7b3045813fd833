//! From the steps of a file to the steps that are compiled.

use engine::Path;
use formats::dicom::{Dates, Patient, Uids};
use scripts::{At, SplitFile};
use serde_json::{Map, Value};

use super::reader::Reader;
use crate::file::{
    AsText, ControlId, DatesWord, DeidentifyFile, PatientWord, ScriptStep, SplitStep, StepFile, UidsWord,
};

/// What a split does with a part that fails, where its step does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// The whole message fails.
    Together,
    /// The others go.
    Each,
}

/// The steps under `path`, those that can be read.
pub(crate) fn steps(reader: &mut Reader<'_>, path: &Path, parts: Parts) -> Vec<At<scripts::StepFile>> {
    unreachable(reader, path);
    let mut steps = Vec::new();
    for at in reader.items(path) {
        if let Some(step) = reader.read::<StepFile>(&at) {
            steps.push(At::new(at, step_of(step, parts)));
        }
    }
    steps
}

/// The steps of `on_response`.
pub(crate) fn judges(reader: &mut Reader<'_>, path: &Path) -> Vec<At<scripts::StepFile>> {
    let places = reader.items(path);
    places.into_iter().filter_map(|at| Some(At::new(at.clone(), script(reader.read(&at)?)))).collect()
}

fn step_of(step: StepFile, parts: Parts) -> scripts::StepFile {
    match step {
        StepFile::Filter(step) => scripts::StepFile::Filter(step.filter),
        StepFile::Require(step) => scripts::StepFile::Require(step.require),
        StepFile::Set(step) => scripts::StepFile::Set(texts(step.set)),
        StepFile::Script(step) => script(step),
        StepFile::Deidentify(step) => scripts::StepFile::Deidentify(deidentify(step.deidentify)),
        StepFile::Split(step) => split(step, parts),
    }
}

fn script(step: ScriptStep) -> scripts::StepFile {
    scripts::StepFile::Script { code: step.script, as_text: step.kind == Some(AsText::Text) }
}

fn deidentify(file: DeidentifyFile) -> scripts::DeidentifyFile {
    scripts::DeidentifyFile {
        key: file.key,
        dates: match file.dates {
            DatesWord::Remove => Dates::Remove,
            DatesWord::Shift => Dates::Shift,
        },
        uids: match file.uids {
            UidsWord::Map => Uids::Map,
            UidsWord::Keep => Uids::Keep,
        },
        patient: match file.patient {
            PatientWord::Empty => Patient::Empty,
            PatientWord::Pseudonym => Patient::Pseudonym,
        },
        keep: file.keep,
    }
}

fn split(step: SplitStep, parts: Parts) -> scripts::StepFile {
    scripts::StepFile::Split(SplitFile {
        code: step.split,
        each: step.each.unwrap_or(parts == Parts::Each),
        keep_control_id: step.control_id == ControlId::Keep,
    })
}

fn texts(set: Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    set.into_iter().map(|(path, value)| (path, text(value))).collect()
}

/// Nothing gets past a filter that is always false.
fn unreachable(reader: &mut Reader<'_>, path: &Path) {
    let places = reader.items(path);
    let closed = places.iter().position(|at| {
        let code = reader.tree.at(&at.join("filter")).and_then(|node| node.scalar());
        code.is_some_and(|code| code.text.trim() == "false")
    });
    let Some(behind) = closed.and_then(|closed| places.get(closed + 1)) else { return };
    reader
        .error("unreachable-step", behind, "no message gets here: the filter before is always false")
        .help = Some("take out the filter, or the steps behind it".into());
}
