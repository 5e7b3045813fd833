//! What is asked of the server for one payload.

use bytes::Bytes;
use engine::{Outbound, SendError};
use hyper::Method;
use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;

use super::{Interaction, Settings, bundle, mark::Mark, merged::Follow, plain};
use crate::fhir::{
    capability::{Deed, Need, is_searched},
    server::FHIR,
};

/// A request beneath the base.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// `Patient/42`, or nothing for the base itself.
    pub(super) path: String,
    /// A query, encoded.
    pub(super) query: String,
    /// `If-None-Exist`.
    pub(super) unless: Option<String>,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
    pub(super) answers: Answers,
    pub(super) needs: Vec<Need>,
    pub(super) repeats: Repeats,
    /// Patients who may have been merged.
    pub(super) follows: Vec<Follow>,
}

/// What the server answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// A resource, or nothing.
    Resource,
    /// What was asked for.
    Found,
    /// A bundle with an entry for each of so many.
    Entries(usize),
    /// The same, for entries that are done together or not at all.
    Together(usize),
    /// A message.
    Message,
}

/// Whether a second time makes a second effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    Harmless,
    Twice,
}

const JSON_PATCH: &str = "application/json-patch+json";

impl Settings {
    /// Makes the request of one payload. What is refused here is refused before anything leaves.
    pub(super) fn request(&self, outbound: &Outbound) -> Result<Request, SendError> {
        if self.interaction == Interaction::Read {
            return self.read(outbound);
        }
        let payload = parse(&outbound.body.whole()?)?;
        if self.interaction == Interaction::Patch {
            return self.patch(outbound, &payload);
        }
        let Value::Object(resource) = payload else {
            return Err(refused("the payload is no resource: it is no object"));
        };
        let name = type_of(&resource)?;
        let kind = resource.get("type").and_then(Value::as_str);
        match kind.filter(|_| name == "Bundle" && self.interaction == Interaction::Store) {
            Some("transaction") => bundle::carried_out("transaction", resource, self, outbound),
            Some("batch") => bundle::carried_out("batch", resource, self, outbound),
            Some("message") => bundle::message(resource, self, outbound),
            _ => self.one(name, resource, outbound),
        }
    }

    fn one(
        &self,
        name: String,
        resource: Map<String, Value>,
        outbound: &Outbound,
    ) -> Result<Request, SendError> {
        let condition = self.condition(outbound)?;
        match (self.interaction, condition) {
            (Interaction::Create, condition) => self.create(name, resource, condition, outbound),
            (_, Some(condition)) => self.update_where(name, condition, outbound),
            (interaction, None) => {
                if let Some(id) = resource.get("id").and_then(Value::as_str) {
                    return update(&name, id, outbound);
                }
                match identifier(&resource).filter(|_| interaction == Interaction::Store) {
                    Some(condition) => self.update_where(name, condition, outbound),
                    None if interaction == Interaction::Store => self.create(name, resource, None, outbound),
                    None => Err(refused("`update` needs an `id` in the resource, or a `condition`")),
                }
            }
        }
    }

    fn create(
        &self,
        name: String,
        mut resource: Map<String, Value>,
        condition: Option<String>,
        outbound: &Outbound,
    ) -> Result<Request, SendError> {
        let (unless, body, by) = if let Some(condition) = condition {
            (condition, outbound.body.whole()?, self.searched())
        } else {
            let mark = Mark::of(&self.mark_system, outbound.effect);
            mark.put(&name, &mut resource);
            let by = vec![super::mark::parameter(&name).to_owned()];
            (mark.condition(&name), Value::Object(resource).to_string().into(), by)
        };
        let needs = vec![Need::Of(name.clone(), Deed::Create), Need::Of(name.clone(), Deed::CreateWhere(by))];
        Ok(Request { unless: Some(unless), body, needs, ..Request::new(Method::POST, name) })
    }

    fn update_where(
        &self,
        name: String,
        condition: String,
        outbound: &Outbound,
    ) -> Result<Request, SendError> {
        let by = if self.condition.is_empty() { vec!["identifier".to_owned()] } else { self.searched() };
        let needs = vec![Need::Of(name.clone(), Deed::ChangeWhere(by))];
        let body = outbound.body.whole()?;
        Ok(Request { query: condition, body, needs, ..Request::new(Method::PUT, name) })
    }

    fn patch(&self, outbound: &Outbound, payload: &Value) -> Result<Request, SendError> {
        if !payload.is_array() && payload["resourceType"] != "Parameters" {
            return Err(refused("a patch is a list (JSON Patch) or Parameters (FHIRPath Patch)"));
        }
        let (target, name, condition) = self.target(outbound)?;
        let deed = if condition.is_some() { Deed::ChangeWhere(self.searched()) } else { Deed::Patch };
        let content_type = if payload.is_array() { JSON_PATCH } else { FHIR };
        Ok(Request {
            query: condition.unwrap_or_default(),
            content_type,
            body: outbound.body.whole()?,
            needs: vec![Need::Of(name, deed)],
            repeats: Repeats::Twice,
            ..Request::new(Method::PATCH, target)
        })
    }

    fn read(&self, outbound: &Outbound) -> Result<Request, SendError> {
        let (target, name, condition) = self.target(outbound)?;
        let deed = if condition.is_some() { Deed::Search(self.searched()) } else { Deed::Read };
        let query = condition.unwrap_or_default();
        let needs = vec![Need::Of(name, deed)];
        Ok(Request { query, needs, answers: Answers::Found, ..Request::new(Method::GET, target) })
    }

    /// What `target` became, its type, and the condition.
    fn target(&self, outbound: &Outbound) -> Result<(String, String, Option<String>), SendError> {
        let written = self.target.as_ref().map_or("", |target| &target.0);
        let target = outbound.text("target", written);
        let (name, id) = target.split_once('/').map_or((target, None), |(name, id)| (name, Some(id)));
        if !is_type(name) || id.is_some_and(|id| !is_id(id)) {
            return Err(refused("`target` became no resource such as `Patient/42`"));
        }
        let condition = self.condition(outbound)?;
        if condition.is_none() && id.is_none() {
            return Err(refused("`target` became a type alone, and there is no `condition`"));
        }
        Ok((target.to_owned(), name.to_owned(), condition))
    }

    /// The query that `condition` became; a parameter without a value would fit any resource.
    fn condition(&self, outbound: &Outbound) -> Result<Option<String>, SendError> {
        if self.condition.is_empty() {
            return Ok(None);
        }
        let mut query = Serializer::new(String::new());
        for (name, text) in &self.condition {
            let value = outbound.text(&format!("condition.{name}"), &text.0).trim();
            if value.is_empty() || value.ends_with('|') {
                return Err(refused(format!(
                    "the condition `{name}` has no value: it would fit any resource"
                )));
            }
            query.append_pair(name, value);
        }
        Ok(Some(query.finish()))
    }

    /// The search parameters of the condition.
    pub(super) fn searched(&self) -> Vec<String> {
        self.condition.keys().map(|name| plain(name)).filter(|name| is_searched(name)).collect()
    }
}

impl Request {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: String::new(),
            unless: None,
            content_type: FHIR,
            body: Bytes::new(),
            answers: Answers::Resource,
            needs: Vec::new(),
            repeats: Repeats::Harmless,
            follows: Vec::new(),
        }
    }
}

fn update(name: &str, id: &str, outbound: &Outbound) -> Result<Request, SendError> {
    if !is_id(id) {
        return Err(refused(format!(
            "the `id` of the {name} is none of FHIR: 1 to 64 of A-Z, a-z, 0-9, `-`, `.`"
        )));
    }
    let needs = vec![Need::Of(name.to_owned(), Deed::Update)];
    let body = outbound.body.whole()?;
    Ok(Request { body, needs, ..Request::new(Method::PUT, format!("{name}/{id}")) })
}

/// The condition by which a resource with an identifier of its own is found.
fn identifier(resource: &Map<String, Value>) -> Option<String> {
    let name = resource.get("resourceType").and_then(Value::as_str)?;
    let all = resource.get("identifier")?;
    let part = |identifier: &Value, part: &str| {
        identifier[part].as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let both = |identifier: &Value| Some((part(identifier, "system")?, part(identifier, "value")?));
    let (system, value) = match all {
        Value::Array(all) => all.iter().find_map(both)?,
        one if super::mark::parameter(name) == "_tag" => both(one)?,
        _ => return None,
    };
    // What separates values in a search is no part of this one.
    let escaped =
        |text: &str| text.replace('\\', "\\\\").replace(',', "\\,").replace('$', "\\$").replace('|', "\\|");
    let mut query = Serializer::new(String::new());
    query.append_pair("identifier", &format!("{}|{}", escaped(&system), escaped(&value)));
    Some(query.finish())
}

fn parse(body: &[u8]) -> Result<Value, SendError> {
    if body.trim_ascii_start().starts_with(b"<") {
        return Err(refused("the payload is XML: resources are sent as JSON"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        refused(format!("the payload is no resource: it is no JSON from line {line}, column {column} on"))
    })
}

/// The type of a resource.
pub(super) fn type_of(resource: &Map<String, Value>) -> Result<String, SendError> {
    let name = resource.get("resourceType").and_then(Value::as_str);
    let name = name.ok_or_else(|| refused("the payload is no resource: it has no `resourceType`"))?;
    if is_type(name) {
        Ok(name.to_owned())
    } else {
        Err(refused("the payload is no resource: its `resourceType` is no type of FHIR"))
    }
}

pub(super) fn is_type(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|letter: char| letter.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

pub(super) fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && id.bytes().any(|byte| byte != b'.')
}

pub(super) fn refused(why: impl Into<String>) -> SendError {
    SendError::refused(why)
}
