//! What a search answers (DICOM JSON): studies, and the instances in them.

use serde_json::Value;

use crate::{dicomweb::archive::Place, part10};

/// A study that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Study {
    pub(super) uid: String,
    /// How many instances it has, where the server says.
    pub(super) instances: Option<u64>,
}

/// The studies of one page.
pub(super) fn studies(body: &[u8]) -> Result<Vec<Study>, String> {
    let study =
        |item: &Value| Some(Study { uid: uid(item, "0020000D")?, instances: number(item, "00201208") });
    listed(body, study)
}

/// The instances of one page, each with its place. `study` is the one they were searched in.
pub(super) fn instances(body: &[u8], study: &str) -> Result<Vec<Place>, String> {
    listed(body, |item| {
        Some(Place {
            study: study.to_owned(),
            series: uid(item, "0020000E")?,
            instance: uid(item, "00080018")?,
        })
    })
}

/// Each item that names what it is; names that are no UIDs would be no paths either.
fn listed<T>(body: &[u8], read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, String> {
    // Nothing found may be told by nothing said.
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let found: Value = serde_json::from_slice(body).map_err(|_| "its answer is no JSON".to_owned())?;
    let items = found.as_array().ok_or("its answer is no list")?;
    items.iter().map(|item| read(item).ok_or_else(|| "its answer lists what has no UID".to_owned())).collect()
}

fn uid(item: &Value, attribute: &str) -> Option<String> {
    let uid = item[attribute]["Value"][0].as_str()?.trim_end_matches(['\0', ' ']);
    part10::is_uid(uid).then(|| uid.to_owned())
}

fn number(item: &Value, attribute: &str) -> Option<u64> {
    let value = &item[attribute]["Value"][0];
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn studies_and_instances_are_read_and_hostile_names_are_not() {
        let body = br#"[{"0020000D":{"vr":"UI","Value":["1.2"]},"00201208":{"vr":"IS","Value":[3]}}]"#;
        assert_eq!(studies(body), Ok(vec![Study { uid: "1.2".to_owned(), instances: Some(3) }]));
        let body = br#"[{"0020000E":{"Value":["1.2.1"]},"00080018":{"Value":["1.2.1.7"]}}]"#;
        assert_eq!(instances(body, "1.2").unwrap()[0].path(), "studies/1.2/series/1.2.1/instances/1.2.1.7");
        assert_eq!(studies(b""), Ok(Vec::new()));
        let hostile = br#"[{"0020000D":{"vr":"UI","Value":["../../x"]}}]"#;
        assert!(studies(hostile).is_err() && studies(b"{}").is_err() && studies(b"<x/>").is_err());
    }
}
