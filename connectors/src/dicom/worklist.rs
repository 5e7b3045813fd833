//! A modality worklist that is asked for entries (C-FIND).

use formats::dicom::{AccessError, Instance, Path};
use tokio::time::Instant;

use super::{
    association::{Association, Calling, Sort},
    pdu::Broken,
};
use crate::{
    dimse::{self, Verdict},
    part10::Meta,
};

/// The class of questions to a worklist.
const CLASS: &str = "1.2.840.10008.5.1.4.31";

/// How questions and entries may be written, what names its kinds first. The second is spoken by all.
const SYNTAXES: [&str; 2] = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"];

/// What a question is called where a name must stand; nobody sees it.
const UNNAMED: &str = "1.2";

/// A worklist on the other side of associations of ours.
pub(crate) struct Worklist {
    calling: Calling,
}

/// Why it is not known which entries there are.
#[derive(Debug)]
pub(crate) enum Unfound {
    NotNow(String),
    /// Asking again will not help.
    Wrong(String),
}

impl Worklist {
    pub(crate) fn new(calling: Calling) -> Self {
        Self { calling }
    }

    /// The entries that have these texts at these paths, each by its texts at `columns`.
    pub(crate) async fn find(
        &self,
        keys: &[(Path, String)],
        columns: &[Path],
        deadline: Instant,
    ) -> Result<Vec<Vec<String>>, Unfound> {
        let (mut association, context, syntax) = self.open(deadline).await.map_err(Unfound::NotNow)?;
        let like = question(keys, columns, &syntax).map_err(Unfound::Wrong)?;
        let found = association.find((context, CLASS), &like, deadline).await;
        let found = found.map_err(|broken| Unfound::NotNow(said(&broken)))?;
        association.release(deadline).await;
        let answered =
            || format!("{} answered C-FIND with {}", self.calling.theirs, dimse::words(found.status));
        match dimse::verdict(found.status) {
            Verdict::Stored => {}
            Verdict::NotNow => return Err(Unfound::NotNow(answered())),
            Verdict::Refused => return Err(Unfound::Wrong(answered())),
        }
        let mut entries = Vec::new();
        for entry in found.entries {
            entries.extend(read(entry, &syntax, keys, columns).map_err(Unfound::Wrong)?);
        }
        Ok(entries)
    }

    /// Whether it is there, and a worklist.
    pub(crate) async fn reach(&self, deadline: Instant) -> Result<(), String> {
        let (association, ..) = self.open(deadline).await?;
        association.release(deadline).await;
        Ok(())
    }

    async fn open(&self, deadline: Instant) -> Result<(Association, u8, String), String> {
        let sorts = SYNTAXES.map(|syntax| Sort { class: CLASS.to_owned(), syntax: syntax.to_owned() });
        let association = self.calling.open(&sorts, deadline).await?;
        match association.first() {
            Some((context, sort)) => Ok((association, context, sort.syntax)),
            None => Err(format!("{} has no worklist that we may ask", self.calling.theirs)),
        }
    }
}

fn said(broken: &Broken) -> String {
    match broken {
        Broken::Late => "no answer in time".to_owned(),
        other => other.words(),
    }
}

/// An entry as it is wanted: with the keys, and empty where it is asked what stands there.
fn question(keys: &[(Path, String)], columns: &[Path], syntax: &str) -> Result<Vec<u8>, String> {
    let words = |error: AccessError| format!("cannot be asked for: {error}");
    let mut like = data_set(Vec::new(), syntax)?;
    if keys.iter().any(|(_, text)| !text.is_ascii()) {
        like.set(&Path::parse("SpecificCharacterSet").map_err(|error| error.to_string())?, "ISO_IR 192")
            .map_err(words)?;
    }
    for (path, text) in keys {
        like.set(path, text).map_err(words)?;
    }
    for path in columns {
        if !like.has(path).map_err(words)? {
            like.set(path, "").map_err(words)?;
        }
    }
    let file = like.written().map_err(|error| error.to_string())?;
    let begins = Meta::read(&file)?.data_set;
    Ok(file[begins..].to_vec())
}

/// The texts of an entry, if it is one that was asked for: `*` and `?` in a key stand for more than themselves, and some
/// worklists do not look at every key.
fn read(
    entry: Vec<u8>,
    syntax: &str,
    keys: &[(Path, String)],
    columns: &[Path],
) -> Result<Option<Vec<String>>, String> {
    let words = |error: AccessError| format!("an entry cannot be read: {error}");
    let entry = data_set(entry, syntax)?;
    for (path, text) in keys {
        if entry.get(path).map_err(words)?.trim() != text.trim() {
            return Ok(None);
        }
    }
    let texts = columns.iter().map(|path| entry.get(path).map(|text| text.trim().to_owned()));
    texts.collect::<Result<_, _>>().map(Some).map_err(words)
}

fn data_set(bytes: Vec<u8>, syntax: &str) -> Result<Instance, String> {
    let meta = Meta {
        sop_class: CLASS.to_owned(),
        sop_instance: UNNAMED.to_owned(),
        transfer_syntax: syntax.to_owned(),
        data_set: 0,
    };
    let mut file = meta.written();
    file.extend(bytes);
    Instance::of_bytes(file.into()).map_err(|error| format!("an entry cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    #[test]
    fn an_entry_is_read_as_it_was_asked_for_in_both_syntaxes() {
        let step = path("ScheduledProcedureStepSequence.ScheduledProcedureStepID");
        for syntax in SYNTAXES {
            let keys =
                [(path("AccessionNumber"), "A1".to_owned()), (path("PatientName"), "Müller".to_owned())];
            let columns = [path("PatientID"), step.clone()];
            let like = question(&keys, &columns, syntax).unwrap();
            assert_eq!(read(like.clone(), syntax, &keys, &columns).unwrap().unwrap(), ["", ""]);
            let mut entry = data_set(like, syntax).unwrap();
            entry.set(&step, "S1").unwrap();
            let file = entry.written().unwrap();
            let entry = file[Meta::read(&file).unwrap().data_set..].to_vec();
            assert_eq!(read(entry.clone(), syntax, &keys, &columns).unwrap().unwrap(), ["", "S1"]);
            let other = [(path("AccessionNumber"), "A*".to_owned())];
            assert_eq!(read(entry, syntax, &other, &columns).unwrap(), None);
        }
    }
}
