//! One look into a table: what is asked, on which day, and what is written down of it.

use engine::{BETWEEN, LookupError, Missing, Question, Register, Row};
use jiff::civil::Date;
use rhai::{Dynamic, EvalAltResult, ImmutableString, Map};

use crate::{
    directory,
    ending::Ending,
    part, run,
    table::{Asked, DAY, OnMissing, SENDER, Table, Tables},
    time::{Precision, Time},
};

/// What a row must have.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// Columns and what they hold.
    keys: Vec<(String, String)>,
    sender: String,
    day: Option<Date>,
}

type Outcome<T> = Result<T, Box<EvalAltResult>>;

impl Lookup {
    pub(crate) fn by_one(column: &str, key: &Dynamic) -> Outcome<Self> {
        Ok(Self { keys: vec![(column.to_owned(), part::for_text(key)?)], ..Self::default() })
    }

    pub(crate) fn by_all(keys: &Map) -> Outcome<Self> {
        let mut lookup = Self::default();
        for (name, value) in keys {
            match name.as_str() {
                SENDER => lookup.sender = part::for_text(value)?,
                DAY => lookup.day = read_day(value)?,
                _ => lookup.keys.push((name.to_string(), part::for_text(value)?)),
            }
        }
        Ok(lookup)
    }

    /// What the row has in a column. Without such a row it is as the table says: `()`, or the message is held or refused.
    pub(crate) fn find(&self, name: &str, wanted: &str) -> Outcome<Dynamic> {
        let found = self.find_if_any(name, wanted)?;
        // No row can be added for a code that is empty.
        if !found.is_unit() || self.keys.iter().all(|(_, value)| value.is_empty()) {
            return Ok(found);
        }
        let tables = run::tables()?;
        match tables.on_missing(name) {
            OnMissing::Hold => {
                run::lacks(self.missing(&tables, name, wanted));
                Ok(found)
            }
            OnMissing::Refuse => {
                let why = self.missing(&tables, name, wanted).to_string();
                Ending::Refuse(why, None).raise()
            }
            OnMissing::Pass => Ok(found),
        }
    }

    fn missing(&self, tables: &Tables, name: &str, wanted: &str) -> Missing {
        let has_senders = tables.get(name).is_some_and(Table::has_senders);
        Missing {
            table: name.to_owned(),
            asked: self.keys.clone(),
            sender: has_senders.then(|| self.sender.clone()),
            wanted: wanted.to_owned(),
            server: tables.served(name).map(|register| register.source().to_owned()),
        }
    }

    /// What the row has in a column; `()` where there is no such row, whatever the table says.
    pub(crate) fn find_if_any(&self, name: &str, wanted: &str) -> Outcome<Dynamic> {
        if let Some(kind) = directory::kind(name) {
            return self.find_in_directory((name, kind), wanted);
        }
        let tables = run::tables()?;
        if let Some(register) = tables.served(name) {
            return self.ask(register.as_ref(), name, wanted);
        }
        let table = tables.get(name).ok_or_else(|| format!("there is no table `{name}`"))?;
        let column = |column: &str| {
            table.column(column).ok_or_else(|| format!("the table `{name}` has no column `{column}`"))
        };
        let mut keys = Vec::with_capacity(self.keys.len());
        for (name, value) in &self.keys {
            keys.push((column(name)?, value.as_str()));
        }
        let Some((first, more)) = keys.split_first() else {
            return Err("a lookup names a column and what it holds".into());
        };
        let asked =
            Asked { first: *first, more: more.to_vec(), sender: &self.sender, day: self.day_in(table)? };
        let value = table.look_up(&asked, column(wanted)?);
        self.write_down((name, table), wanted, value)?;
        Ok(value.map_or(Dynamic::UNIT, |value| ImmutableString::from(value).into()))
    }

    /// What a server says of it.
    fn ask(&self, register: &dyn Register, table: &str, wanted: &str) -> Outcome<Dynamic> {
        let key = |name: &String| {
            let said = self.keys.iter().find(|(said, _)| said == name).map(|(_, value)| value.clone());
            said.map(|value| (name.clone(), value)).ok_or_else(|| unlike(register, table))
        };
        let keys = register.keys().iter().map(key).collect::<Result<Vec<_>, _>>()?;
        if keys.len() != self.keys.len() {
            return Err(unlike(register, table).into());
        }
        let question = Question { table, keys, wanted };
        match run::wait_for(|context| context.ask(register, &question))? {
            Ok(value) => Ok(value.map_or(Dynamic::UNIT, |value| ImmutableString::from(value).into())),
            Err(LookupError::NotNow(why)) => Ending::NotNow(format!("the table `{table}`: {why}")).raise(),
            Err(LookupError::Wrong(why)) => Err(format!("the table `{table}`: {why}").into()),
        }
    }

    /// The row of a resource that is kept here.
    fn find_in_directory(&self, (name, kind): (&str, &str), wanted: &str) -> Outcome<Dynamic> {
        let unknown = |column: &str| format!("the table `{name}` has no column `{column}`");
        if !directory::COLUMNS.contains(&wanted) {
            return Err(unknown(wanted).into());
        }
        if self.keys.is_empty() {
            return Err("a lookup names a column and what it holds".into());
        }
        let search = directory::search(kind, &self.keys)
            .ok_or_else(|| format!("rows of `{name}` are found by {}", directory::KEYS.join(", ")))?;
        let found = run::ask(|context| context.find(&search))?.map_err(|error| error.to_string())?;
        let chosen = directory::chosen(&found);
        let value = chosen.and_then(|held| directory::value(held, wanted));
        let keys: Vec<&str> = self.keys.iter().map(|(_, value)| value.as_str()).collect();
        let row = Row {
            table: name.to_owned(),
            source: chosen.map(|held| format!("{}/{}", held.kind, held.id)),
            version: chosen.map(|held| held.version.to_string()),
            key: keys.join(BETWEEN),
            sender: None,
            wanted: wanted.to_owned(),
            value: value.clone(),
        };
        run::ask(|context| context.looked_up(row))?;
        Ok(value.map_or(Dynamic::UNIT, Dynamic::from))
    }

    /// Asks the clock only where the answer depends on it.
    fn day_in(&self, table: &Table) -> Outcome<Option<Date>> {
        if !table.has_days() || self.day.is_some() {
            return Ok(self.day);
        }
        let now = run::ask(engine::Context::now)?;
        Ok(Some(Time::at(now).zoned.date()))
    }

    fn write_down(&self, (name, table): (&str, &Table), wanted: &str, value: Option<&str>) -> Outcome<()> {
        let keys: Vec<&str> = self.keys.iter().map(|(_, value)| value.as_str()).collect();
        let row = Row {
            table: name.to_owned(),
            source: table.source.clone(),
            version: table.version.clone(),
            key: keys.join(BETWEEN),
            sender: table.has_senders().then(|| self.sender.clone()),
            wanted: wanted.to_owned(),
            value: value.map(str::to_owned),
        };
        run::ask(|context| context.looked_up(row))
    }
}

/// By what a table of a server is asked.
fn unlike(register: &dyn Register, table: &str) -> String {
    format!("the table `{table}` is asked by `{}`", register.keys().join("`, `"))
}

/// The day of a time, in the channel's zone; none where the text is empty.
fn read_day(value: &Dynamic) -> Outcome<Option<Date>> {
    let Some(time) = read_time(value)? else { return Ok(None) };
    if time.precision < Precision::Day {
        return Err(format!("`{DAY}` is not known to the day").into());
    }
    Ok(Some(time.zoned.with_time_zone(run::zone()).date()))
}

fn read_time(value: &Dynamic) -> Outcome<Option<Time>> {
    if let Some(time) = value.read_lock::<Time>() {
        return Ok(Some(time.clone()));
    }
    let text = part::for_text(value)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let time = Time::parse(&text, &run::zone()).ok_or_else(|| format!("`{DAY}` is no time"))?;
    Ok(Some(time))
}
