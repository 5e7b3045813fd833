//! What a table's rows say of themselves: their days, and that none says what another has said already.

use jiff::{civil::Date, tz::TimeZone};

use super::{
    Days,
    place::Places,
    reading::{Rows, Wrong},
};
use crate::time::{Precision, Time};

/// Reads the days of each row, where there are columns for them: the first and the last.
pub(super) fn read_days(
    rows: &Rows,
    [from, to]: [Option<usize>; 2],
    places: &Places<'_>,
    wrong: &mut Vec<Wrong>,
) -> Option<Vec<Days>> {
    from.or(to)?;
    let mut read = |row: usize, column: Option<usize>, open: Date| {
        let Some(column) = column else { return open };
        let text = &rows.values[row][column];
        if text.is_empty() {
            return open;
        }
        read_day(text).unwrap_or_else(|| {
            let why = "this is no day: write it as 2026-01-31, or leave it empty".to_owned();
            wrong.push(places.wrong_value(rows.starts[row], column, "bad-date", why));
            open
        })
    };
    let days: Vec<Days> = (0..rows.values.len())
        .map(|row| Days { from: read(row, from, Days::ALL.from), to: read(row, to, Days::ALL.to) })
        .collect();
    for (row, days) in days.iter().enumerate().filter(|(_, days)| days.to < days.from) {
        let why = format!("the row ends before its first day, {}", days.from);
        wrong.push(places.wrong_value(rows.starts[row], to.unwrap_or_default(), "bad-date", why));
    }
    Some(days)
}

fn read_day(text: &str) -> Option<Date> {
    let time = Time::parse(text, &TimeZone::UTC)?;
    (time.precision == Precision::Day).then(|| time.zoned.date())
}

/// Finds rows of one key and one sender of which a lookup could not tell which is meant.
pub(super) fn find_doubles(
    rows: &Rows,
    key: &[usize],
    (sender, days): (Option<usize>, Option<&[Days]>),
    places: &Places<'_>,
    wrong: &mut Vec<Wrong>,
) {
    let name = |row: usize| {
        let columns = key.iter().copied().chain(sender);
        columns.map(move |column| rows.values[row][column].as_str())
    };
    let days_of = |row: usize| days.map_or(Days::ALL, |days| days[row]);
    let mut ordered: Vec<usize> = (0..rows.values.len()).collect();
    ordered.sort_by(|one, other| {
        name(*one).cmp(name(*other)).then(days_of(*one).from.cmp(&days_of(*other).from))
    });
    // The row that lasts longest of those of the same name so far.
    let mut longest: Option<usize> = None;
    for row in ordered {
        let same = longest.filter(|before| name(*before).eq(name(row)));
        if let Some(before) = same.filter(|before| days_of(row).from <= days_of(*before).to) {
            let (first, second) = (before.min(row), before.max(row));
            let line = places.of_value(rows.starts[first], 0).0;
            let why = match days {
                Some(_) => format!("the days of this row overlap with those of line {line}, of the same key"),
                None => format!("line {line} has a row of the same key already"),
            };
            wrong.push(places.wrong_value(rows.starts[second], key[0], "double-row", why));
        }
        longest = Some(match same {
            Some(before) if days_of(row).to < days_of(before).to => before,
            _ => row,
        });
    }
}
