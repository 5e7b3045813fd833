//! Holds what came against what was wanted.

use std::fmt::Debug;

/// Says both where they differ.
pub(crate) fn is<W: Debug + ?Sized + PartialEq<H>, H: Debug>(wanted: &W, have: &H) -> Result<(), String> {
    if wanted == have { Ok(()) } else { Err(format!("wanted {wanted:?}, have {have:?}")) }
}

/// Compares an answer field by field; `*` stands for any field that is not empty.
pub(crate) fn answer(wanted: &str, answer: &[u8]) -> Result<(), String> {
    let answer = String::from_utf8_lossy(answer).replace('\r', "\n");
    let separator = wanted.chars().nth(3).unwrap_or('|');
    let fields = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split(separator).map(str::to_owned).collect()).collect()
    };
    let (lines, have) = (fields(wanted), fields(&answer));
    let fits = |(wanted, have): (&String, &String)| wanted == have || (wanted == "*" && !have.is_empty());
    let same = lines.len() == have.len()
        && lines
            .iter()
            .zip(&have)
            .all(|(line, have)| line.len() == have.len() && line.iter().zip(have).all(fits));
    if same { Ok(()) } else { Err(format!("wanted\n{wanted}\nhave\n{answer}")) }
}
