//! Unique identifiers: digits and dots, nothing a path or a query could misread.

use sha2::{Digest, Sha256};

/// Whether a text can be a UID: 64 characters at most, digits and dots alone, beginning with a digit.
pub fn is_uid(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A UID made of a text: the same text has the same.
pub fn uid_of(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    of_number(u128::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes")))
}

/// A UID of the branch that is made of UUIDs.
pub(super) fn of_number(number: u128) -> String {
    // A UUID of version 8: one that its maker defines.
    let version = number & !(0xF << 76) | 0x8 << 76;
    let whole = version & !(0x3 << 62) | 0x2 << 62;
    format!("2.25.{whole}")
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
