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
    let first = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let is_sante = first
        .strip_prefix('H')
        .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_punctuation()));
    if is_sante {
        return sante::read(text).map(Hprim::Sante).map_err(HprimError::Sante);
    }
    letter::read(text).map(Hprim::Medecins).map_err(HprimError::Medecins)
}

/// The letters of a file of HPRIM Médecins, each as it stands.
pub fn letters(text: &str) -> Vec<&str> {
    letter::letters(text).into_iter().map(|letter| &text[letter]).collect()
}
