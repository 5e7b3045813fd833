//! Finds the name that was probably meant.

/// `did you mean …?`, if a known name is near enough.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let furthest = written.chars().count() / 3 + 1;
    known
        .map(|name| (distance(written, name), name))
        .filter(|(distance, _)| *distance <= furthest)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// How many characters must be put in, taken out or replaced.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, character) in left.chars().enumerate() {
        let mut corner = above;
        row[0] = above + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = corner + usize::from(character != *other);
            corner = row[column + 1];
            row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        assert_eq!(nearest("lenght", ["length", "trim"].into_iter()).unwrap(), "did you mean `length`?");
        assert_eq!(nearest("frobnicate", ["length", "trim"].into_iter()), None);
    }
}
