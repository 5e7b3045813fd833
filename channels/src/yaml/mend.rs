//! Goes on behind a place that is no YAML: the smallest part that holds it is left out, and the rest is looked at.

use std::{fmt::Write as _, ops::Range};

use super::{Node, parse::Flaw, parse::parse};

/// So many places of one file are told; behind them nobody looks.
const MOST_PLACES: usize = 10;

/// Stands where a part was left out: one byte, so that everything else stays where it is.
const GAP: char = '_';

/// What could be read of a file.
pub(crate) struct Read {
    pub(crate) tree: Node,
    /// Whether all of it was read.
    pub(crate) is_whole: bool,
}

/// Reads the one document of a file, all that is YAML of it. Every complaint is put into `flaws`.
pub(crate) fn read(file: usize, text: &str, flaws: &mut Vec<Flaw>) -> Option<Read> {
    let mut left = Left { text: text.to_owned(), gaps: Vec::new() };
    for place in 0..=MOST_PLACES {
        let mut beside = Vec::new();
        let mut flaw = match parse(file, &left.text, &left.gaps, &mut beside) {
            Ok(tree) => {
                flaws.append(&mut beside);
                return tree.map(|tree| Read { tree, is_whole: place == 0 });
            }
            Err(flaw) => flaw,
        };
        if !["not-yaml", "tab"].contains(&flaw.code) {
            flaws.push(flaw);
            return None;
        }
        let Some((without, lines)) = left.without(file, flaw.span.start) else {
            flaw.message.push_str("; the rest of the file was not looked at");
            flaws.push(flaw);
            return None;
        };
        if lines.len() > 1 {
            let (first, last) = (lines.start + 1, lines.end);
            let _ = write!(flaw.message, "; lines {first} to {last} were not looked at further");
        }
        flaws.push(flaw);
        left = without;
    }
    None
}

/// A text with parts left out.
struct Left {
    text: String,
    /// Where their marks stand.
    gaps: Vec<usize>,
}

/// A part that may be left out: its lines, and the column where it begins in the first.
struct Part {
    lines: Range<usize>,
    column: usize,
}

impl Left {
    /// Leaves out the smallest part around `at` that lets the reader come further. Says which lines those were.
    fn without(&self, file: usize, at: usize) -> Option<(Self, Range<usize>)> {
        let lines = Lines::of(&self.text);
        lines.around(at).into_iter().find_map(|part| {
            let end = lines.places.get(part.lines.end).map_or(self.text.len(), |place| place.start);
            let without = self.leave_out(&lines, &part)?;
            let comes_further = match parse(file, &without.text, &without.gaps, &mut Vec::new()) {
                Ok(tree) => tree.is_some(),
                Err(flaw) => flaw.span.start >= end && end < self.text.len(),
            };
            comes_further.then_some((without, part.lines))
        })
    }

    /// Puts one mark in the place of a part's value, and blanks in the place of the rest.
    fn leave_out(&self, lines: &Lines<'_>, part: &Part) -> Option<Self> {
        let first = lines.places.get(part.lines.start)?;
        let last = lines.places.get(part.lines.end.checked_sub(1)?)?;
        let begins =
            first.start + value_at(self.text.get(first.start + part.column..first.end)?) + part.column;
        let inside = self.text.get(begins..last.end)?;
        let mark = begins + inside.find(|c: char| !c.is_whitespace())?;
        let mut text = self.text[..begins].to_owned();
        for (place, letter) in inside.char_indices() {
            match letter {
                '\n' | '\r' => text.push(letter),
                _ if begins + place == mark => {
                    text.push(GAP);
                    text.extend(std::iter::repeat_n(' ', letter.len_utf8() - 1));
                }
                _ => text.extend(std::iter::repeat_n(' ', letter.len_utf8())),
            }
        }
        text.push_str(&self.text[last.end..]);
        let gaps = self.gaps.iter().copied().filter(|gap| !(begins..last.end).contains(gap));
        Some(Self { text, gaps: gaps.chain([mark]).collect() })
    }
}

/// Where the value begins in `key: value` or `- value`; the whole of anything else is value.
fn value_at(text: &str) -> usize {
    if text.starts_with("- ") || text == "-" {
        return 1;
    }
    match text.find(": ") {
        Some(colon) => colon + 1,
        None if text.trim_end().ends_with(':') => text.trim_end().len(),
        None => 0,
    }
}

/// The lines of a text.
struct Lines<'t> {
    text: &'t str,
    places: Vec<Range<usize>>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let mut start = 0;
        let mut places = Vec::new();
        for line in text.split_inclusive('\n') {
            places.push(start..start + line.trim_end_matches(['\n', '\r']).len());
            start += line.len();
        }
        Self { text, places }
    }

    /// Every part that holds a place, the smallest first; then those of the line before, where a fault often begins.
    fn around(&self, at: usize) -> Vec<Part> {
        let line = self.places.partition_point(|place| place.start <= at).saturating_sub(1);
        let Some(line) = self.told_at(line) else { return Vec::new() };
        let before = line.checked_sub(1).and_then(|before| self.told_at(before));
        let chains = [Some(line), before].into_iter().flatten();
        chains.flat_map(|line| self.chain(line)).collect()
    }

    /// The nearest line that says something, at or before this one.
    fn told_at(&self, line: usize) -> Option<usize> {
        (0..=line).rev().find(|line| self.indent(*line).is_some())
    }

    /// From the innermost part that begins in this line to the outermost that holds it.
    fn chain(&self, line: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut narrow = usize::MAX;
        for line in (0..=line).rev() {
            let Some(indent) = self.indent(line).filter(|indent| *indent < narrow) else { continue };
            let columns = self.columns(line, indent).into_iter().rev();
            parts.extend(columns.filter(|column| *column < narrow).map(|column| self.part(line, column)));
            narrow = indent;
        }
        parts
    }

    /// Where values begin in a line: behind its indentation, and behind each `- `.
    fn columns(&self, line: usize, indent: usize) -> Vec<usize> {
        let text = self.line(line);
        let mut columns = vec![indent];
        let mut at = indent;
        while let Some(rest) = text.get(at..).and_then(|rest| rest.strip_prefix("- ")) {
            at = text.len() - rest.trim_start().len();
            if at < text.len() {
                columns.push(at);
            }
        }
        columns
    }

    /// All that is indented deeper belongs to what begins here; a list may stand as deep as its key.
    fn part(&self, line: usize, column: usize) -> Part {
        let is_item = |line: usize| self.line(line)[column..].starts_with('-');
        let is_key = !is_item(line);
        let belongs = |next: &usize| match self.indent(*next) {
            None => true,
            Some(indent) => indent > column || (indent == column && is_key && is_item(*next)),
        };
        let mut end = (line + 1..self.places.len()).find(|next| !belongs(next)).unwrap_or(self.places.len());
        while end > line + 1 && self.indent(end - 1).is_none() {
            end -= 1;
        }
        Part { lines: line..end, column }
    }

    /// How deep a line stands; none where it says nothing.
    fn indent(&self, line: usize) -> Option<usize> {
        let text = self.line(line);
        let told = text.trim_start();
        (!told.is_empty() && !told.starts_with('#')).then(|| text.len() - told.len())
    }

    fn line(&self, line: usize) -> &'t str {
        &self.text[self.places[line].clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a text, and the keys that could be read at its top.
    fn looked_at(text: &str) -> (Vec<String>, Vec<String>) {
        let mut flaws = Vec::new();
        let tree = read(0, text, &mut flaws).map(|read| read.tree);
        let line = |flaw: &Flaw| text[..flaw.span.start].matches('\n').count() + 1;
        let told = flaws.iter().map(|flaw| format!("{}: {}", line(flaw), flaw.message)).collect();
        let keys = tree.iter().flat_map(Node::entries).map(|entry| entry.key.clone());
        (told, keys.collect())
    }

    #[test]
    fn what_stands_behind_a_broken_value_is_read() {
        let (told, keys) = looked_at(
            "name: a\nsteps:\n  - filter: a: b\n  - filter: c\nreply: stored\ntags: [x\nformat: hl7\n",
        );
        assert_eq!(keys, ["name", "steps", "reply", "tags", "format"], "{told:?}");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("3: this is not YAML"), "{told:?}");
    }

    #[test]
    fn a_tab_costs_its_own_part_alone() {
        let (told, keys) = looked_at("name: a\nsource:\n\tmllp: {}\nreply: stored\n");
        assert_eq!(keys, ["name", "source", "reply"], "{told:?}");
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn a_part_of_several_lines_that_is_left_out_is_named() {
        let (told, keys) = looked_at("name: a\nsource:\n  mllp:\n    listen: x\n   port: 1\nreply: stored\n");
        assert_eq!(keys.first().map(String::as_str), Some("name"), "{told:?}");
        assert_eq!(keys.last().map(String::as_str), Some("reply"), "{told:?}");
        assert!(told[0].ends_with("were not looked at further"), "{told:?}");
    }

    #[test]
    fn a_sound_text_is_whole_and_one_beyond_help_says_so() {
        let mut flaws = Vec::new();
        assert!(read(0, "name: a\n", &mut flaws).is_some_and(|read| read.is_whole) && flaws.is_empty());
        let (told, _) = looked_at("}\n");
        assert_eq!(told.len(), 1, "{told:?}");
    }
}
