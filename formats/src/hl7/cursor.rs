//! Reads a path character by character, and says where it is wrong.

use std::str::FromStr;

use super::PathError;

/// Where the reading of a path has come to.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// Passes over this character if it comes next.
    pub(super) fn take(&mut self, expected: u8) -> bool {
        let there = self.text.as_bytes().get(self.at) == Some(&expected);
        self.at += usize::from(there);
        there
    }

    /// Reads the name of a segment: a capital, then two capitals or digits.
    pub(super) fn name(&mut self) -> Result<[u8; 3], PathError> {
        let why = "a path begins with the name of a segment, three capitals or digits such as PID";
        let name = self.text.as_bytes().first_chunk::<3>().filter(|name| is_name(*name));
        let wrong =
            self.text.bytes().take(3).position(|byte| !byte.is_ascii_uppercase() && !byte.is_ascii_digit());
        self.at = 3;
        name.copied().ok_or_else(|| self.error_at(wrong.unwrap_or(0), why))
    }

    /// Reads the name of a segment of HPRIM: a capital, then up to two capitals or digits.
    pub(super) fn short_name(&mut self) -> Result<[u8; 3], PathError> {
        let length =
            self.text.bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count();
        let why =
            "a path begins with the name of a segment, one to three capitals or digits such as P or OBX";
        let name = &self.text.as_bytes()[..length];
        if !is_short_name(name) {
            return Err(self.error_at(length.min(3), why));
        }
        self.at = length;
        let mut filled = [b' '; 3];
        filled[..length].copy_from_slice(name);
        Ok(filled)
    }

    /// Reads a number from 1.
    pub(super) fn number<N: FromStr>(&mut self, why: &'static str) -> Result<N, PathError> {
        let rest = &self.text[self.at..];
        let digits = &rest[..rest.bytes().take_while(u8::is_ascii_digit).count()];
        if digits.bytes().all(|digit| digit == b'0') {
            return Err(self.error(if digits.is_empty() { why } else { "paths count from 1" }));
        }
        let number = digits.parse().map_err(|_| self.error(why))?;
        self.at += digits.len();
        Ok(number)
    }

    /// Reads `[n]` if it comes next.
    pub(super) fn bracket<N: FromStr>(&mut self, why: &'static str) -> Result<Option<N>, PathError> {
        if !self.take(b'[') {
            return Ok(None);
        }
        let number = self.number(why)?;
        if !self.take(b']') {
            return Err(self.error("`]` is missing"));
        }
        Ok(Some(number))
    }

    /// Asks for the end of the path.
    pub(super) fn end(&self) -> Result<(), PathError> {
        if self.at == self.text.len() {
            return Ok(());
        }
        Err(self.error("nothing can follow here; a path is like PID-3[2].4.1"))
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn error(&self, why: &'static str) -> PathError {
        self.error_at(self.at, why)
    }

    fn error_at(&self, place: usize, why: &'static str) -> PathError {
        let before = self.text.char_indices().take_while(|(at, _)| *at < place).count();
        PathError { path: self.text.to_owned(), at: before + 1, why }
    }
}

/// Whether these bytes can be the name of a segment.
pub(super) fn is_name(name: &[u8]) -> bool {
    let capital_or_digit = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    name.len() == 3 && name[0].is_ascii_uppercase() && name.iter().all(capital_or_digit)
}

/// Whether these bytes can be the name of a segment of HPRIM.
pub(super) fn is_short_name(name: &[u8]) -> bool {
    let capital_or_digit = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    (1..=3).contains(&name.len()) && name[0].is_ascii_uppercase() && name.iter().all(capital_or_digit)
}
