//! HPRIM, by which French laboratories send results: HPRIM Santé in segments, HPRIM Médecins as letters.

mod letter;
mod sante;

pub use letter::{IDENTITY, LETTER_COLUMNS};
pub use sante::written;

use std::sync::Arc;

use thiserror::Error;

use crate::{
    hl7::{Message, ParseError},
    rows::{RowsError, Sheet},
};

/// What a text of HPRIM is.
#[derive(Clone, Debug)]
pub enum Hprim {
    /// HPRIM Santé: segments `H`, `P`, `OBR`, `OBX`, `C`, `L`, read and written like those of HL7.
    Sante(Message),
    /// HPRIM Médecins: who and from whom, a letter, and its results as rows.
    Medecins(Sheet),
}

/// Why a text is not HPRIM, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HprimError {
    /// It begins like HPRIM Santé.
    #[error("HPRIM Santé: {0}")]
    Sante(ParseError),
    /// It does not.
    #[error("HPRIM Médecins: {0}")]
    Medecins(RowsError),
}

/// Reads a text: as HPRIM Santé where it begins with an `H` segment, else as HPRIM Médecins.
pub fn read(text: impl Into<Arc<str>>) -> Result<Hprim, HprimError> {
    let text = text.into();
    if is_header(text.trim_start_matches(BLANKS)) {
        return sante::read(text).map(Hprim::Sante).map_err(HprimError::Sante);
    }
    letter::read(text).map(Hprim::Medecins).map_err(HprimError::Medecins)
}

/// What may stand before a header.
const BLANKS: [char; 5] = ['\u{feff}', ' ', '\t', '\r', '\n'];

fn is_header(line: &str) -> bool {
    line.strip_prefix('H').is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_punctuation()))
}

/// The messages of a file, each as it stands: those of HPRIM Santé begin with an `H` segment, the others are letters.
pub fn messages(text: &str) -> Vec<&str> {
    let first = text.len() - text.trim_start_matches(BLANKS).len();
    if !is_header(&text[first..]) {
        return letters(text);
    }
    let breaks = text.match_indices(['\r', '\n']).map(|(at, _)| at + 1);
    let starts: Vec<usize> = breaks.filter(|at| *at > first && is_header(&text[*at..])).collect();
    let begins = std::iter::once(0).chain(starts.iter().copied());
    let ends = starts.iter().copied().chain([text.len()]);
    begins.zip(ends).map(|(begin, end)| &text[begin..end]).collect()
}

/// The letters of a file of HPRIM Médecins, each as it stands.
pub fn letters(text: &str) -> Vec<&str> {
    letter::letters(text).into_iter().map(|letter| &text[letter]).collect()
}
