//! Writes the answer to a file, once, also where a crash comes in between.
//!
//! The answer is written beside the claimed file first. Then the file moves to `answered`, by one rename, and the answer to
//! where it belongs, by another. Found after a crash, a file in `answered` without an answer beside it has given it already.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    claims::{ANSWERED, Claimed},
    finish::{Finish, rename_freely},
    place::{Done, Fault, LONGEST, Location},
};

/// How answers are given.
pub(super) struct Answering<'a> {
    pub(super) finish: Finish<'a>,
    pub(super) settings: &'a AnswerFile,
}

impl Answering<'_> {
    /// Gives the answer, if it is not given yet; says where it lies.
    pub(super) async fn give(&self, claimed: &mut Claimed, words: Option<&Bytes>) -> Done<Option<Location>> {
        let Some(mark) = claimed.mark else { return Ok(None) };
        let answered = claimed.sweep().join(ANSWERED);
        let written = answered.join(format!(".{:.32}", mark.to_string()).as_bytes());
        let place = self.finish.place;
        if !claimed.is_answered() {
            let Some(words) = words else { return Ok(None) };
            place.make_folder(&answered).await?;
            place.write(&written, words).await?;
            let to = answered.join(claimed.at.name());
            match place.rename_to_own(&claimed.at, &to).await {
                // An earlier try had moved it, and its answer was cut off.
                Ok(()) | Err(Fault::Missing) => claimed.at = to,
                Err(fault) => return Err(fault),
            }
            place.settle(&[answered, claimed.sweep()]).await?;
        }
        match place.look(&written).await {
            Ok(_) => {}
            Err(Fault::Missing) => return Ok(None),
            Err(fault) => return Err(fault),
        }
        let beside = claimed.from.folder();
        let folder = self.finish.folders.answers.as_ref().unwrap_or(&beside);
        let name = self.settings.name_for(claimed.from.name());
        rename_freely(place, &written, (folder, &name)).await.map(Some)
    }
}

/// Where an answer goes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct AnswerFile {
    /// The folder of the answers; by default the one that the file came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub(super) dir: Option<String>,

    /// The name of an answer: `{name}` stands for that of the file, `{stem}` for the same without its ending.
    #[serde(default = "answer_name")]
    #[schemars(length(min = 1))]
    pub(super) name: String,
}

impl AnswerFile {
    /// The name of the answer to a file of this name. Of a long one so much is left out that file systems take the answer's.
    pub(crate) fn name_for(&self, file: &[u8]) -> Vec<u8> {
        let stem = file.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
        let stem = &file[..stem.unwrap_or(file.len())];
        let whole = self.filled(file, stem);
        let places = self.name.matches("{name}").count() + self.name.matches("{stem}").count();
        match whole.len().saturating_sub(LONGEST) {
            0 => whole,
            over => {
                let over = over.div_ceil(places.max(1));
                self.filled(without_end(file, over), without_end(stem, over))
            }
        }
    }

    fn filled(&self, file: &[u8], stem: &[u8]) -> Vec<u8> {
        let mut name = Vec::new();
        let mut rest = self.name.as_str();
        while let Some(begin) = rest.find('{') {
            name.extend_from_slice(&rest.as_bytes()[..begin]);
            rest = &rest[begin..];
            let (word, value): (&str, &[u8]) = match rest {
                _ if rest.starts_with("{name}") => ("{name}", file),
                _ if rest.starts_with("{stem}") => ("{stem}", stem),
                _ => ("{", b"{"),
            };
            name.extend_from_slice(value);
            rest = &rest[word.len()..];
        }
        name.extend_from_slice(rest.as_bytes());
        name
    }
}

/// A name without so many bytes at its end, and without the rest of a character that this cuts.
fn without_end(name: &[u8], bytes: usize) -> &[u8] {
    let is_inside = |at: usize| name.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let mut end = name.len().saturating_sub(bytes);
    while end > 0 && is_inside(end) && std::str::from_utf8(name).is_ok() {
        end -= 1;
    }
    &name[..end]
}

fn answer_name() -> String {
    "{stem}.answer".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_long_name_has_one_that_file_systems_take() {
        let answers = |name: &str| AnswerFile { dir: None, name: name.to_owned() };
        assert_eq!(answers("{stem}.answer").name_for(b"a.b.hl7"), b"a.b.answer");
        assert_eq!(answers("re-{name}-{x}").name_for(b".a"), b"re-.a-{x}");
        let long = ["x".repeat(251).as_bytes(), b".hl7"].concat();
        let name = answers("{stem}.answer").name_for(&long);
        assert!(name.len() == LONGEST && name.ends_with(b"xx.answer"));
        assert!(answers("{stem}-{name}").name_for(&long).len() <= LONGEST);
        // No character is cut in two, and bytes that are none are cut anywhere.
        let name = answers("{stem}.answer").name_for("é".repeat(125).as_bytes());
        assert_eq!(String::from_utf8(name).unwrap(), format!("{}.answer", "é".repeat(124)));
        assert_eq!(answers("{stem}.answer").name_for(&[0x80; 255]).len(), LONGEST);
    }
}
