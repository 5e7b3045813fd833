//! Code tables: `tables/*.csv`, whose first line names the columns.

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

/// One table. All its values are text.
pub(crate) struct Table {
    /// The file's own text, for the channel's version.
    pub(crate) text: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// For each column the row of each key, made when first asked for.
    rows_by_key: Vec<OnceLock<HashMap<String, usize>>>,
}

/// What is wrong with a table, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: usize,
    pub(crate) why: String,
}

impl Table {
    /// Reads CSV: commas between values, or semicolons where the first line has no comma.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Wrong> {
        let wrong = |line: usize, why: String| Wrong { line, why };
        let text = std::str::from_utf8(bytes)
            .map_err(|error| {
                let before = &bytes[..error.valid_up_to()];
                let line = before.split(|byte| *byte == b'\n').count();
                wrong(line, "the file is not UTF-8".to_owned())
            })?
            .trim_start_matches('\u{feff}');
        let head = text.lines().next().unwrap_or_default();
        let delimiter = if head.contains(';') && !head.contains(',') { b';' } else { b',' };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
        let columns = read_columns(&mut reader)?;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(1, |position| position.line() as usize);
                wrong(line, "the line has more or fewer values than there are columns".to_owned())
            })?;
            rows.push(record.iter().map(|value| value.trim().to_owned()).collect());
        }
        let rows_by_key = columns.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { text: text.to_owned(), columns, rows, rows_by_key })
    }

    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.column(name).is_some()
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The value of a row: the first one that has the key.
    fn look_up(&self, column: usize, key: &str, wanted: usize) -> Option<&str> {
        let rows = self.rows_by_key[column].get_or_init(|| {
            let mut rows = HashMap::with_capacity(self.rows.len());
            for (index, row) in self.rows.iter().enumerate() {
                rows.entry(row[column].clone()).or_insert(index);
            }
            rows
        });
        rows.get(key).map(|row| self.rows[*row][wanted].as_str())
    }
}

fn read_columns(reader: &mut csv::Reader<&[u8]>) -> Result<Vec<String>, Wrong> {
    let wrong = |why: &str| Wrong { line: 1, why: why.to_owned() };
    let head = reader.headers().map_err(|_| wrong("the first line cannot be read"))?;
    let columns: Vec<String> = head.iter().map(|name| name.trim().to_owned()).collect();
    if columns.iter().any(String::is_empty) {
        return Err(wrong("the first line must name every column"));
    }
    if let Some(index) = (1..columns.len()).find(|index| columns[..*index].contains(&columns[*index])) {
        return Err(wrong(&format!("two columns are named `{}`", columns[index])));
    }
    if columns.is_empty() {
        return Err(wrong("the file is empty: its first line names the columns"));
    }
    Ok(columns)
}

/// The tables of a project, by name.
#[derive(Default)]
pub(crate) struct Tables(pub(crate) BTreeMap<String, Table>);

impl Tables {
    pub(crate) fn get(&self, name: &str) -> Option<&Table> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The value that a table has in `wanted` where `column` holds `key`.
    pub(crate) fn look_up(
        &self,
        name: &str,
        column: &str,
        key: &str,
        wanted: &str,
    ) -> Result<Option<&str>, String> {
        let table = self.get(name).ok_or_else(|| format!("there is no table `{name}`"))?;
        let column_of = |column: &str| {
            table.column(column).ok_or_else(|| format!("the table `{name}` has no column `{column}`"))
        };
        Ok(table.look_up(column_of(column)?, key, column_of(wanted)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_a_byte_order_mark_and_quotes_are_read() {
        let table = Table::read("\u{feff}code;name\nCAR;\"Cardio; nord\"\n007;x\n".as_bytes()).unwrap();
        let tables = Tables([("wards".to_owned(), table)].into());
        assert_eq!(tables.look_up("wards", "code", "CAR", "name"), Ok(Some("Cardio; nord")));
        assert_eq!(tables.look_up("wards", "code", "7", "name"), Ok(None));
        assert_eq!(tables.look_up("wards", "code", "007", "name"), Ok(Some("x")));
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told_with_its_line() {
        let wrong = |text: &[u8]| Table::read(text).err().map(|wrong| wrong.line);
        assert_eq!(wrong(b"a,b\n1,2\n3\n"), Some(3));
        assert_eq!(wrong(b"a,a\n"), Some(1));
        assert_eq!(wrong(b""), Some(1));
        assert_eq!(wrong(b"a,b\n1,\xff\n"), Some(2));
        assert_eq!(wrong(b"a,b\n"), None);
    }
}
