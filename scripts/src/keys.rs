//! The keys that deliveries are ordered by.

use formats::hl7::{self, Place};
use rhai::Array;

use crate::{
    code::Code,
    ending::Stopped,
    form::Form,
    given::Given,
    part,
    paths::{AnyPath, fixed},
};

/// `order: { key: … }`, compiled.
pub(crate) enum Key {
    Paths(Vec<AnyPath>),
    Code(Code),
}

/// Between the values of one key; no field holds it.
const BETWEEN: &str = "\u{1f}";

impl Key {
    /// The keys of a message: several if it speaks of several patients.
    pub(crate) fn keys(&self, given: &Given<'_>) -> Result<Vec<String>, Stopped> {
        let mut keys = match self {
            Self::Paths(paths) => of_paths(paths, &given.msg.form)?,
            Self::Code(code) => of_code(code, given)?,
        };
        let mut seen = std::collections::HashSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        Ok(keys)
    }
}

fn of_code(code: &Code, given: &Given<'_>) -> Result<Vec<String>, Stopped> {
    let value = code.run(given.engine, &mut given.scope(code.reads)?)?;
    let text = |value: &_| part::for_text(value).map_err(|why| code.misfit(why));
    match value.read_lock::<Array>() {
        Some(list) => list.iter().map(text).collect(),
        None => Ok(vec![text(&value)?]),
    }
}

fn of_paths(paths: &[AnyPath], form: &Form) -> Result<Vec<String>, Stopped> {
    let mut values = Vec::with_capacity(paths.len());
    for path in paths {
        values.push(path.read(form).ok_or_else(|| Stopped::broke(path.misfit(form)))?);
    }
    let mut keys = vec![joined(&values)];
    if let Form::Hl7(message) = form {
        keys.extend(of_other_patients(paths, message));
    }
    Ok(keys)
}

/// An empty key is one lane, however many values it is made of.
fn joined(values: &[String]) -> String {
    if values.iter().all(String::is_empty) { String::new() } else { values.join(BETWEEN) }
}

/// What a second PID says, and the patients that are merged away (MRG).
fn of_other_patients(paths: &[AnyPath], message: &hl7::Message) -> Vec<String> {
    if !paths.iter().any(|path| patient_place(path).is_some()) {
        return Vec::new();
    }
    let pids = (2..=message.segments("PID").len()).map(|n| with_patient(paths, message, "PID", n));
    let merged = (1..=message.segments("MRG").len()).map(|n| with_patient(paths, message, "MRG", n));
    pids.chain(merged).flatten().filter(|key| !key.is_empty()).collect()
}

/// The key with its PID paths read from another segment; none where that has no such field.
fn with_patient(paths: &[AnyPath], message: &hl7::Message, segment: &str, n: usize) -> Option<String> {
    let mut values = Vec::with_capacity(paths.len());
    let mut is_known = false;
    for path in paths {
        let value = match patient_place(path) {
            Some(place) => {
                let place = if segment == "MRG" { prior(place)? } else { *place };
                let value = message.get(&fixed(&format!("{segment}[{n}]-{place}"))).into_owned();
                is_known |= !value.is_empty();
                value
            }
            None => path.hl7().map(|path| message.get(path).into_owned()).unwrap_or_default(),
        };
        values.push(value);
    }
    is_known.then(|| joined(&values))
}

/// The place of a path in the first PID.
fn patient_place(path: &AnyPath) -> Option<&Place> {
    let path = path.hl7()?;
    if path.segment() == "PID" && path.occurrence() == 1 { path.place() } else { None }
}

/// Where MRG has what PID has of the patient that goes on.
fn prior(place: &Place) -> Option<Place> {
    let field = match place.field {
        2 => 4,
        3 => 1,
        4 => 2,
        5 => 7,
        18 => 3,
        _ => return None,
    };
    Some(Place { field, ..*place })
}
