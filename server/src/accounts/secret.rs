//! Secrets that are made here: sessions, links and tokens. Kept as digests only.

use std::{fmt::Write as _, io};

use sha2::{Digest, Sha256};

/// Random bytes of this machine.
pub(crate) fn random<const LENGTH: usize>() -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0_u8; LENGTH];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("this machine gives no random numbers"))?;
    Ok(bytes)
}

/// A new secret of 256 bits, as text.
pub(crate) fn fresh() -> io::Result<String> {
    random::<32>().map(|bytes| hex(&bytes))
}

/// What is kept of a secret. It has 256 random bits, so that a plain digest gives nothing away.
pub(crate) fn digest(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Compares in a time that does not tell how much was right.
pub(crate) fn same(ours: &[u8], theirs: &[u8]) -> bool {
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).fold(0, |different, (ours, theirs)| different | (ours ^ theirs)) == 0
}
