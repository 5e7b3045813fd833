//! The bytes of a message or a payload.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Bytes that are shared, never copied, and never printed.
///
/// The one place that knows where a body lies: callers ask for its length, its hash or its bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content(Bytes);

impl Content {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    pub fn hash(&self) -> Hash {
        Hash::of(&[&self.0])
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

/// Shows the length alone: a body may hold a patient.
impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Content({} bytes)", self.0.len())
    }
}

/// A SHA-256: names bytes, versions and effects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Hashes several parts so that no two lists of parts can be confused.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut sha = Sha256::new();
        for part in parts {
            if parts.len() > 1 {
                sha.update((part.len() as u64).to_be_bytes());
            }
            sha.update(part);
        }
        Self(sha.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
