//! Code tables: `tables/*.csv`, whose first line names the columns.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use engine::Register;
use jiff::civil::Date;

mod place;
mod reading;
mod rows;

pub(crate) use reading::Wrong;

/// The columns that say for which days and for whose messages a row is.
pub(crate) const RESERVED: [&str; 3] = [FROM, TO, SENDER];
const FROM: &str = "valid_from";
const TO: &str = "valid_to";
pub(crate) const SENDER: &str = "sender";
/// What a lookup names the day by.
pub(crate) const DAY: &str = "valid_at";

/// One table. All its values are text.
pub(crate) struct Table {
    /// The file's own text, for the channel's version.
    pub(crate) text: String,
    /// Whose codes these are: `# source: …` above the columns.
    pub(crate) source: Option<String>,
    /// Which edition of them: `# version: …`.
    pub(crate) version: Option<String>,
    /// What a lookup of a code that no row has means: `# on_missing: …`.
    pub(crate) on_missing: OnMissing,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    sender: Option<usize>,
    /// The days of each row; none where the table has no column for them.
    days: Option<Vec<Days>>,
    /// For each column the rows in the order of their values, made when first asked for.
    ordered: Vec<OnceLock<Vec<u32>>>,
}

/// What a lookup means whose code no row has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// The step hears that there is none.
    #[default]
    Pass,
    /// The message waits until there is one.
    Hold,
    /// Its sender hears that there is none.
    Refuse,
}

impl OnMissing {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "pass" => Self::Pass,
            "hold" => Self::Hold,
            "refuse" => Self::Refuse,
            _ => return None,
        })
    }
}

/// From when to when a row is valid, both days included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Days {
    from: Date,
    to: Date,
}

impl Days {
    const ALL: Self = Self { from: Date::MIN, to: Date::MAX };

    fn hold(self, day: Date) -> bool {
        self.from <= day && day <= self.to
    }
}

/// What a row must have to be found.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// The first column and what it holds.
    pub(crate) first: (usize, &'a str),
    /// More columns and what they hold.
    pub(crate) more: Vec<(usize, &'a str)>,
    /// Whose message it is; empty: rows for every sender alone.
    pub(crate) sender: &'a str,
    /// Asked only where the table has days.
    pub(crate) day: Option<Date>,
}

impl Table {
    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.column(name).is_some()
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }

    pub(crate) fn has_days(&self) -> bool {
        self.days.is_some()
    }

    pub(crate) fn has_senders(&self) -> bool {
        self.sender.is_some()
    }

    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The value of a row: of the first one for this sender, else of the first one for every sender.
    pub(crate) fn look_up(&self, asked: &Asked<'_>, wanted: usize) -> Option<&str> {
        let mut for_all = None;
        for row in self.having(asked.first).filter(|row| self.fits(*row, asked)) {
            let sender = self.sender.map_or("", |column| &self.rows[row][column]);
            if sender == asked.sender {
                return Some(&self.rows[row][wanted]);
            }
            if sender.is_empty() {
                for_all = for_all.or(Some(row));
            }
        }
        for_all.map(|row| self.rows[row][wanted].as_str())
    }

    /// The rows that hold a value in a column, in the file's order.
    fn having(&self, (column, value): (usize, &str)) -> impl Iterator<Item = usize> {
        let ordered = self.ordered[column].get_or_init(|| {
            let mut ordered: Vec<u32> = (0_u32..).take(self.rows.len()).collect();
            ordered.sort_by(|one, other| self.value(*one, column).cmp(self.value(*other, column)));
            ordered
        });
        let from = ordered.partition_point(|row| self.value(*row, column) < value);
        let length = ordered[from..].iter().take_while(|row| self.value(**row, column) == value).count();
        ordered[from..from + length].iter().map(|row| *row as usize)
    }

    fn value(&self, row: u32, column: usize) -> &str {
        &self.rows[row as usize][column]
    }

    fn fits(&self, row: usize, asked: &Asked<'_>) -> bool {
        let holds = |(column, value): &(usize, &str)| self.rows[row][*column] == *value;
        let is_valid = match (&self.days, asked.day) {
            (Some(days), Some(day)) => days[row].hold(day),
            _ => true,
        };
        is_valid && asked.more.iter().all(holds)
    }
}

/// A table whose rows a server holds.
#[derive(Debug, Clone)]
pub struct Served {
    /// What a script calls it.
    pub name: String,
    /// Its file's own text, for the channel's version.
    pub text: String,
    /// `None` where the file has faults.
    pub register: Option<Arc<dyn Register>>,
    /// What a lookup of a code that no row has means.
    pub on_missing: OnMissing,
}

/// The tables of a project, by name.
#[derive(Default)]
pub(crate) struct Tables {
    sound: BTreeMap<String, Table>,
    served: BTreeMap<String, Served>,
    broken: BTreeSet<String>,
}

impl Tables {
    pub(crate) fn put(&mut self, name: String, table: Table) {
        self.sound.insert(name, table);
    }

    /// Notes that a table is there and cannot be used.
    pub(crate) fn put_broken(&mut self, name: String) {
        self.broken.insert(name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Table> {
        self.sound.get(name)
    }

    /// Notes a table of a server.
    pub(crate) fn serve(&mut self, served: Served) {
        if served.register.is_none() {
            return self.put_broken(served.name);
        }
        self.served.insert(served.name.clone(), served);
    }

    pub(crate) fn served(&self, name: &str) -> Option<&Arc<dyn Register>> {
        self.served.get(name)?.register.as_ref()
    }

    /// The text of a table's file.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let here = self.sound.get(name).map(|table| &table.text);
        here.or_else(|| self.served.get(name).map(|served| &served.text)).map(String::as_str)
    }

    /// What a lookup of a code that no row has means.
    pub(crate) fn on_missing(&self, name: &str) -> OnMissing {
        let here = self.sound.get(name).map(|table| table.on_missing);
        here.or_else(|| self.served.get(name).map(|served| served.on_missing)).unwrap_or_default()
    }

    pub(crate) fn is_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.sound.keys().chain(self.served.keys()).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(table: &Table, code: &str, sender: &str, day: Option<&str>) -> Option<String> {
        let first = (table.column("code").unwrap(), code);
        let day = day.map(|day| day.parse().unwrap());
        let asked = Asked { first, more: Vec::new(), sender, day };
        table.look_up(&asked, table.column("name").unwrap()).map(str::to_owned)
    }

    #[test]
    fn semicolons_a_byte_order_mark_and_quotes_are_read() {
        let table = Table::read("\u{feff}code;name\nCAR;\"Cardio; nord\"\n007;x\n".as_bytes()).unwrap();
        assert_eq!(find(&table, "CAR", "", None).unwrap(), "Cardio; nord");
        assert_eq!(find(&table, "7", "", None), None);
        assert_eq!(find(&table, "007", "", None).unwrap(), "x");
    }

    #[test]
    fn a_row_of_the_sender_goes_before_one_for_all_and_another_sender_s_is_not_seen() {
        let table = Table::read(b"code,name,sender\nK,for all,\nK,for a,A\nX,for b,B\n".as_slice()).unwrap();
        let sent = |code, sender| find(&table, code, sender, None);
        assert_eq!(sent("K", "A").unwrap(), "for a");
        assert_eq!(sent("K", "B").unwrap(), "for all");
        assert_eq!(sent("K", "").unwrap(), "for all");
        assert_eq!((sent("X", "A"), sent("X", "")), (None, None));
    }

    #[test]
    fn a_row_is_found_from_its_first_day_to_its_last() {
        let table = Table::read(
            b"code,name,valid_from,valid_to\nK,old,,20251231\nK,new,2026-01-01,2026-06-30\n".as_slice(),
        )
        .unwrap();
        let on = |day| find(&table, "K", "", Some(day));
        assert_eq!(on("1999-01-01").unwrap(), "old");
        assert_eq!(on("2025-12-31").unwrap(), "old");
        assert_eq!(on("2026-01-01").unwrap(), "new");
        assert_eq!(on("2026-06-30").unwrap(), "new");
        assert_eq!(on("2026-07-01"), None);
    }

    #[test]
    fn several_columns_may_be_asked_together() {
        let table = Table::read(b"# key: site, code\nsite,code,name\nN,K,north\nS,K,south\n").unwrap();
        let asked = Asked { first: (1, "K"), more: vec![(0, "S")], sender: "", day: None };
        assert_eq!(table.look_up(&asked, 2), Some("south"));
    }
}
