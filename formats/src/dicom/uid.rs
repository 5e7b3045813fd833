//! Unique identifiers: digits and dots, nothing a path or a query could misread.

/// Whether a text can be a UID: 64 characters at most, digits and dots alone, beginning with a digit.
pub fn is_uid(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_holds_nothing_that_leads_elsewhere() {
        assert!(is_uid("1.2.840.10008.1.2"));
        for bad in ["", ".", "..", "1/2", "1.2\0", "1.2 ", "a", &"1".repeat(65)] {
            assert!(!is_uid(bad), "{bad:?}");
        }
    }
}
