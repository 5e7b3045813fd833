//! How a connector introduces itself.

use std::path;

use engine::{Checks, DestinationSettings, Path, SourceSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A protocol: its name in a channel, and what it can do.
pub struct Connector {
    /// The key under `source:` or `to:`.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    pub source: Option<SourceKind>,
    pub destination: Option<DestinationKind>,
}

/// How the settings of a source are described, read and looked through.
pub struct SourceKind {
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    pub parse: fn(Value) -> Result<Box<dyn SourceSettings>, Misfit>,
    /// Looks at the files the settings name, relative to the project's folder. Says nothing of settings that do not parse.
    pub examine: fn(Value, &path::Path, &mut Checks<'_>),
}

/// How the settings of a destination are described, read and looked through.
pub struct DestinationKind {
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    pub parse: fn(Value) -> Result<Box<dyn DestinationSettings>, Misfit>,
    /// Looks at the files the settings name, relative to the project's folder. Says nothing of settings that do not parse.
    pub examine: fn(Value, &path::Path, &mut Checks<'_>),
}

/// Settings that may name files: certificates, keys.
pub trait Examine {
    /// Says what is wrong with the files that the settings name. Reads them, opens nothing else.
    fn examine(&self, _root: &path::Path, _checks: &mut Checks<'_>) {}
}

/// A value that its settings type would not take.
#[derive(Debug)]
pub struct Misfit {
    /// Where, from the settings' top.
    pub at: Path,
    pub message: String,
}

impl SourceKind {
    pub(crate) const fn of<T>() -> Self
    where
        T: SourceSettings + Examine + DeserializeOwned + JsonSchema + 'static,
    {
        Self {
            schema: |generator| T::json_schema(generator),
            parse: |value| Ok(Box::new(parse::<T>(value)?)),
            examine: examine::<T>,
        }
    }
}

impl DestinationKind {
    pub(crate) const fn of<T>() -> Self
    where
        T: DestinationSettings + Examine + DeserializeOwned + JsonSchema + 'static,
    {
        Self {
            schema: |generator| T::json_schema(generator),
            parse: |value| Ok(Box::new(parse::<T>(value)?)),
            examine: examine::<T>,
        }
    }
}

pub(crate) fn parse<T: DeserializeOwned>(value: Value) -> Result<T, Misfit> {
    serde_path_to_error::deserialize(value).map_err(|error| Misfit {
        at: Path::parse(&error.path().to_string()),
        message: error.inner().to_string(),
    })
}

fn examine<T: Examine + DeserializeOwned>(value: Value, root: &path::Path, checks: &mut Checks<'_>) {
    if let Ok(settings) = parse::<T>(value) {
        settings.examine(root, checks);
    }
}
