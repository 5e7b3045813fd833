//! `msg` of a channel of rows: a handle on them, and handles on each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use formats::rows::Sheet;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

use crate::{
    functions::{Outcome, broke},
    json, part,
    pieces::list_of,
    run,
};

/// Rows that scripts read and change. Its copies are the same rows; `copy()` makes others.
#[derive(Clone)]
pub(crate) struct SheetHandle(Arc<Mutex<Sheet>>);

/// One row of them.
#[derive(Clone)]
pub(crate) struct RowHandle {
    sheet: SheetHandle,
    row: usize,
}

impl SheetHandle {
    pub(crate) fn new(sheet: Sheet) -> Self {
        Self(Arc::new(Mutex::new(sheet)))
    }

    /// The rows as they now are.
    pub(crate) fn sheet(&self) -> Sheet {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Sheet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of one letter: those of several are several patients'.
    fn one(&self) -> Outcome<MutexGuard<'_, Sheet>> {
        let sheet = self.lock();
        match sheet.letters() {
            1 => Ok(sheet),
            letters => broke(format!("these are {letters} letters: split them first, with `msg.messages()`")),
        }
    }

    pub(crate) fn rows(&self) -> Outcome<Array> {
        let rows: Vec<usize> = self.one()?.rows().collect();
        list_of(rows.into_iter().map(|row| Dynamic::from(RowHandle { sheet: self.clone(), row })))
    }

    pub(crate) fn names(&self) -> Outcome<Array> {
        list_of(self.lock().names().iter().map(|name| Dynamic::from(name.clone())))
    }

    pub(crate) fn letter(&self) -> Outcome<ImmutableString> {
        Ok(self.one()?.letter().join("\n").into())
    }

    /// A line that has a name, else the column of the first row.
    pub(crate) fn get(&self, name: &str) -> Outcome<ImmutableString> {
        let sheet = self.one()?;
        if let Some(value) = sheet.named_value(name) {
            return Ok(value.into());
        }
        let column = sheet.column(name).or_else(broke)?;
        let Some(row) = sheet.rows().next() else { return Ok(ImmutableString::new()) };
        Ok(sheet.get(row, column).unwrap_or_default().as_ref().into())
    }

    pub(crate) fn set(&self, name: &str, value: &Dynamic) -> Outcome<()> {
        let mut sheet = self.one()?;
        let value = text_for(&sheet, value)?;
        if sheet.named().iter().any(|known| known == name) {
            return sheet.set_named(name, &value).or_else(broke);
        }
        let mut rows = sheet.rows();
        let (Some(row), None) = (rows.next(), rows.next()) else {
            return broke(
                "a column alone is written where there is one row: write to a row, `msg.rows[0][…]`",
            );
        };
        drop(rows);
        let column = sheet.column(name).or_else(broke)?;
        sheet.set(row, column, &value).or_else(broke)
    }

    /// Adds a row: a map by the names of the columns, or a list.
    pub(crate) fn add(&self, values: &Dynamic) -> Outcome<RowHandle> {
        let mut sheet = self.one()?;
        let list = match (values.read_lock::<Array>(), values.read_lock::<Map>()) {
            (Some(list), _) => {
                list.iter().map(|value| text_for(&sheet, value)).collect::<Outcome<Vec<_>>>()?
            }
            (_, Some(map)) => of_map(&sheet, &map)?,
            _ => return broke("a row is a map or a list"),
        };
        let row = sheet.add(&list).or_else(broke)?;
        Ok(RowHandle { sheet: self.clone(), row })
    }

    pub(crate) fn records(&self) -> Outcome<Array> {
        let sheet = self.one()?;
        if sheet.rows().count() > crate::language::LARGEST_LIST {
            return run::too_large("Size of array/BLOB");
        }
        list_of(sheet.records().into_iter().map(|part| Dynamic::from(Self::new(part))))
    }

    pub(crate) fn groups(&self, name: &str) -> Outcome<Array> {
        let sheet = self.one()?;
        let column = sheet.column(name).or_else(broke)?;
        list_of(sheet.groups(column).into_iter().map(|part| Dynamic::from(Self::new(part))))
    }

    /// The letters of a file, each by itself; other rows are one message.
    pub(crate) fn messages(&self) -> Outcome<Array> {
        let sheet = self.sheet();
        if sheet.letters() == 1 {
            return Ok(vec![Dynamic::from(self.clone())]);
        }
        let letters = formats::hprim::letters(sheet.text()).into_iter().map(crate::functions::read_hprim);
        letters.collect()
    }

    pub(crate) fn text(&self) -> ImmutableString {
        self.lock().text().into()
    }
}

fn of_map(sheet: &Sheet, map: &Map) -> Outcome<Vec<String>> {
    let mut values = vec![String::new(); sheet.names().len()];
    for (name, value) in map {
        let column = sheet.column(name).or_else(broke)?;
        let Some(place) = values.get_mut(column) else {
            return broke("the columns have no names: a row is a list");
        };
        *place = text_for(sheet, value)?;
    }
    Ok(values)
}

/// A value as text; a number with the sign between whole and decimals that these rows have.
fn text_for(sheet: &Sheet, value: &Dynamic) -> Outcome<String> {
    let text = part::for_field(value)?.into_text();
    run::count_written(text.len())?;
    if value.is_decimal() { Ok(text.replace('.', &sheet.decimal().to_string())) } else { Ok(text) }
}

impl RowHandle {
    pub(crate) fn get(&self, name: &str) -> Outcome<ImmutableString> {
        let sheet = self.sheet.lock();
        let column = sheet.column(name).or_else(broke)?;
        Ok(sheet.get(self.row, column).unwrap_or_default().as_ref().into())
    }

    pub(crate) fn set(&self, name: &str, value: &Dynamic) -> Outcome<()> {
        let mut sheet = self.sheet.lock();
        let column = sheet.column(name).or_else(broke)?;
        let value = text_for(&sheet, value)?;
        sheet.set(self.row, column, &value).or_else(broke)
    }

    pub(crate) fn number(&self, name: &str) -> Outcome<Dynamic> {
        let decimal = self.sheet.lock().decimal();
        let text = self.get(name)?;
        let is_sound = decimal == '.' || !text.contains('.');
        let plain = text.replace(decimal, ".");
        crate::functions::read_number(&plain).filter(|_| is_sound).map_or_else(
            || broke(format!("`{name}` holds no number with `{decimal}` before its decimals")),
            Ok,
        )
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        let sheet = self.sheet.lock();
        let column = sheet.column(name).ok();
        column.and_then(|column| sheet.get(self.row, column)).is_some_and(|value| !value.is_empty())
    }

    pub(crate) fn len(&self) -> usize {
        self.sheet.lock().width(self.row)
    }

    pub(crate) fn to_map(&self) -> Map {
        let sheet = self.sheet.lock();
        let value = |(column, name): (usize, &String)| {
            let value = sheet.get(self.row, column).unwrap_or_default();
            (name.as_str().into(), Dynamic::from(value.into_owned()))
        };
        sheet.names().iter().enumerate().filter(|(_, name)| !name.is_empty()).map(value).collect()
    }

    pub(crate) fn remove(&self) {
        self.sheet.lock().remove(self.row);
    }

    pub(crate) fn text(&self) -> ImmutableString {
        self.sheet.lock().row_text(self.row).into()
    }
}

/// Names both types for error messages.
///
/// Rhai writes a property back behind each call on a part of it: what is written back was changed by its handles, and
/// what is anything else is no property of rows.
pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<SheetHandle>("rows")
        .register_type_with_name::<RowHandle>("row")
        .register_set("rows", |sheet: &mut SheetHandle, rows: Array| {
            let is_ours = |row: &Dynamic| {
                row.read_lock::<RowHandle>().is_some_and(|row| Arc::ptr_eq(&row.sheet.0, &sheet.0))
            };
            kept(
                rows.len() == sheet.rows()?.len() && rows.iter().all(is_ours),
                "rows",
                "`add` and `remove` change them",
            )
        })
        .register_set("names", |sheet: &mut SheetHandle, names: Array| {
            let (names, known) =
                (json::from_dynamic(&names.into())?, json::from_dynamic(&sheet.names()?.into())?);
            kept(names == known, "names", "the first line holds them")
        });
}

/// Fails where a property is given another value.
pub(crate) fn kept(is_kept: bool, name: &str, instead: &str) -> Outcome<()> {
    if is_kept { Ok(()) } else { broke(format!("`{name}` cannot be replaced: {instead}")) }
}
