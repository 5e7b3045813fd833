//! Cuts a stretch of a message at a delimiter.

use std::ops::Range;

use memchr::memchr;

use super::{Delimiters, Place};

/// The piece with this number, from 0; else how many delimiters there are.
pub(super) fn nth(bytes: &[u8], delimiter: u8, number: usize) -> Result<Range<usize>, usize> {
    let start = behind(bytes, delimiter, number)?;
    let end = memchr(delimiter, &bytes[start..]).map_or(bytes.len(), |at| start + at);
    Ok(start..end)
}

/// The place behind so many delimiters; else how many there are. Pieces are short: eight bytes are looked at together.
fn behind(bytes: &[u8], delimiter: u8, number: usize) -> Result<usize, usize> {
    if number == 0 {
        return Ok(0);
    }
    let (words, rest) = bytes.as_chunks::<8>();
    let mut seen = 0;
    for (place, word) in words.iter().enumerate() {
        let mut marks = marks(*word, delimiter);
        let here = marks.count_ones() as usize;
        if seen + here < number {
            seen += here;
            continue;
        }
        for _ in seen + 1..number {
            marks &= marks - 1;
        }
        return Ok(place * 8 + marks.trailing_zeros() as usize / 8 + 1);
    }
    for (place, byte) in rest.iter().enumerate() {
        seen += usize::from(*byte == delimiter);
        if seen == number {
            return Ok(words.len() * 8 + place + 1);
        }
    }
    Err(seen)
}

/// The highest bit of each byte that is the delimiter, the first byte lowest.
fn marks(word: [u8; 8], delimiter: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let others = u64::from_le_bytes(word) ^ u64::from_le_bytes([delimiter; 8]);
    !(((others & LOW) + LOW) | others | LOW)
}

/// Whether this line begins with its delimiters, so that its first field is the delimiter itself.
pub(super) fn is_header(line: &[u8], delimiter: u8) -> bool {
    let named = line.starts_with(b"MSH") || line.starts_with(b"FHS") || line.starts_with(b"BHS");
    named && line.get(3) == Some(&delimiter)
}

/// A field of a line by its number in the standard, from 1.
pub(super) fn field(line: &[u8], delimiter: u8, number: usize) -> Option<Range<usize>> {
    match (is_header(line, delimiter), number) {
        (_, 0) => None,
        (true, 1) => Some(3..4),
        (true, _) => nth(line, delimiter, number - 1).ok(),
        (false, _) => nth(line, delimiter, number).ok(),
    }
}

/// The text at a place of a line, as it stands.
pub(super) fn at<'a>(line: &'a str, place: &Place, delimiters: &Delimiters) -> Option<&'a str> {
    let field = &line[field(line.as_bytes(), delimiters.field, place.field.into())?];
    if holds_delimiters(line, place, delimiters) {
        return (place.repetition == 1 && place.component.is_none_or(|number| number == 1)).then_some(field);
    }
    let repetition = cut(field, Some(delimiters.repetition), place.repetition)?;
    let Some(number) = place.component else { return Some(repetition) };
    let component = cut(repetition, Some(delimiters.component), number)?;
    let Some(number) = place.subcomponent else { return Some(component) };
    cut(component, delimiters.subcomponent, number)
}

/// Whether this place is MSH-1 or MSH-2, or H-1 of HPRIM, which is never cut or decoded.
pub(super) fn holds_delimiters(line: &str, place: &Place, delimiters: &Delimiters) -> bool {
    let line = line.as_bytes();
    (place.field <= 2 && is_header(line, delimiters.field))
        || (place.field == 1 && line.first() == Some(&b'H') && line.get(1) == Some(&delimiters.field))
}

/// The piece with this number, from 1; without a delimiter the whole is the first and only one.
fn cut(text: &str, delimiter: Option<u8>, number: u16) -> Option<&str> {
    let number = usize::from(number).checked_sub(1)?;
    match delimiter {
        Some(delimiter) => nth(text.as_bytes(), delimiter, number).ok().map(|range| &text[range]),
        None => (number == 0).then_some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_is_found_whatever_its_length_and_place() {
        let mut drawn = 1_u64;
        for length in 0..70_usize {
            for spread in 1..5 {
                let bytes: Vec<u8> = (0..length)
                    .map(|_| {
                        drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        // Neighbours of the delimiter, and bytes with the highest bit, are none.
                        [b'|', b'}', b'{', 0xfc, b'A']
                            [(drawn >> 33) as usize % 5 * usize::from(drawn >> 40 & 7 < spread)]
                    })
                    .collect();
                let pieces: Vec<&[u8]> = bytes.split(|byte| *byte == b'|').collect();
                for (number, piece) in pieces.iter().enumerate() {
                    let range = nth(&bytes, b'|', number).unwrap();
                    assert_eq!((&bytes[range.clone()], range.len()), (*piece, piece.len()));
                }
                assert_eq!(nth(&bytes, b'|', pieces.len()), Err(pieces.len() - 1));
            }
        }
    }
}
