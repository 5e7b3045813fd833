//! A query in a file of SQLite as a table.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use engine::{Checks, LookupError};
use rusqlite::{Connection, ErrorCode, OpenFlags, types::ValueRef};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Holder, Misses, Row, Shape, not_now, sql::Query, timeout, wrong};
use crate::setting::Period;

/// Asks a file of SQLite, which is only read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The file, from the project's folder.
    #[schemars(with = "String", example = "data/wards.db")]
    file: PathBuf,

    /// One query that finds one row. `:code` is what a lookup says as `code`; its values are texts.
    #[schemars(example = "select name, unit from wards where code = :code")]
    query: String,

    /// How long one answer may take. The message waits.
    #[serde(default = "timeout")]
    timeout: Period,
}

impl Settings {
    pub(super) fn check(&self, checks: &mut Checks<'_>) {
        if Query::read(&self.query).keys.is_empty() {
            checks.error("wrong-value", "sqlite.query", "has no parameter such as `:code` to find a row by");
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout.0
    }

    pub(super) fn shape(&self) -> Shape {
        Shape {
            keys: Query::read(&self.query).keys,
            columns: None,
            source: self.file.display().to_string(),
            misses: Misses::AreWrong,
        }
    }

    pub(super) fn holder(self, root: &Path) -> File {
        File { path: root.join(self.file), query: self.query, timeout: self.timeout.0 }
    }
}

/// A file that is asked. It is opened for each question: whoever makes it may put a new one in its place.
#[derive(Clone)]
pub(super) struct File {
    path: PathBuf,
    query: String,
    timeout: Duration,
}

impl File {
    fn open(&self) -> Result<Connection, LookupError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&self.path, flags);
        let opened = opened.and_then(|connection| connection.busy_timeout(self.timeout).map(|()| connection));
        opened.map_err(|error| not_now(format!("cannot open the file ({})", words(&error))))
    }

    fn ask(&self, keys: &[(String, String)]) -> Result<Option<Row>, LookupError> {
        let connection = self.open()?;
        let mut statement = connection.prepare(&self.query).map_err(|error| explained(&error))?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let given: Vec<(String, &str)> =
            keys.iter().map(|(name, value)| (format!(":{name}"), value.as_str())).collect();
        let bound: Vec<(&str, &dyn rusqlite::ToSql)> =
            given.iter().map(|(name, value)| (name.as_str(), value as &dyn rusqlite::ToSql)).collect();
        let mut found = statement.query(bound.as_slice()).map_err(|error| explained(&error))?;
        let Some(first) = found.next().map_err(|error| explained(&error))? else { return Ok(None) };
        let mut row = Row::new();
        for (place, name) in names.into_iter().enumerate() {
            let value = first.get_ref(place).map_err(|error| explained(&error))?;
            row.insert(name, text(value)?);
        }
        match found.next().map_err(|error| explained(&error))? {
            None => Ok(Some(row)),
            Some(_) => Err(wrong("the query finds several rows: nobody could say which is meant")),
        }
    }
}

#[async_trait]
impl Holder for File {
    async fn row(&self, keys: &[(String, String)]) -> Result<Option<Row>, LookupError> {
        let (file, keys) = (self.clone(), keys.to_vec());
        let asked = tokio::task::spawn_blocking(move || file.ask(&keys)).await;
        asked.unwrap_or_else(|_| Err(wrong("the query broke")))
    }

    async fn reach(&self) -> Result<(), String> {
        let connection = self.open().map_err(|error| error.to_string())?;
        let prepared = connection.prepare(&self.query);
        // No message is in it yet: SQLite may say in its own words what is wrong.
        let statement = prepared.map_err(|error| format!("the query does not work: {error}"))?;
        if statement.readonly() { Ok(()) } else { Err("the query writes".to_owned()) }
    }
}

fn text(value: ValueRef<'_>) -> Result<Option<String>, LookupError> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number.to_string())),
        ValueRef::Real(number) => Ok(Some(number.to_string())),
        ValueRef::Text(bytes) => Ok(Some(String::from_utf8_lossy(bytes).into_owned())),
        ValueRef::Blob(_) => Err(wrong("a column holds bytes and no text")),
    }
}

/// The kind of a failure alone: its words may quote a value.
fn words(error: &rusqlite::Error) -> String {
    error.sqlite_error_code().map_or_else(|| "the query broke".to_owned(), |code| format!("{code:?}"))
}

fn explained(error: &rusqlite::Error) -> LookupError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt,
        ) => not_now(format!("the file cannot be read ({})", words(error))),
        _ => wrong(format!("the query does not work ({})", words(error))),
    }
}
