//! Where a value stands in a table's file.

use super::reading::Wrong;

/// The file, with what stands between its values.
pub(super) struct Places<'a> {
    pub(super) text: &'a str,
    pub(super) delimiter: u8,
}

impl Places<'_> {
    pub(super) fn wrong(&self, byte: usize, code: &'static str, why: String) -> Wrong {
        let (line, column) = self.of_byte(byte);
        Wrong { code, line, column, why }
    }

    /// Something wrong with the value of a row that begins at a byte.
    pub(super) fn wrong_value(&self, row: usize, index: usize, code: &'static str, why: String) -> Wrong {
        let (line, column) = self.of_value(row, index);
        Wrong { code, line, column, why }
    }

    /// The line and column of a row's value, both from 1; `index` counts from 0.
    pub(super) fn of_value(&self, row: usize, index: usize) -> (usize, usize) {
        let bytes = self.text.as_bytes();
        // Empty lines before a row are no rows.
        let mut at = row + bytes[row..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let (mut passed, mut is_quoted) = (0, false);
        while passed < index && at < bytes.len() {
            match bytes[at] {
                b'"' => is_quoted = !is_quoted,
                byte if byte == self.delimiter && !is_quoted => passed += 1,
                b'\r' | b'\n' if !is_quoted => break,
                _ => {}
            }
            at += 1;
        }
        self.of_byte(at)
    }

    fn of_byte(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..byte];
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        (1 + before.matches('\n').count(), 1 + before[line..].chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Table;

    fn wrong(text: &[u8]) -> Vec<String> {
        let wrong = Table::read(text).err().unwrap_or_default();
        wrong.iter().map(|one| format!("{} {}:{}", one.code, one.line, one.column)).collect()
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told_with_line_and_column() {
        assert_eq!(wrong(b"a,b\n1,2\n3\n\n4,5,6\n"), ["table-broken 3:1", "table-broken 5:3"]);
        assert_eq!(wrong(b"a,a\n"), ["table-broken 1:3"]);
        assert_eq!(wrong(b""), ["table-broken 1:1"]);
        assert_eq!(wrong(b"# source: x\na,,c\n"), ["table-broken 2:3"]);
        assert_eq!(wrong("a,b\né,\u{fffd}\n1,".as_bytes().strip_suffix(b"1,").unwrap()), [""; 0]);
        assert_eq!(wrong(b"a,b\n1,\xff\n"), ["table-broken 2:3"]);
        assert_eq!(wrong(b"# key: a, d\na,b\n"), ["table-broken 1:1"]);
        assert_eq!(wrong(b"valid_from,sender\n"), ["table-broken 1:1"]);
        assert_eq!(wrong(b"# source: x\n# on_missing: wait\na,b\n"), ["table-broken 2:1"]);
        assert_eq!(wrong(b"# on_missing: hold\na,b\n"), [""; 0]);
        assert_eq!(wrong(b"a,b\n"), [""; 0]);
    }

    #[test]
    fn days_that_are_none_and_days_that_end_before_they_begin_are_told() {
        let text = b"code,valid_from,valid_to\n\"a,\nb\",2026-02-30,\nc,2026-01,\nd,2026-02-01,2026-01-01\n";
        assert_eq!(wrong(text), ["bad-date 3:4", "bad-date 4:3", "bad-date 5:14"]);
    }

    #[test]
    fn two_rows_of_one_key_are_told_where_the_second_stands() {
        assert_eq!(wrong(b"\xef\xbb\xbf# version: 2\ncode,name\nK,a\nX,b\nK,c\n"), ["double-row 5:1"]);
        assert_eq!(wrong(b"code,name,sender\nK,a,\nK,b,A\nK,c,B\n"), [""; 0]);
        assert_eq!(wrong(b"name,code,sender\na,K,\nb,K,A\na,c,A\na,d,A\n"), ["double-row 5:1"]);
        assert_eq!(wrong(b"# key: site, code\nsite,code\nN,K\nS,K\nN,K\n"), ["double-row 5:1"]);
    }

    #[test]
    fn days_of_one_key_that_overlap_are_told_and_days_that_follow_are_not() {
        let head = "code,name,valid_from,valid_to\n";
        let rows = |rows: &str| wrong(format!("{head}{rows}").as_bytes());
        assert_eq!(rows("K,a,,2025-12-31\nK,b,2026-01-01,\n"), [""; 0]);
        assert_eq!(rows("K,b,2025-12-31,\nK,a,,2025-12-31\n"), ["double-row 3:1"]);
        // The second lies within the first, the third overlaps with the first and not with the second.
        assert_eq!(
            rows("K,a,2026-01-01,2026-12-31\nK,b,2026-02-01,2026-02-28\nK,c,2026-06-01,\n"),
            ["double-row 3:1", "double-row 4:1"]
        );
    }
}
