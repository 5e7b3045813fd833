//! Storage commitment (PS3.4, annex J): an archive is asked whether it keeps what it took, and says so of each instance.

use std::collections::HashMap;

use formats::dicom::{Instance, Path};

use super::association::Sort;
use crate::part10::Meta;

/// The class of what is asked, and the one object it has.
pub(super) const CLASS: &str = "1.2.840.10008.1.20.1";
pub(super) const OBJECT: &str = "1.2.840.10008.1.20.1.1";

/// How it is asked: as everybody can read it.
const IMPLICIT: &str = "1.2.840.10008.1.2";

/// An instance that an archive has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) class: String,
    pub(super) instance: String,
}

/// What an archive says of a transaction: of each instance that it keeps it, or the reason why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) transaction: String,
    pub(super) of: HashMap<String, Result<(), u16>>,
}

pub(super) fn sort() -> Sort {
    Sort { class: CLASS.to_owned(), syntax: IMPLICIT.to_owned() }
}

/// A name that no other transaction has, and that nobody can guess.
pub(super) fn transaction() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random numbers");
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

/// The data set that asks for all of these.
pub(super) fn request(transaction: &str, all: &[Stored]) -> Result<Vec<u8>, String> {
    let mut asked = data_set(Vec::new(), IMPLICIT)?;
    let mut set = |path: &str, value: &str| {
        asked.set(&path_to(path), value).map_err(|error| format!("it cannot be asked for: {error}"))
    };
    set("TransactionUID", transaction)?;
    for (place, Stored { class, instance }) in all.iter().enumerate() {
        let item = format!("ReferencedSOPSequence[{}]", place + 1);
        set(&format!("{item}.ReferencedSOPClassUID"), class)?;
        set(&format!("{item}.ReferencedSOPInstanceUID"), instance)?;
    }
    let file = asked.written().map_err(|error| error.to_string())?;
    let begins = Meta::read(&file)?.data_set;
    Ok(file[begins..].to_vec())
}

/// Reads what an archive says.
pub(super) fn report(bytes: Vec<u8>, syntax: &str) -> Result<Report, String> {
    let told = data_set(bytes, syntax)?;
    let get = |path: &str| {
        let text = told.get(&path_to(path)).map_err(|error| format!("a report cannot be read: {error}"))?;
        Ok::<_, String>(text.trim_matches(['\0', ' ']).to_owned())
    };
    let count =
        |list: &str| told.count(&path_to(list)).map_err(|error| format!("a report cannot be read: {error}"));
    let mut of = HashMap::new();
    for place in 1..=count("ReferencedSOPSequence")? {
        of.insert(get(&format!("ReferencedSOPSequence[{place}].ReferencedSOPInstanceUID"))?, Ok(()));
    }
    for place in 1..=count("FailedSOPSequence")? {
        let item = format!("FailedSOPSequence[{place}]");
        let reason = get(&format!("{item}.FailureReason"))?;
        let reason = reason.parse().map_err(|_| "a report gives no reason for a failure".to_owned())?;
        of.insert(get(&format!("{item}.ReferencedSOPInstanceUID"))?, Err(reason));
    }
    Ok(Report { transaction: get("TransactionUID")?, of })
}

fn path_to(text: &str) -> Path {
    Path::parse(text).expect("the path is one of the standard's")
}

fn data_set(bytes: Vec<u8>, syntax: &str) -> Result<Instance, String> {
    let meta = Meta {
        sop_class: CLASS.to_owned(),
        sop_instance: OBJECT.to_owned(),
        transfer_syntax: syntax.to_owned(),
        data_set: 0,
    };
    let mut file = meta.written();
    file.extend(bytes);
    Instance::of_bytes(file.into()).map_err(|error| format!("a report cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_can_be_read_as_a_report() {
        let all = ["1.2.3.1", "1.2.3.22"].map(|instance| Stored {
            class: "1.2.840.10008.5.1.4.1.1.7".to_owned(),
            instance: instance.to_owned(),
        });
        let name = transaction();
        assert!(crate::part10::is_uid(&name) && name != transaction());
        let read = report(request(&name, &all).unwrap(), IMPLICIT).unwrap();
        assert_eq!(read.transaction, name);
        assert_eq!(read.of, all.map(|stored| (stored.instance, Ok(()))).into());
    }

    #[test]
    fn a_failure_has_its_reason() {
        let mut told = data_set(Vec::new(), IMPLICIT).unwrap();
        told.set(&path_to("TransactionUID"), "2.25.7").unwrap();
        told.set(&path_to("FailedSOPSequence[1].ReferencedSOPInstanceUID"), "1.2.3").unwrap();
        told.set(&path_to("FailedSOPSequence[1].FailureReason"), "274").unwrap();
        let file = told.written().unwrap();
        let bytes = file[Meta::read(&file).unwrap().data_set..].to_vec();
        let read = report(bytes.clone(), IMPLICIT).unwrap();
        assert_eq!(read.of["1.2.3"], Err(0x0112));
        assert!(report(bytes[..bytes.len() - 3].to_vec(), IMPLICIT).is_err());
    }
}
