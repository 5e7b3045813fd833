//! Tables whose rows a server holds: a terminology server, a database. Scripts ask them by name and never see them.

mod asked;
mod fhir;
mod postgres;
mod sql;
mod sqlite;
mod worklist;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use engine::{Checks, LookupError, Register};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{Misfit, connector::parse, setting::Period};
use asked::Asked;

/// A table whose rows a server holds: one of `fhir`, `postgres`, `sqlite` and `dicom`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A table of a Relais project whose rows a server holds")]
pub struct TableFile {
    /// A FHIR R4 terminology server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "fhir::Settings")]
    fhir: Option<fhir::Settings>,

    /// A query in a PostgreSQL database, which is only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "postgres::Settings")]
    postgres: Option<postgres::Settings>,

    /// A query in a file of SQLite, which is only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "sqlite::Settings")]
    sqlite: Option<sqlite::Settings>,

    /// A modality worklist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "worklist::Settings")]
    dicom: Option<worklist::Settings>,

    /// So long an answer is believed; that there is no such row, a minute at most. `0s` asks each time.
    #[serde(default = "cache")]
    cache: Period,

    /// What becomes of a message that asks for a code without a row. `pass`: the lookup says that there is none. `hold`: it
    /// waits until the server has one. `refuse`: its sender hears of it.
    #[serde(default)]
    on_missing: OnMissing,
}

/// What a lookup of a code that no row has means for its message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum OnMissing {
    #[default]
    Pass,
    Hold,
    Refuse,
}

fn cache() -> Period {
    Period::seconds(600)
}

/// What a row holds, by column; nothing where the column is empty.
type Row = BTreeMap<String, Option<String>>;

/// Whoever has the rows.
#[async_trait]
trait Holder: Send + Sync {
    /// The row that holds all of `keys`.
    async fn row(&self, keys: &[(String, String)]) -> Result<Option<Row>, LookupError>;

    /// Whether it is there and knows the table.
    async fn reach(&self) -> Result<(), String>;
}

/// What a table is asked by, and what it can be asked for.
struct Shape {
    keys: Vec<String>,
    /// `None` where only the server knows.
    columns: Option<Vec<String>>,
    /// Where its rows come from, for the record.
    source: String,
    misses: Misses,
}

/// What it means that a row lacks a column that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misses {
    /// Another row may have it.
    AreEmpty,
    AreWrong,
}

impl TableFile {
    /// Reads the file of a table.
    pub fn read(value: Value) -> Result<Self, Misfit> {
        parse(value)
    }

    /// Says what is wrong with it, without touching a network.
    pub fn check(&self, root: &Path, checks: &mut Checks<'_>) {
        match (&self.fhir, &self.postgres, &self.sqlite, &self.dicom) {
            (Some(fhir), None, None, None) => fhir.check(root, checks),
            (None, Some(postgres), None, None) => postgres.check(root, checks),
            (None, None, Some(sqlite), None) => sqlite.check(checks),
            (None, None, None, Some(dicom)) => dicom.check(root, checks),
            (None, None, None, None) => {
                let message = "says `fhir`, `postgres`, `sqlite` or `dicom`: who holds the rows";
                checks.error("missing-field", "", message);
            }
            _ => {
                checks.error(
                    "conflicting-fields",
                    "",
                    "says one of `fhir`, `postgres`, `sqlite` and `dicom`",
                );
            }
        }
    }

    pub fn on_missing(&self) -> OnMissing {
        self.on_missing
    }

    /// The table itself. Connects to nothing yet.
    pub fn register(self, root: &Path) -> Result<Arc<dyn Register>, String> {
        let cache = self.cache.0;
        if let Some(settings) = self.fhir {
            let (shape, timeout) = (settings.shape(), settings.timeout());
            return Ok(Arc::new(Asked::new(Arc::new(settings.holder(root)?), shape, (timeout, cache))));
        }
        if let Some(settings) = self.postgres {
            let (shape, timeout) = (settings.shape(), settings.timeout());
            return Ok(Arc::new(Asked::new(Arc::new(settings.holder(root)?), shape, (timeout, cache))));
        }
        if let Some(settings) = self.dicom {
            let (shape, timeout) = (settings.shape(), settings.timeout());
            return Ok(Arc::new(Asked::new(Arc::new(settings.holder(root)?), shape, (timeout, cache))));
        }
        let settings = self.sqlite.ok_or("it does not say who holds the rows")?;
        let (shape, timeout) = (settings.shape(), settings.timeout());
        Ok(Arc::new(Asked::new(Arc::new(settings.holder(root)), shape, (timeout, cache))))
    }
}

/// Longest wait for one answer, unless the table says otherwise: a sender waits meanwhile.
fn timeout() -> Period {
    Period::seconds(5)
}

fn not_now(why: impl Into<String>) -> LookupError {
    LookupError::NotNow(why.into())
}

fn wrong(why: impl Into<String>) -> LookupError {
    LookupError::Wrong(why.into())
}
