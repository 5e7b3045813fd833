//! The `OpenAPI` document, made of the paths there are.

use axum::{Json, http::StatusCode};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::paths::{Gives, Place, all};

pub(super) async fn show() -> Json<Value> {
    Json(document())
}

/// The whole document.
pub(super) fn document() -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let mut paths = Map::new();
    for place in all() {
        let described = operation(&place, &mut generator);
        let at = paths.entry(format!("/api/v1{}", place.path)).or_insert_with(|| json!({}));
        at[place.method] = described;
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Relais",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the console and the command line ask. `x-rights` are the rights that a path needs; `x-about` is what it is about: who sees channels of some tags is let at those.",
        },
        "security": [{ "key": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": "the key in the store's folder, or a token" },
                "session": { "type": "apiKey", "in": "cookie", "name": "relais-8600", "description": "of the console; the port stands in the name. A request that changes something carries `relais-console: 1` beside it" },
            },
        },
    })
}

fn operation(place: &Place, generator: &mut SchemaGenerator) -> Value {
    let in_path = place.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| parameter(name, "path"));
    let in_query = place.query.iter().map(|name| parameter(name, "query"));
    let mut described = json!({
        "summary": place.words,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": answers(place, generator),
    });
    let rights: Vec<_> = place.rights.iter().map(|right| right.name()).collect();
    described["x-rights"] = json!(rights);
    described["x-about"] = json!(place.about.name());
    if let Some(takes) = &place.takes {
        let schema = (takes.shape)(generator);
        let content = json!({ "application/json": { "schema": schema } });
        described["requestBody"] = json!({ "required": takes.is_needed, "content": content });
    }
    described
}

fn parameter(name: &str, place: &str) -> Value {
    json!({ "name": name, "in": place, "required": place == "path", "schema": { "type": "string" } })
}

fn answers(place: &Place, generator: &mut SchemaGenerator) -> Value {
    let content = match &place.gives {
        Gives::Json(shape) | Gives::Made(shape) => {
            json!({ "application/json": { "schema": shape(generator) } })
        }
        Gives::Bytes => json!({ "application/octet-stream": {} }),
        Gives::Events => json!({ "text/event-stream": {} }),
        Gives::Nothing => Value::Null,
    };
    let status = match &place.gives {
        Gives::Nothing => StatusCode::NO_CONTENT,
        Gives::Made(_) => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    let good = match content {
        Value::Null => json!({ "description": "done" }),
        content => json!({ "description": "done", "content": content }),
    };
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    let problem =
        json!({ "description": "why not", "content": { "application/problem+json": { "schema": schema } } });
    json!({ status.as_str(): good, "default": problem })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["title", "status", "code", "detail"],
        "properties": {
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "type": "string", "description": "`relais explain CODE` says more" },
            "detail": { "type": "string", "description": "for a person" },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn the_document_in_the_reference_is_the_one_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/openapi.json");
        let wanted = serde_json::to_string_pretty(&super::document()).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &wanted).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == wanted, "{} is not what the code says: run with UPDATE=1", path.display());
    }
}
