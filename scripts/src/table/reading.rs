//! Reads a table's file: what is said above the columns, the columns, the rows.

use std::sync::OnceLock;

use super::{DAY, FROM, OnMissing, RESERVED, SENDER, TO, Table, place::Places, rows};

/// One thing that is wrong with a table, and where. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) code: &'static str,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) why: String,
}

/// The lines above the columns: `# source: LOINC`.
#[derive(Default)]
struct Preface<'a> {
    source: Option<&'a str>,
    version: Option<&'a str>,
    /// The columns whose values name a row, and where they are said.
    key: Option<(&'a str, usize)>,
    /// What a lookup of a code that no row has means, and where it is said.
    on_missing: Option<(&'a str, usize)>,
    /// How many bytes these lines have.
    length: usize,
}

/// Rows as they stand, each with the byte it begins at.
pub(super) struct Rows {
    pub(super) values: Vec<Vec<String>>,
    pub(super) starts: Vec<usize>,
}

impl Table {
    /// Reads CSV: commas between values, or semicolons where the columns are named without a comma. Says everything that is wrong.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Vec<Wrong>> {
        let text = read_text(bytes).map_err(|wrong| vec![wrong])?;
        let preface = Preface::read(text);
        let head = text[preface.length..].trim_start_matches(['\r', '\n']).lines().next().unwrap_or_default();
        let delimiter = if head.contains(';') && !head.contains(',') { b';' } else { b',' };
        let places = Places { text, delimiter };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(&text.as_bytes()[preface.length..]);
        let columns = read_columns(&mut reader, &places, preface.length).map_err(|wrong| vec![wrong])?;
        let mut wrong = Vec::new();
        let rows = read_rows(&mut reader, (&columns, preface.length), &places, &mut wrong);
        let key = read_key(&preface, &columns, &places).map_err(|found| vec![found])?;
        let on_missing = read_on_missing(&preface, &places).map_err(|found| vec![found])?;
        let column = |name: &str| columns.iter().position(|column| column == name);
        let (sender, days) = (column(SENDER), [column(FROM), column(TO)]);
        let days = rows::read_days(&rows, days, &places, &mut wrong);
        if wrong.is_empty() {
            rows::find_doubles(&rows, &key, (sender, days.as_deref()), &places, &mut wrong);
        }
        if !wrong.is_empty() {
            wrong.sort_by_key(|wrong| (wrong.line, wrong.column));
            return Err(wrong);
        }
        Ok(Self {
            text: text.to_owned(),
            source: preface.source.map(str::to_owned),
            version: preface.version.map(str::to_owned),
            on_missing,
            ordered: columns.iter().map(|_| OnceLock::new()).collect(),
            columns,
            rows: rows.values,
            sender,
            days,
        })
    }
}

fn read_text(bytes: &[u8]) -> Result<&str, Wrong> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        Places { text: &before, delimiter: b',' }.wrong(
            before.len(),
            "table-broken",
            "the file is not UTF-8 from here on: save it as UTF-8".to_owned(),
        )
    })?;
    Ok(text.trim_start_matches('\u{feff}'))
}

impl<'a> Preface<'a> {
    fn read(text: &'a str) -> Self {
        let mut preface = Self::default();
        for line in text.split_inclusive('\n') {
            let Some(said) = line.strip_prefix('#') else { break };
            let (name, value) = said.split_once(':').unwrap_or((said, ""));
            let value = Some(value.trim_matches(|c: char| c.is_whitespace() || c == ';' || c == ','));
            let value = value.filter(|value| !value.is_empty());
            match name.trim() {
                "source" => preface.source = value,
                "version" => preface.version = value,
                "key" => preface.key = value.map(|value| (value, preface.length)),
                "on_missing" => preface.on_missing = Some((value.unwrap_or_default(), preface.length)),
                _ => {}
            }
            preface.length += line.len();
        }
        preface
    }
}

fn read_columns(
    reader: &mut csv::Reader<&[u8]>,
    places: &Places<'_>,
    start: usize,
) -> Result<Vec<String>, Wrong> {
    let head = reader.headers().map_err(|_| {
        places.wrong(start, "table-broken", "the line of the columns cannot be read".to_owned())
    })?;
    let columns: Vec<String> = head.iter().map(|name| name.trim().to_owned()).collect();
    let wrong = |index: usize, why: String| Err(places.wrong_value(start, index, "table-broken", why));
    if columns.is_empty() {
        return wrong(0, "the file is empty: its first line names the columns".to_owned());
    }
    if let Some(index) = columns.iter().position(String::is_empty) {
        return wrong(index, "the first line must name every column".to_owned());
    }
    if let Some(index) = (1..columns.len()).find(|index| columns[..*index].contains(&columns[*index])) {
        return wrong(index, format!("two columns are named `{}`", columns[index]));
    }
    if let Some(index) = columns.iter().position(|column| column == DAY) {
        return wrong(index, format!("`{DAY}` names the day of a lookup, and can be no column"));
    }
    Ok(columns)
}

fn read_rows(
    reader: &mut csv::Reader<&[u8]>,
    (columns, start): (&[String], usize),
    places: &Places<'_>,
    wrong: &mut Vec<Wrong>,
) -> Rows {
    let mut rows = Rows { values: Vec::new(), starts: Vec::new() };
    for record in reader.records() {
        // The text is UTF-8 and the rows may be of any length: nothing else can be wrong with one.
        let Ok(record) = record else { continue };
        let at = start + record.position().map_or(0, |position| position.byte() as usize);
        if record.len() != columns.len() {
            let index = record.len().min(columns.len()).saturating_sub(1);
            let why = format!("values in this line: {}, columns: {}", record.len(), columns.len());
            wrong.push(places.wrong_value(at, index, "table-broken", why));
            continue;
        }
        rows.values.push(record.iter().map(|value| value.trim().to_owned()).collect());
        rows.starts.push(at);
    }
    rows
}

/// What becomes of a message whose code no row has: as `# on_missing: …` says, else nothing.
fn read_on_missing(preface: &Preface<'_>, places: &Places<'_>) -> Result<OnMissing, Wrong> {
    let Some((word, at)) = preface.on_missing else { return Ok(OnMissing::Pass) };
    OnMissing::named(word).ok_or_else(|| {
        let why = format!("`# on_missing:` is `hold`, `pass` or `refuse`, and not `{word}`");
        places.wrong(at, "table-broken", why)
    })
}

/// The columns whose values name a row: as `# key: …` says, else the first one.
fn read_key(preface: &Preface<'_>, columns: &[String], places: &Places<'_>) -> Result<Vec<usize>, Wrong> {
    let Some((names, at)) = preface.key else {
        let first = columns.iter().position(|column| !RESERVED.contains(&column.as_str()));
        let nothing = || "the columns say when and for whom a row is, and nothing else".to_owned();
        return first
            .map(|first| vec![first])
            .ok_or_else(|| places.wrong(preface.length, "table-broken", nothing()));
    };
    let column = |name: &str| {
        let found = columns.iter().position(|column| column == name && !RESERVED.contains(&name));
        let why = || format!("`# key:` names `{name}`, which is no column that can name a row");
        found.ok_or_else(|| places.wrong(at, "table-broken", why()))
    };
    names.split(',').map(|name| column(name.trim())).collect()
}
