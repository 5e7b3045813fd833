//! HPRIM Santé: segments as in HL7, some of which go on in `A` lines.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use crate::hl7::{Message, ParseError, message::Dialect};

/// The longest line that the format allows, in characters.
const LONGEST: usize = 220;

/// Reads the segments, each with the `A` lines in which it goes on.
pub(super) fn read(text: Arc<str>) -> Result<Message, ParseError> {
    match joined(&text) {
        Cow::Borrowed(_) => Message::parse_as(text, Dialect::Hprim),
        Cow::Owned(joined) => Message::parse_as(joined.into(), Dialect::Hprim),
    }
}

/// The text of a message as it is to be written: a segment that `original` has stands as it does there, in `A` lines where
/// it has them; one that was changed goes on in an `A` line where it is too long for one.
pub fn written(text: &str, original: &str) -> String {
    let mark = continuation(original);
    let mut as_they_stood: HashMap<String, &str> = HashMap::new();
    for segment in segments(original, mark.as_deref()) {
        as_they_stood.entry(plain(segment, mark.as_deref()).into_owned()).or_insert(segment);
    }
    let line_break = crate::rows::line_break(text);
    let mut written = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive(['\r', '\n']) {
        let content = line.trim_end_matches(['\r', '\n']);
        match (as_they_stood.get(content), &mark) {
            (Some(stood), _) => written.push_str(stood),
            (None, Some(mark)) => wrap(&mut written, content, (mark, line_break)),
            (None, None) => written.push_str(content),
        }
        written.push_str(&line[content.len()..]);
    }
    written
}

/// How a line begins in which a segment goes on: `A|`.
fn continuation(text: &str) -> Option<String> {
    let header = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    Some(format!("A{}", header.chars().nth(1)?))
}

fn joined(text: &str) -> Cow<'_, str> {
    let Some(mark) = continuation(text) else { return Cow::Borrowed(text) };
    plain(text, Some(&mark))
}

/// The text without the breaks behind which a segment goes on.
fn plain<'a>(text: &'a str, mark: Option<&str>) -> Cow<'a, str> {
    let Some(mark) = mark.filter(|mark| text.contains(*mark)) else { return Cow::Borrowed(text) };
    let mut plain = String::with_capacity(text.len());
    for line in text.split_inclusive(['\r', '\n']) {
        let ends = plain.trim_end_matches(['\r', '\n']).len();
        match line.strip_prefix(mark).filter(|_| ends > 0 && ends < plain.len()) {
            Some(rest) => {
                plain.truncate(ends);
                plain.push_str(rest);
            }
            None => plain.push_str(line),
        }
    }
    Cow::Owned(plain)
}

/// The segments as they stand, with their `A` lines and without what ends them.
fn segments<'a>(text: &'a str, mark: Option<&str>) -> Vec<&'a str> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive(['\r', '\n']) {
        let end = at + line.trim_end_matches(['\r', '\n']).len();
        let goes_on = mark.is_some_and(|mark| line.starts_with(mark));
        match found.last_mut().filter(|_| goes_on) {
            Some(segment) => segment.1 = end,
            None if end > at => found.push((at, end)),
            None => {}
        }
        at += line.len();
    }
    found.into_iter().map(|(start, end)| &text[start..end]).collect()
}

fn wrap(written: &mut String, content: &str, (mark, line_break): (&str, &str)) {
    let mut room = LONGEST;
    for character in content.chars() {
        if room == 0 {
            written.push_str(line_break);
            written.push_str(mark);
            room = LONGEST - mark.chars().count();
        }
        written.push(character);
        room -= 1;
    }
}
