//! The tables of the connectors' settings in the reference, from their schemas.

use std::fmt::Write;

use connectors::CONNECTORS;
use serde_json::Value;

use crate::{
    schema::{alert_schema, schema, table_schema},
    shape::{Shape, Template},
};

/// The generated part of `docs/reference/channel-file.md`.
pub fn reference() -> String {
    let schema = schema();
    let top = Shape::new(&schema);
    let mut text = String::new();
    for connector in CONNECTORS {
        let _ = writeln!(text, "## `{}`\n\n{}.\n", connector.name, connector.summary);
        let sides = [("source", source(top)), ("to", destination(top))];
        for (side, protocols) in sides {
            if let Some(settings) = protocols.and_then(|protocols| protocols.field(connector.name)) {
                section(&mut text, (side, connector.name), settings);
            }
        }
    }
    let schema = table_schema();
    let _ = writeln!(
        text,
        "## Tables of servers\n\nA file of `tables/` that ends in `.yaml` (`docs/guide/tables.md`).\n"
    );
    rows(&mut text, Shape::new(&schema));
    let schema = alert_schema();
    let _ = writeln!(
        text,
        "## Rules of alerts\n\nA file of `alerts/` (`docs/guide/alerts.md`). Under `tell` stand `smtp`, `http` and `channel`, with the settings that they have under `to:`.\n"
    );
    rows(&mut text, Shape::new(&schema));
    text.trim_end().to_owned() + "\n"
}

fn source(top: Shape<'_>) -> Option<Shape<'_>> {
    top.field("source")?.forms().into_iter().find(|form| form.keyword("x-connectors").is_some())
}

fn destination(top: Shape<'_>) -> Option<Shape<'_>> {
    let list = top.field("destinations")?;
    list.items()?.field("to")
}

fn section(text: &mut String, (side, name): (&str, &str), settings: Shape<'_>) {
    let _ = writeln!(text, "### `{side}: {{ {name}: … }}`\n");
    if let Some(description) = settings.keyword("description").and_then(Value::as_str) {
        let _ = writeln!(text, "{}\n", in_one_line(description));
    }
    if let Some(example) = settings.keyword("examples").and_then(|examples| examples.get(0)) {
        let kind = if side == "to" { "destination" } else { "source" };
        let _ = writeln!(text, "```yaml {kind}\n{name}: {}\n```\n", flow(example));
    }
    rows(text, settings);
}

fn rows(text: &mut String, settings: Shape<'_>) {
    let mut rows = Vec::new();
    gather(&mut rows, "", settings);
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "| setting | default | is |\n|---|---|---|");
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    text.push('\n');
}

/// A row for each setting, those of a group beneath it.
fn gather(rows: &mut Vec<String>, above: &str, settings: Shape<'_>) {
    let required: Vec<&str> = settings.required().collect();
    for key in settings.properties().into_iter().flat_map(|properties| properties.keys()) {
        let Some(field) = settings.field(key) else { continue };
        let name = format!("{above}{key}");
        let default = match field.keyword("default") {
            Some(Value::Object(_) | Value::Null) | None if required.contains(&key.as_str()) => {
                "needed".to_owned()
            }
            Some(Value::Object(_) | Value::Null) | None => String::new(),
            Some(default) => format!("`{}`", flow(default)),
        };
        rows.push(format!("| `{name}` | {default} | {} |", described(field)));
        if let Some(group) = field.forms().into_iter().find(|form| form.properties().is_some()) {
            gather(rows, &format!("{name}."), group);
        }
    }
}

fn described(field: Shape<'_>) -> String {
    let mut text = field.keyword("description").and_then(Value::as_str).map_or(String::new(), in_one_line);
    let words: Vec<&str> = field.forms().iter().filter_map(|form| form.words()).flatten().collect();
    if !words.iter().all(|word| text.contains(&format!("`{word}`"))) {
        let listed: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        let _ = write!(text, " One of {}.", listed.join(", "));
    }
    if field.template() == Template::Setting {
        text.push_str(" *Template.*");
    }
    text.trim().replace('|', "\\|")
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value as YAML in one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) if map.is_empty() => "{}".into(),
        Value::Object(map) => {
            let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) if text.contains(['"', '{', '#']) => format!("'{}'", text.replace('\'', "''")),
        Value::String(text) if text.contains(':') || text.starts_with('*') => format!("\"{text}\""),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
