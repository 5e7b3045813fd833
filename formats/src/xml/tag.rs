//! One tag: its name, and its attributes with their places in it.

use std::ops::Range;

use super::{Why, escape};

/// An attribute's name and value, as they stand in the tag.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// The name that a tag begins with, behind `<` or `</`.
pub(super) fn name(tag: &str) -> &str {
    let inside = tag.trim_start_matches(['<', '/']);
    &inside[..inside
        .find(|next: char| next.is_ascii_whitespace() || matches!(next, '/' | '>'))
        .unwrap_or(inside.len())]
}

/// Whether a text can be the name of an element or an attribute.
pub(super) fn is_name(name: &str) -> bool {
    let is_start = |first: char| first.is_alphabetic() || matches!(first, '_' | ':');
    let is_rest = |rest: char| is_start(rest) || rest.is_numeric() || matches!(rest, '-' | '.' | '\u{b7}');
    name.starts_with(is_start) && name.chars().all(is_rest)
}

/// Whether the tag is an element without content.
pub(super) fn is_empty(tag: &str) -> bool {
    tag.ends_with("/>")
}

/// The attributes of a start tag; the error comes with its place in the tag.
pub(super) fn attributes(tag: &str) -> Result<Vec<Attribute>, (usize, Why)> {
    let end = tag.len() - if is_empty(tag) { 2 } else { 1 };
    let mut at = 1 + name(tag).len();
    let mut found: Vec<Attribute> = Vec::new();
    loop {
        let rest = &tag[at..end];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        at += blanks;
        let rest = &tag[at..end];
        if rest.is_empty() {
            return Ok(found);
        }
        let wrong = (at, Why::BadAttribute);
        let length = rest.find(|next: char| next.is_ascii_whitespace() || next == '=').ok_or(wrong)?;
        if blanks == 0 || !is_name(&rest[..length]) {
            return Err(wrong);
        }
        let name = at..at + length;
        let behind = rest[length..].trim_start().strip_prefix('=').ok_or(wrong)?.trim_start();
        let quote = behind.chars().next().filter(|quote| matches!(quote, '"' | '\'')).ok_or(wrong)?;
        let start = end - behind.len() + 1;
        let length = tag[start..end].find(quote).ok_or(wrong)?;
        let value = start..start + length;
        if tag[value.clone()].contains('<') {
            return Err((start, Why::BadAttribute));
        }
        escape::decoded(&tag[value.clone()]).map_err(|(within, why)| (start + within, why))?;
        if found.iter().any(|known| tag[known.name.clone()] == tag[name.clone()]) {
            return Err((at, Why::SameAttribute));
        }
        at = value.end + 1;
        found.push(Attribute { name, value });
    }
}
