//! What an OperationOutcome says, in words that hold no patient: codes and places, never free text.

use serde::Deserialize;

/// So many issues are told.
const TOLD: usize = 5;

/// What a server found in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    resource_type: String,
    #[serde(default)]
    issue: Vec<Issue>,
}

#[derive(Debug, Deserialize)]
struct Issue {
    #[serde(default)]
    severity: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    details: Details,
    #[serde(default)]
    expression: Vec<String>,
    #[serde(default)]
    location: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    coding: Vec<Coding>,
}

#[derive(Debug, Default, Deserialize)]
struct Coding {
    #[serde(default)]
    code: String,
}

impl Outcome {
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let outcome: Self = serde_json::from_slice(body).ok()?;
        (outcome.resource_type == "OperationOutcome").then_some(outcome)
    }

    pub(super) fn of_value(value: &serde_json::Value) -> Option<Self> {
        let outcome: Self = Self::deserialize(value).ok()?;
        (outcome.resource_type == "OperationOutcome").then_some(outcome)
    }

    /// Whether it names a fault that is more than a warning.
    pub(super) fn is_fault(&self) -> bool {
        self.issue.iter().any(Issue::is_fault)
    }

    /// The issues, the faults before the warnings: `error: structure at Observation.code`.
    pub(super) fn words(&self) -> Option<String> {
        let (faults, rest): (Vec<&Issue>, Vec<&Issue>) =
            self.issue.iter().partition(|issue| issue.is_fault());
        let told = if faults.is_empty() { rest } else { faults };
        let mut words: Vec<String> = told.iter().take(TOLD).map(|issue| issue.words()).collect();
        if told.len() > TOLD {
            words.push(format!("and {} more", told.len() - TOLD));
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}

impl Issue {
    fn is_fault(&self) -> bool {
        matches!(self.severity.as_str(), "error" | "fatal")
    }

    fn words(&self) -> String {
        let severity = if is_code(&self.severity) { &self.severity } else { "issue" };
        let code = if is_code(&self.code) { &self.code } else { "without a code" };
        let mut words = format!("{severity}: {code}");
        if let Some(coding) = self.details.coding.iter().find(|coding| is_code(&coding.code)) {
            words = format!("{words} ({})", coding.code);
        }
        let place = self.expression.iter().chain(&self.location).find(|place| is_place(place));
        place.map_or(words.clone(), |place| format!("{words} at {place}"))
    }
}

/// Whether a word is one of a code system, and no name, number or date of a person.
fn is_code(word: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    let is_part = |byte: u8| is_letter(byte) || byte.is_ascii_digit();
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    (1..=40).contains(&word.len()) && word.bytes().all(is_part) && digits <= 4 && word.bytes().any(is_letter)
}

/// Whether a text is a path of elements: `Bundle.entry[0].resource.code`, and holds no value.
fn is_place(text: &str) -> bool {
    let is_step = |step: &str| {
        let (name, place) = step.split_once('[').unwrap_or((step, "0]"));
        let place = place.strip_suffix(']').unwrap_or("?");
        (1..=40).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphabetic())
            && (1..=5).contains(&place.len())
            && place.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.len() <= 200
        && text.starts_with(|letter: char| letter.is_ascii_uppercase())
        && text.split('.').all(is_step)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(issue: &serde_json::Value) -> String {
        let outcome = json!({ "resourceType": "OperationOutcome", "issue": [issue] });
        Outcome::read(outcome.to_string().as_bytes()).unwrap().words().unwrap()
    }

    #[test]
    fn codes_and_places_are_told_and_free_text_is_not() {
        let told = words(&json!({
            "severity": "error", "code": "structure", "diagnostics": "Jean DUPONT is no date",
            "details": { "text": "Jean DUPONT", "coding": [{ "code": "MSG_PARAM_INVALID" }] },
            "expression": ["Observation.component[2].code"],
        }));
        assert_eq!(told, "error: structure (MSG_PARAM_INVALID) at Observation.component[2].code");
    }

    #[test]
    fn a_server_that_writes_a_patient_where_a_code_belongs_is_not_repeated() {
        let told = words(&json!({
            "severity": "DUPONT Jean", "code": "1850775123456", "details": { "coding": [{ "code": "né en 1985" }] },
            "expression": ["Patient.identifier.where(value='185077512')", "Patient.name[DUPONT]"],
            "location": ["/Patient/185"],
        }));
        assert_eq!(told, "issue: without a code");
    }

    #[test]
    fn faults_are_told_before_warnings_and_not_without_end() {
        let issue = |severity: &str| json!({ "severity": severity, "code": "value" });
        let mut many = vec![issue("warning")];
        many.resize(8, issue("error"));
        let outcome = json!({ "resourceType": "OperationOutcome", "issue": many });
        let words = Outcome::read(outcome.to_string().as_bytes()).unwrap().words().unwrap();
        assert!(!words.contains("warning") && words.ends_with("and 2 more"), "{words}");
    }
}
