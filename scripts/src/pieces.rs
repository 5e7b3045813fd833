//! Text in pieces: no more of them are made than a list may have.

use rhai::{Array, Dynamic, Engine, INT, ImmutableString};

use crate::{functions::Outcome, language::LARGEST_LIST, run::too_large};

/// A list of what an iterator gives, unless that is more than a list may have: it is not made then.
pub(crate) fn list_of<T: Into<Dynamic>>(pieces: impl Iterator<Item = T>) -> Outcome<Array> {
    let list: Array = pieces.take(LARGEST_LIST + 1).map(Into::into).collect();
    if list.len() > LARGEST_LIST { too_large("Size of array/BLOB") } else { Ok(list) }
}

/// Stands for Rhai's own functions of these names, which make the pieces first and count them then.
pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_fn("split", |text: &str| list_of(text.split_whitespace().map(piece)))
        .register_fn("split", |text: &str, by: &str| list_of(text.split(by).map(piece)))
        .register_fn("split", |text: &str, by: char| list_of(text.split(by).map(piece)))
        .register_fn("split", |text: &str, by: &str, most: INT| {
            list_of(text.splitn(count(most), by).map(piece))
        })
        .register_fn("split", |text: &str, by: char, most: INT| {
            list_of(text.splitn(count(most), by).map(piece))
        })
        .register_fn("split_rev", |text: &str, by: &str| list_of(text.rsplit(by).map(piece)))
        .register_fn("split_rev", |text: &str, by: char| list_of(text.rsplit(by).map(piece)))
        .register_fn("split_rev", |text: &str, by: &str, most: INT| {
            list_of(text.rsplitn(count(most), by).map(piece))
        })
        .register_fn("split_rev", |text: &str, by: char, most: INT| {
            list_of(text.rsplitn(count(most), by).map(piece))
        })
        .register_fn("to_chars", |text: &str| list_of(text.chars()));
}

fn piece(text: &str) -> ImmutableString {
    text.into()
}

/// As Rhai counts: one piece at least.
fn count(most: INT) -> usize {
    usize::try_from(most).unwrap_or(0).max(1)
}
