//! The JSON Schemas of the files of a project, from the Rust types and the list of connectors.

use std::sync::OnceLock;

use connectors::{CONNECTORS, Connector, tables::TableFile};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use crate::{alerts::RuleFile, file::ChannelFile, settings::SettingsFile};

/// The schema of a channel file.
pub fn schema() -> Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(of::<ChannelFile>).clone()
}

/// The schema of `relais.yaml`.
pub fn settings_schema() -> Value {
    of::<SettingsFile>()
}

/// The schema of a file of `tables/` that ends in `.yaml`.
pub fn table_schema() -> Value {
    of::<TableFile>()
}

/// The schema of a file of `alerts/`.
pub fn alert_schema() -> Value {
    of::<RuleFile>()
}

/// The schema of a file of `environments/`: names of variables with their values.
pub fn environment_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The variables of an environment",
        "type": "object",
        "propertyNames": { "pattern": "^[A-Z_][A-Z0-9_]*$" },
        "additionalProperties": { "type": "string" },
    })
}

/// The schema of a file of `sources/`: what stands under `source:` of a channel.
pub fn source_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = protocols(&mut generator, "source").to_value();
    let named = schema.as_object_mut().expect("an object is a schema");
    named.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    named.insert("title".into(), "A source of a Relais project".into());
    named.insert("$defs".into(), Value::Object(generator.take_definitions(true)));
    schema
}

fn of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

/// Under `source:` stands one protocol, or the name of a file of `sources/`.
pub(crate) fn source(generator: &mut SchemaGenerator) -> Schema {
    let protocols = protocols(generator, "source");
    json_schema!({
        "anyOf": [
            protocols,
            {
                "type": "object",
                "description": "A source declared in `sources/`, with settings of its own beside it.",
                "properties": { "use": { "type": "string", "description": "The name of a file of `sources/`." } },
                "required": ["use"],
            },
        ],
    })
}

/// Under `to:` stands one protocol.
pub(crate) fn destination(generator: &mut SchemaGenerator) -> Schema {
    protocols(generator, "to")
}

/// Under `tell:` of a rule stand ways to tell somebody.
pub(crate) fn routes(generator: &mut SchemaGenerator) -> Schema {
    let mut one = protocols(generator, "to");
    if let Some(Value::Object(properties)) = one.get_mut("properties") {
        properties.retain(|name, _| ["smtp", "http", "channel"].contains(&name.as_str()));
    }
    json_schema!({ "type": "array", "items": one })
}

fn protocols(generator: &mut SchemaGenerator, side: &str) -> Schema {
    let mut properties = Map::new();
    for connector in CONNECTORS {
        if let Some(mut schema) = settings(connector, side, generator) {
            schema.entry("description").or_insert_with(|| connector.summary.into());
            properties.insert(connector.name.to_owned(), Value::Object(schema));
        }
    }
    json_schema!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
        "x-connectors": side,
    })
}

fn settings(
    connector: &Connector,
    side: &str,
    generator: &mut SchemaGenerator,
) -> Option<Map<String, Value>> {
    let schema = match side {
        "source" => (connector.source.as_ref()?.schema)(generator),
        _ => (connector.destination.as_ref()?.schema)(generator),
    };
    match schema.to_value() {
        Value::Object(schema) => Some(schema),
        _ => Some(Map::new()),
    }
}
