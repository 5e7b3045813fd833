//! A place in rows: a column (`NOM`), one of a row (`rows[2].NOM`), or a line of a letter (`last_name`).

use formats::{
    hprim::{IDENTITY, LETTER_COLUMNS},
    rows::Sheet,
};

/// A place in rows. Rows and columns count from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowPath {
    /// `None`: the first row, and the only one where something is written.
    row: Option<usize>,
    column: String,
}

impl RowPath {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is not a path: {why}; one is like `NOM` or `rows[2].NOM`");
        if text.is_empty() {
            return Err(wrong("the column is missing"));
        }
        let Some(rest) = text.strip_prefix("rows[") else {
            return Ok(Self { row: None, column: text.to_owned() });
        };
        let (row, column) = rest.split_once("].").ok_or_else(|| wrong("a column follows the row"))?;
        let row = row.parse().map_err(|_| wrong("a number from 0 stands in brackets"))?;
        if column.is_empty() {
            return Err(wrong("the column is missing"));
        }
        Ok(Self { row: Some(row), column: column.to_owned() })
    }

    /// Whether a path is one in a letter of HPRIM Médecins.
    pub(crate) fn is_of_letter(text: &str) -> bool {
        let is_known = |column: &str| IDENTITY.contains(&column) || LETTER_COLUMNS.contains(&column);
        Self::parse(text).is_ok_and(|path| is_known(&path.column))
    }

    /// What stands there; none where there is no such place.
    pub(crate) fn read(&self, sheet: &Sheet) -> Option<String> {
        if self.row.is_none() && sheet.letters() == 1 && sheet.named().contains(&self.column) {
            return sheet.named_value(&self.column).map(str::to_owned);
        }
        let row = sheet.nth(self.row.unwrap_or(0)).ok()?;
        sheet.get(row, sheet.column(&self.column).ok()?).map(std::borrow::Cow::into_owned)
    }

    /// Whether something stands there, where no row is named in every one.
    pub(crate) fn is_there(&self, sheet: &Sheet) -> bool {
        if self.row.is_some() || sheet.named().contains(&self.column) {
            return self.read(sheet).is_some_and(|value| !value.is_empty());
        }
        let Ok(column) = sheet.column(&self.column) else { return false };
        let mut rows = sheet.rows().peekable();
        rows.peek().is_some() && rows.all(|row| sheet.get(row, column).is_some_and(|value| !value.is_empty()))
    }

    /// Writes there.
    pub(crate) fn set(&self, sheet: &mut Sheet, value: &str) -> Result<(), String> {
        if self.row.is_none() && sheet.letters() == 1 && sheet.named().contains(&self.column) {
            return sheet.set_named(&self.column, value).map_err(|why| why.to_string());
        }
        let count = sheet.rows().count();
        if self.row.is_none() && count > 1 {
            let column = &self.column;
            return Err(format!(
                "there are {count} rows: name one, as in `rows[0].{column}`, or split first"
            ));
        }
        let row = sheet.nth(self.row.unwrap_or(0)).map_err(|why| why.to_string())?;
        let column = sheet.column(&self.column).map_err(|why| why.to_string())?;
        sheet.set(row, column, value).map_err(|why| why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use formats::rows::Csv;

    use super::*;

    fn path(text: &str) -> RowPath {
        RowPath::parse(text).unwrap()
    }

    #[test]
    fn a_column_alone_means_the_first_row_and_in_a_demand_every_one() {
        let mut sheet = Csv::default().read("a;Code postal\n1;x\n2;\n").unwrap();
        assert_eq!(path("Code postal").read(&sheet).as_deref(), Some("x"));
        assert_eq!(path("rows[1].a").read(&sheet).as_deref(), Some("2"));
        assert!(
            path("a").is_there(&sheet)
                && !path("Code postal").is_there(&sheet)
                && !path("b").is_there(&sheet)
        );
        assert!(path("a").set(&mut sheet, "9").unwrap_err().contains("there are 2 rows"));
        path("rows[1].1").set(&mut sheet, "9").unwrap();
        assert_eq!(sheet.text(), "a;Code postal\n1;x\n2;9\n");
        for wrong in ["", "rows[x].a", "rows[1]", "rows[1]."] {
            assert!(RowPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
