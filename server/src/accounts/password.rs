//! Passwords, kept as argon2id hashes.

use std::io;

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

use super::secret::{hex, random, same};

/// What OWASP asks for argon2id: 19 MiB, two passes.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;

const SHORTEST: usize = 12;
const LONGEST: usize = 1024;

/// What is kept of a password, with what it takes to compare another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Password {
    memory: u32,
    passes: u32,
    salt: String,
    argon2id: String,
}

impl Password {
    /// Takes some tens of milliseconds, on purpose.
    pub(super) fn of(text: &str) -> io::Result<Self> {
        let salt = hex(&random::<16>()?);
        let made = hashed(text, &salt, (MEMORY, PASSES)).map_err(io::Error::other)?;
        Ok(Self { memory: MEMORY, passes: PASSES, salt, argon2id: hex(&made) })
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        let made = hashed(text, &self.salt, (self.memory, self.passes));
        made.is_ok_and(|made| same(hex(&made).as_bytes(), self.argon2id.as_bytes()))
    }
}

/// As much work as a comparison, for a name that nobody has: how long it takes must not tell which names there are.
pub(super) fn work_all_the_same(text: &str) {
    let _ = hashed(text, "00000000000000000000000000000000", (MEMORY, PASSES));
}

/// What is wrong with a new password, in words.
pub(super) fn weakness(text: &str, name: &str) -> Option<String> {
    let letters = text.chars().count();
    if letters < SHORTEST {
        return Some(format!("a password has at least {SHORTEST} letters; a sentence of four words is good"));
    }
    if text.len() > LONGEST {
        return Some(format!("a password has at most {LONGEST} bytes"));
    }
    let first = text.chars().next();
    if text.to_lowercase().contains(&name.to_lowercase()) || text.chars().all(|letter| Some(letter) == first)
    {
        return Some("a password is not the name, nor one letter again and again".to_owned());
    }
    None
}

fn hashed(text: &str, salt: &str, (memory, passes): (u32, u32)) -> Result<[u8; 32], argon2::Error> {
    let mut made = [0_u8; 32];
    let settings = Params::new(memory, passes, 1, Some(made.len()))?;
    // What cannot be a password costs no more than one.
    let text = text.as_bytes().get(..LONGEST).unwrap_or(text.as_bytes());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, settings).hash_password_into(
        text,
        salt.as_bytes(),
        &mut made,
    )?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_password_fits_and_two_hashes_of_it_differ() {
        let kept = Password::of("four words make one").unwrap();
        assert!(kept.fits("four words make one"));
        assert!(!kept.fits("four words make two"));
        assert_ne!(kept, Password::of("four words make one").unwrap());
    }

    #[test]
    fn short_passwords_and_names_are_refused() {
        assert!(weakness("short", "ada").is_some());
        assert!(weakness("Ada Lovelace 1815", "ada").is_some());
        assert!(weakness("aaaaaaaaaaaaaaaa", "bob").is_some());
        assert!(weakness("correct horse battery", "bob").is_none());
    }
}
