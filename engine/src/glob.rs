//! Patterns of names: `*`, `?` and `[a-z]`, over bytes.

/// Whether a name fits a pattern.
#[must_use]
pub fn fits(pattern: &str, name: &[u8]) -> bool {
    let pattern = pattern.as_bytes();
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, read));
            at += 1;
        } else if let Some(width) = one(&pattern[at..], name[read]) {
            at += width;
            read += 1;
        } else if let Some((stood, from)) = star {
            // The last star takes one byte more.
            star = Some((stood, from + 1));
            (at, read) = (stood + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Whether there is a name that fits both patterns.
#[must_use]
pub fn may_meet(one: &str, other: &str) -> bool {
    let (one, other) = (parts(one.as_bytes()), parts(other.as_bytes()));
    // Whether what is left of both, from these parts on, has a name in common; from the ends backwards.
    let mut meets = vec![vec![false; other.len() + 1]; one.len() + 1];
    for at in (0..=one.len()).rev() {
        for beside in (0..=other.len()).rev() {
            meets[at][beside] = match (one.get(at).copied(), other.get(beside).copied()) {
                (None, None) => true,
                // A star stands for nothing, or for whatever the other one's next part stands for.
                (Some([b'*']), next) => meets[at + 1][beside] || (next.is_some() && meets[at][beside + 1]),
                (next, Some([b'*'])) => meets[at][beside + 1] || (next.is_some() && meets[at + 1][beside]),
                (Some(part), Some(its)) => share(part, its) && meets[at + 1][beside + 1],
                _ => false,
            };
        }
    }
    meets[0][0]
}

/// A pattern as what stands for one byte each, and its stars.
fn parts(pattern: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let width = if rest[0] == b'[' { set(rest).map_or(1, |(width, _)| width) } else { 1 };
        let (part, behind) = rest.split_at(width);
        parts.push(part);
        rest = behind;
    }
    parts
}

/// Whether there is a byte that both parts stand for.
fn share(one_part: &[u8], other: &[u8]) -> bool {
    (0..=u8::MAX).any(|byte| one(one_part, byte).is_some() && one(other, byte).is_some())
}

/// How much of the pattern stands for this byte, if it does.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => match set(pattern) {
            Some((width, members)) => holds(members, byte).then_some(width),
            None => (byte == b'[').then_some(1),
        },
        same => (*same == byte).then_some(1),
    }
}

/// A set from its `[` on: its width, and what stands inside. A `]` that comes first is a member.
fn set(pattern: &[u8]) -> Option<(usize, &[u8])> {
    let first = if matches!(pattern.get(1), Some(b'!' | b'^')) { 2 } else { 1 };
    let end = pattern.iter().skip(first + 1).position(|byte| *byte == b']')? + first + 1;
    Some((end + 1, &pattern[1..end]))
}

fn holds(members: &[u8], byte: u8) -> bool {
    let (is_not, mut rest) = match members {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    while let [first, after @ ..] = rest {
        if let [b'-', last, beyond @ ..] = after {
            found |= (*first..=*last).contains(&byte);
            rest = beyond;
        } else {
            found |= *first == byte;
            rest = after;
        }
    }
    found != is_not
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_what_a_shell_would_take() {
        for (pattern, name) in [
            ("*.hl7", "a.hl7"),
            ("*", ""),
            ("a?c*", "abcd.x"),
            ("*a*b*c", "xxaxxbxxc"),
            ("lab-[0-9][0-9].txt", "lab-42.txt"),
            ("[!.]*", "x"),
            ("[]]x", "]x"),
            ("[a", "[a"),
            ("é*", "été"),
        ] {
            assert!(fits(pattern, name.as_bytes()), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_fits_nothing_else() {
        for (pattern, name) in [
            ("*.hl7", "a.hl7.part"),
            ("a?c", "ac"),
            ("[0-9]", "x"),
            ("", "x"),
            ("[!a]", "a"),
            ("*.HL7", "a.hl7"),
        ] {
            assert!(!fits(pattern, name.as_bytes()), "{pattern} {name}");
        }
    }

    #[test]
    fn two_patterns_meet_where_a_name_fits_both() {
        for (one, other) in [
            ("*", "a.hl7"),
            ("*.hl7", "lab-*"),
            ("*.[ch]*", "x.h?7"),
            ("a*", "*a"),
            ("[a-m]x", "[k-z]x"),
            ("", "**"),
        ] {
            assert!(may_meet(one, other) && may_meet(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("*.hl7", "*.csv"),
            ("*.hl7", "*.HL7"),
            ("lab-*", "adt-*"),
            ("[a-k]x", "[l-z]x"),
            ("[!a]*", "a*"),
            ("??", "???"),
            ("", "?*"),
        ] {
            assert!(!may_meet(one, other) && !may_meet(other, one), "{one} {other}");
        }
        let (stars, others) = ("*a".repeat(200) + "b", "*a".repeat(200) + "c");
        assert!(!may_meet(&stars, &others));
    }

    #[test]
    fn many_stars_take_no_time() {
        let name = vec![b'a'; 255];
        assert!(!fits(&format!("{}b", "*a".repeat(60)), &name));
    }
}
