//! What a key makes of a value: the same each time, and nobody without the key finds the way back.

use sha2::{Digest, Sha256};

const BLOCK: usize = 64;

/// A key, ready to be used.
#[derive(Clone)]
pub(crate) struct Keyed {
    inner: Sha256,
    outer: Sha256,
}

impl Keyed {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Self {
            inner: Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36)),
            outer: Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5C)),
        }
    }

    /// HMAC-SHA-256 of a value, for one purpose alone.
    pub(crate) fn of(&self, purpose: &str, value: &str) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(purpose).chain_update([0]).chain_update(value).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }

    /// The first bytes of it as a number.
    pub(crate) fn number(&self, purpose: &str, value: &str) -> u128 {
        let bytes = self.of(purpose, value);
        u128::from_be_bytes(*bytes.first_chunk().expect("a digest has 32 bytes"))
    }

    /// A UID for a UID: of the branch that is made of UUIDs.
    pub(crate) fn uid(&self, uid: &str) -> String {
        super::uid::of_number(self.number("uid", uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hmac_that_others_compute() {
        // RFC 4231, case 2, with the purpose and its end as the beginning of the text.
        let keyed = Keyed::new(b"Jefe");
        let said = keyed.inner.clone().chain_update("what do ya want for nothing?").finalize();
        let said = keyed.outer.clone().chain_update(said).finalize();
        assert_eq!(said[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }

    #[test]
    fn a_uid_stays_one_and_the_same() {
        let keyed = Keyed::new(b"a key of some length");
        assert_eq!(keyed.uid("1.2.3"), keyed.uid("1.2.3"));
        assert_ne!(keyed.uid("1.2.3"), keyed.uid("1.2.4"));
        assert!(super::super::is_uid(&keyed.uid("1.2.3")));
    }
}
