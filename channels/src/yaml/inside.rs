//! From a line and a column in a text to the place in the YAML file where that text stands.

use super::{Scalar, Style};
use crate::files::{SourceFile, Span};

/// The byte of the file at which `line` and `column` (both from 1) of a scalar's text stand.
pub(crate) fn inside(file: &SourceFile, scalar: &Scalar, span: Span, line: usize, column: usize) -> usize {
    match scalar.style {
        Style::Literal | Style::Folded => in_block(file, scalar, span, line, column),
        Style::Plain | Style::Single | Style::Double => in_flow(file, scalar, span, line, column),
        Style::Absent => span.start,
    }
}

/// The lines of a block follow its `|`, indented alike.
fn in_block(file: &SourceFile, scalar: &Scalar, span: Span, line: usize, column: usize) -> usize {
    let (header, _) = file.position(span.start);
    // The parser may begin a block at its first character or at its `|`.
    let begins_at_header = file.text[span.start..].starts_with(['|', '>']);
    let before = if begins_at_header { header } else { first_line_of_block(file, header) - 1 };
    let first = scalar.text.lines().position(|text| !text.trim().is_empty()).unwrap_or(0);
    let written = file.line(before + 1 + first);
    let own = scalar.text.lines().nth(first).unwrap_or_default();
    let indent = width_of_indent(written).saturating_sub(width_of_indent(own));
    file.byte(before + line, indent + column)
}

/// Blank lines before the first character belong to the block.
fn first_line_of_block(file: &SourceFile, line: usize) -> usize {
    (1..line).rev().find(|before| !file.line(*before).trim().is_empty()).map_or(line, |header| header + 1)
}

fn width_of_indent(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

/// Walks the written text beside the text it means.
fn in_flow(file: &SourceFile, scalar: &Scalar, span: Span, line: usize, column: usize) -> usize {
    let Some(target) = offset_in(&scalar.text, line, column) else { return span.start };
    let quote = usize::from(scalar.style != Style::Plain);
    let mut at = span.start + quote;
    for meant in scalar.text.chars().take(target) {
        let rest = &file.text[at.min(span.end)..span.end];
        let Some(next) = rest.chars().next() else { return span.start };
        at += match next {
            '\\' if scalar.style == Style::Double => width_of_escape(rest),
            '\'' if scalar.style == Style::Single => 2,
            _ if next != meant && next.is_whitespace() => width_of_fold(rest),
            _ if meant == ' ' && is_fold(rest) => width_of_fold(rest),
            _ => next.len_utf8(),
        };
    }
    at.min(span.end)
}

/// How many characters stand before a line and a column.
fn offset_in(text: &str, line: usize, column: usize) -> Option<usize> {
    let before: usize =
        text.split('\n').take(line.checked_sub(1)?).map(|line| line.chars().count() + 1).sum();
    Some(before + column.checked_sub(1)?)
}

fn width_of_escape(rest: &str) -> usize {
    match rest.as_bytes().get(1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
    }
}

/// Whether a line break, with blanks before it, stands for one space.
fn is_fold(rest: &str) -> bool {
    rest.trim_start_matches([' ', '\t']).starts_with(['\n', '\r'])
}

fn width_of_fold(rest: &str) -> usize {
    rest.len() - rest.trim_start().len()
}

#[cfg(test)]
mod tests {
    use crate::{
        files::Files,
        yaml::{inside, read},
    };

    /// The text of the file from where a line and a column of `a:` stand.
    fn found(text: &str, line: usize, column: usize) -> String {
        let mut files = Files::default();
        let number = files.add("x.yaml".into(), text);
        let tree = read(number, text, &mut Vec::new()).unwrap().tree;
        let node = tree.get("a").unwrap();
        let at = inside(files.get(number), node.scalar().unwrap(), node.span, line, column);
        text[at..].chars().take(4).collect()
    }

    #[test]
    fn a_place_in_a_block_is_found_behind_its_indent() {
        let text = "b: 1\na: |\n  let x = 1;\n    here\n";
        assert_eq!(found(text, 1, 5), "x = ");
        assert_eq!(found(text, 2, 3), "here");
        assert_eq!(found("a: |\n\n  one\n  two\n", 3, 1), "two\n");
        assert_eq!(found("a: |2\n    one\n  two\n", 1, 3), "one\n");
    }

    #[test]
    fn a_place_in_a_line_is_found_behind_quotes_and_escapes() {
        assert_eq!(found("a: one two\n", 1, 5), "two\n");
        assert_eq!(found("a: 'it''s two'\n", 1, 6), "two'");
        assert_eq!(found("a: \"\\u00e9\\t two\"\n", 1, 4), "two\"");
        assert_eq!(found("a: one\n  two\n", 1, 5), "two\n");
    }
}
