//! Regular expressions, compiled once.

use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
};

use regex::{Regex, RegexBuilder};
use rhai::{Array, Dynamic, plugin::*};

use super::Outcome;
use crate::{language::LONGEST_TEXT, pieces::list_of, run::too_large};

/// Patterns that were compiled. A pattern made of content cannot fill the memory: it is emptied when full.
static COMPILED: LazyLock<RwLock<HashMap<String, Regex>>> = LazyLock::new(RwLock::default);

const MOST_COMPILED: usize = 500;

#[export_module]
pub(crate) mod functions {
    /// Whether a pattern (a regular expression) is found in a text.
    ///
    /// ```rhai
    /// "0612345678".matches("^0[67][0-9]{8}$")
    /// ```
    #[rhai_fn(return_raw)]
    pub fn matches(text: &str, pattern: &str) -> Outcome<bool> {
        Ok(compiled(pattern)?.is_match(text))
    }

    /// The first text that a pattern finds; `()` if none.
    ///
    /// ```rhai
    /// "room 12, bed 3".find("[0-9]+") == "12"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn find(text: &str, pattern: &str) -> Outcome<Dynamic> {
        let found = compiled(pattern)?.find(text).map(|found| Dynamic::from(found.as_str().to_owned()));
        Ok(found.unwrap_or_default())
    }

    /// Every text that a pattern finds.
    ///
    /// ```rhai
    /// "room 12, bed 3".find_all("[0-9]+") == ["12", "3"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn find_all(text: &str, pattern: &str) -> Outcome<Array> {
        let pattern = compiled(pattern)?;
        list_of(pattern.find_iter(text).map(|found| Dynamic::from(found.as_str().to_owned())))
    }

    /// What the groups of a pattern found, the whole first; an empty list if nothing was found.
    ///
    /// ```rhai
    /// "12/03/1980".capture("([0-9]+)/([0-9]+)/([0-9]+)")[3] == "1980"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn capture(text: &str, pattern: &str) -> Outcome<Array> {
        let Some(groups) = compiled(pattern)?.captures(text) else { return Ok(Array::new()) };
        let found = groups.iter().map(|group| group.map_or("", |group| group.as_str()).to_owned());
        Ok(found.map(Dynamic::from).collect())
    }

    /// Replaces whatever a pattern finds; `$1` is what its first group found.
    ///
    /// ```rhai
    /// "12/03/1980".replace_all("([0-9]+)/([0-9]+)/([0-9]+)", "$3$2$1") == "19800312"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn replace_all(text: &str, pattern: &str, with: &str) -> Outcome<String> {
        let pattern = compiled(pattern)?;
        let longest =
            pattern.find_iter(text).count().saturating_mul(with.len().max(1)).saturating_add(text.len());
        if longest > LONGEST_TEXT {
            return too_large("Length of string");
        }
        let replaced = pattern.replace_all(text, with).into_owned();
        if replaced.len() > LONGEST_TEXT { too_large("Length of string") } else { Ok(replaced) }
    }
}

fn compiled(pattern: &str) -> Outcome<Regex> {
    if let Some(known) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return Ok(known.clone());
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| "the pattern is not a regular expression, or is too large")?;
    let mut known = COMPILED.write().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= MOST_COMPILED {
        known.clear();
    }
    known.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}
