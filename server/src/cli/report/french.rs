//! What is wrong with bytes, in French: the words of the formats and of the sources, phrase by phrase.

/// A phrase in each language. `*` is a part that is said in its own words; numbers are `…` already.
const PHRASES: &str = include_str!("french.tsv");

/// The same in French; as it is where its words are not known.
pub(super) fn said(english: &str) -> String {
    known(english).unwrap_or_else(|| english.to_owned())
}

fn known(english: &str) -> Option<String> {
    PHRASES.lines().filter_map(|line| line.split_once('\t')).find_map(|(phrase, french)| {
        let parts = parts(phrase, english)?;
        let mut parts = parts.into_iter();
        let mut text = String::new();
        for (place, piece) in french.split('*').enumerate() {
            if place > 0 {
                text.push_str(&said(parts.next()?));
            }
            text.push_str(piece);
        }
        Some(text)
    })
}

/// What stands for each `*` of a phrase, where the text is of its form.
fn parts<'a>(phrase: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = phrase.split('*');
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut parts = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let is_last = pieces.peek().is_none();
        let at = if is_last { rest.len().checked_sub(piece.len())? } else { rest.find(piece)? };
        if rest.get(at..at + piece.len())? != piece {
            return None;
        }
        parts.push(&rest[..at]);
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// The words by which a format says why bytes cannot be read, each number as a report has it.
    fn phrases(format: &str, until: &str) -> Vec<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/src").join(format).join("error.rs");
        let source = fs::read_to_string(&file).unwrap();
        let source = source.split(until).next().unwrap().replace("#[error(\n        \"", "#[error(\"");
        let phrase = |text: &str| {
            let text = text.split("\")]").next().unwrap().split("\"\n").next().unwrap();
            let pieces = text.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, rest)| rest));
            pieces.collect::<Vec<_>>().join("…").replace("\\\"", "\"")
        };
        let all = source.split("#[error(\"").skip(1).map(phrase);
        let numberless = |text: String| {
            let plain = text.chars().map(|one| if one.is_ascii_digit() { '…' } else { one });
            let mut plain: Vec<char> = plain.collect();
            plain.dedup_by(|one, other| *one == '…' && one == other);
            plain.into_iter().collect()
        };
        all.map(numberless).collect()
    }

    #[test]
    fn whatever_a_format_finds_wrong_is_said_in_french() {
        let mut number = 0;
        for (format, until) in [
            ("hl7", "pub struct PathError"),
            ("dicom", "\u{0}"),
            ("rows", "NoRow"),
            ("xml", "pub enum EditError"),
        ] {
            for phrase in phrases(format, until) {
                if phrase.starts_with("there is no row") || phrase.starts_with("`…` is not a path") {
                    continue;
                }
                assert!(known(&phrase).is_some(), "`{phrase}` of {format} has no French in french.tsv");
                number += 1;
            }
        }
        assert!(number > 40, "only {number} phrases were found: the sources are written otherwise now");
    }

    #[test]
    fn phrases_in_phrases_are_said_in_french_and_what_is_not_known_stays() {
        for (english, french) in [
            (
                "line …, column …: the row has … fields, and the first line has …",
                "ligne …, colonne … : la ligne a … champs, et la première en a …",
            ),
            (
                "the batch cannot be read: the message is empty (byte …)",
                "le lot ne peut pas être lu : le message est vide (octet …)",
            ),
            (
                "byte …, (…,…) PatientID: the element stands twice",
                "octet …, (…,…) PatientID : l’élément est présent deux fois",
            ),
            (
                "it is not JSON: expected value at line … column …",
                "ce n’est pas du JSON : une valeur était attendue, ligne …, colonne …",
            ),
            ("something new", "something new"),
        ] {
            assert_eq!(said(english), french);
        }
    }
}
