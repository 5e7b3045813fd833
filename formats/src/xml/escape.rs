//! Text between tags and in attributes: references decoded, and what means something encoded.

use std::borrow::Cow;

use super::Why;

/// The text that stands behind references; the error comes with its place.
pub(super) fn decoded(raw: &str) -> Result<Cow<'_, str>, (usize, Why)> {
    let Some(first) = raw.find('&') else { return Ok(Cow::Borrowed(raw)) };
    let mut text = String::with_capacity(raw.len());
    text.push_str(&raw[..first]);
    let mut at = first;
    while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
        if !rest.starts_with('&') {
            let end = rest.find('&').unwrap_or(rest.len());
            text.push_str(&rest[..end]);
            at += end;
            continue;
        }
        let end = rest.find(';').ok_or((at, Why::BadReference))?;
        text.push(character(&rest[1..end]).ok_or((at, Why::BadReference))?);
        at += end + 1;
    }
    Ok(Cow::Owned(text))
}

fn character(reference: &str) -> Option<char> {
    let number = |digits: &str, radix| {
        let is_sound = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        let character = char::from_u32(u32::from_str_radix(digits, radix).ok().filter(|_| is_sound)?)?;
        is_possible(character).then_some(character)
    };
    match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match reference.strip_prefix('#')? {
            hexadecimal if hexadecimal.starts_with('x') => number(&hexadecimal[1..], 16),
            decimal => number(decimal, 10),
        },
    }
}

/// Whether XML can hold a character.
pub(super) fn is_possible(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Text as it is to stand between tags, or between quotes.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => encoded.push_str("&amp;"),
            '<' => encoded.push_str("&lt;"),
            '>' => encoded.push_str("&gt;"),
            '"' => encoded.push_str("&quot;"),
            // A reader would make a line feed of it.
            '\r' => encoded.push_str("&#13;"),
            other => encoded.push(other),
        }
    }
    encoded
}

/// The same in an attribute, where a reader makes blanks of line breaks.
pub(super) fn encoded_in_attribute(text: &str) -> String {
    encoded(text).replace('\n', "&#10;").replace('\t', "&#9;")
}
