//! The lines in which two texts differ.

use std::fmt::Write;

/// More lines are not compared one by one.
const MOST_LINES: usize = 2000;
/// Lines that are shown before and after a difference.
const AROUND: usize = 2;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Both,
    Wanted,
    Got,
}

/// The difference of two payloads, line by line; `-` is wanted, `+` is what came out.
pub(super) fn diff(wanted: &[u8], got: &[u8]) -> String {
    let (wanted, got) = (String::from_utf8_lossy(wanted), String::from_utf8_lossy(got));
    let (wanted, got) = (lines(&wanted), lines(&got));
    if wanted == got {
        return "  (only the ends of lines differ)\n".into();
    }
    if wanted.len().max(got.len()) > MOST_LINES {
        let line = wanted.iter().zip(&got).take_while(|(wanted, got)| wanted == got).count();
        return format!("  (too long to show: they differ from line {} on)\n", line + 1);
    }
    shown(&walk(&wanted, &got))
}

fn lines(text: &str) -> Vec<&str> {
    text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect()
}

/// Goes along the longest lines that both have.
fn walk<'t>(wanted: &[&'t str], got: &[&'t str]) -> Vec<(Side, &'t str)> {
    let mut left = vec![vec![0usize; got.len() + 1]; wanted.len() + 1];
    for i in (0..wanted.len()).rev() {
        for j in (0..got.len()).rev() {
            left[i][j] =
                if wanted[i] == got[j] { left[i + 1][j + 1] + 1 } else { left[i + 1][j].max(left[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut walked = Vec::new();
    while i < wanted.len() || j < got.len() {
        if i < wanted.len() && j < got.len() && wanted[i] == got[j] {
            walked.push((Side::Both, wanted[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == got.len() || (i < wanted.len() && left[i + 1][j] >= left[i][j + 1]) {
            walked.push((Side::Wanted, wanted[i]));
            i += 1;
        } else {
            walked.push((Side::Got, got[j]));
            j += 1;
        }
    }
    walked
}

fn shown(walked: &[(Side, &str)]) -> String {
    let near = |place: usize| {
        let from = place.saturating_sub(AROUND);
        let until = (place + AROUND + 1).min(walked.len());
        walked[from..until].iter().any(|(side, _)| *side != Side::Both)
    };
    let mut text = String::new();
    let mut gap = false;
    for (place, (side, line)) in walked.iter().enumerate() {
        if !near(place) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            text.push_str("  …\n");
        }
        let mark = match side {
            Side::Both => ' ',
            Side::Wanted => '-',
            Side::Got => '+',
        };
        let _ = writeln!(text, "{mark} {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn a_changed_line_is_shown_with_its_neighbours() {
        let shown = diff(b"a\rb\rc\rd\re\rf\r", b"a\rb\rc\rX\re\rf\r");
        assert_eq!(shown, "  …\n  b\n  c\n- d\n+ X\n  e\n  f\n");
    }

    #[test]
    fn ends_of_lines_alone_are_named() {
        assert!(diff(b"a\rb\r", b"a\nb\n").contains("ends of lines"));
    }
}
