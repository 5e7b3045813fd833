//! Finds the lines of a message: ended by CR, LF or both, without blanks before them, blank ones passed over.

use std::ops::Range;

use memchr::memchr2;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The places of the lines that hold something.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Walks the lines of a text in UTF-8 or any other charset that holds ASCII.
pub(super) fn lines(bytes: &[u8]) -> Lines<'_> {
    let at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    Lines { bytes, at }
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let rest = &self.bytes[self.at..];
        let start = self.at + rest.iter().position(|byte| !is_blank(*byte))?;
        let end =
            memchr2(b'\r', b'\n', &self.bytes[start..]).map_or(self.bytes.len(), |length| start + length);
        self.at = end;
        Some(start..end)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::lines;

    fn found(text: &str) -> Vec<&str> {
        lines(text.as_bytes()).map(|line| &text[line]).collect()
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line() {
        assert_eq!(found("MSH|1\rPID|2\nPV1|3\r\nOBX|4"), ["MSH|1", "PID|2", "PV1|3", "OBX|4"]);
    }

    #[test]
    fn blank_lines_and_a_byte_order_mark_are_passed_over() {
        assert_eq!(found("\u{feff}\r\n  MSH|1 \r\r \t\r PID|2\r\n\r\n"), ["MSH|1 ", "PID|2"]);
        assert!(found(" \r\n\u{20}").is_empty());
    }
}
