//! Patterns of names: `*`, `?` and `[a-z]`, over bytes.

/// Whether a name fits a pattern.
pub(super) fn fits(pattern: &str, name: &[u8]) -> bool {
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
    fn many_stars_take_no_time() {
        let name = vec![b'a'; 255];
        assert!(!fits(&format!("{}b", "*a".repeat(60)), &name));
    }
}
