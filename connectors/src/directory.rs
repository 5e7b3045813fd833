//! The directory as a destination: FHIR resources that are kept here, with their versions, to be looked up.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use engine::{
    Destination, DestinationSettings, Doubt, Facts, Hash, Mirror, OpenError, Opening, Outbound, Presence,
    Resource, Response, SendError,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{Connector, DestinationKind, Examine};

pub(crate) const CONNECTOR: Connector = Connector {
    name: "directory",
    summary: "The directory of this server: resources with their versions, for steps to look up",
    source: None,
    destination: Some(DestinationKind::of::<Settings>()),
};

/// Keeps FHIR resources, by their type and id, with their versions. What a sync of this server brought is there already,
/// as its server gave it: a step that changed it on its way here is refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({}))]
struct Settings {}

impl Examine for Settings {}

#[async_trait]
impl DestinationSettings for Settings {
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(Keeping { mirror: Arc::clone(&opening.directory) }))
    }
}

struct Keeping {
    mirror: Arc<dyn Mirror>,
}

#[async_trait]
impl Destination for Keeping {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let (mirror, outbound) = (Arc::clone(&self.mirror), outbound.clone());
        let kept = tokio::task::spawn_blocking(move || keep(&*mirror, &outbound)).await;
        kept.unwrap_or_else(|_| Err(SendError::unknown("writing was cut")))
    }
}

fn keep(mirror: &dyn Mirror, outbound: &Outbound) -> Result<Response, SendError> {
    let body = &outbound.body.whole()?;
    // What tells one resource from another is read; the rest is not taken apart.
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_slice(body).map_err(|_| SendError::refused("it is no FHIR resource in JSON"))?;
    let text = |name: &str| serde_json::from_str::<String>(fields.get(name)?.get()).ok();
    let (Some(kind), Some(id)) = (text("resourceType"), text("id")) else {
        return Err(SendError::refused("a resource for the directory has a `resourceType` and an `id`"));
    };
    let (kind, id) = (kind.as_str(), id.as_str());
    let fact = |name: &str| outbound.source.get(name).and_then(Value::as_str);
    let is_ours =
        fact("directory") == Some(mirror.name()) && fact("type") == Some(kind) && fact("id") == Some(id);
    let held = if is_ours { read(mirror, kind, id)? } else { None };
    if let Some(held) = held {
        if fact("hash") == Some(&Hash::of(&[body]).to_string()) {
            return Ok(response(&held));
        }
        return Err(SendError::refused(
            "a step has changed it, and the directory has it as its server gave it: change it on its way to other destinations",
        ));
    }
    // What others read whole must be readable whole.
    if serde_json::from_slice::<Value>(body).is_err() {
        return Err(SendError::refused("it is no FHIR resource in JSON"));
    }
    let version = mirror.put(kind, id, body).map_err(|error| SendError::not_delivered(error.to_string()))?;
    Ok(Response { body: None, facts: facts(kind, id, version, "kept") })
}

fn read(mirror: &dyn Mirror, kind: &str, id: &str) -> Result<Option<Resource>, SendError> {
    mirror.read(kind, id).map_err(|error| SendError::not_delivered(error.to_string()))
}

fn response(held: &Resource) -> Response {
    let state = if held.state == Presence::Removed { "removed" } else { "kept" };
    Response { body: None, facts: facts(&held.kind, &held.id, held.version, state) }
}

fn facts(kind: &str, id: &str, version: i64, state: &str) -> Facts {
    let mut facts = Facts::new();
    facts.insert("resource".to_owned(), format!("{kind}/{id}").into());
    facts.insert("version".to_owned(), version.into());
    facts.insert("state".to_owned(), state.into());
    facts
}
