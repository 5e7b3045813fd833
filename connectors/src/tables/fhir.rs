//! A FHIR terminology server as a table: one code in, what the server says of it out.

use std::{collections::BTreeMap, path::Path, time::Duration};

use async_trait::async_trait;
use engine::{Checks, LookupError, SendError};
use hyper::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::{Holder, Misses, Row, Shape, not_now, timeout, wrong};
use crate::{
    fhir::{FHIR, Server},
    setting::Period,
    tls::Tls,
    web::{
        Access, AnswerBody, Auth, Client, Draft, Payload, Proxy,
        meaning::{self, Asked, Statuses},
        place::has_expression,
    },
};

/// The longest answer.
const LONGEST: usize = 4_000_000;

/// What translates a code well, the best first.
const RELATIONS: [&str; 8] =
    ["equal", "equivalent", "wider", "subsumes", "narrower", "specializes", "inexact", "relatedto"];

/// Asks a FHIR R4 terminology server by `code`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The server's base.
    #[schemars(extend("pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#@]+(/[^?#\\s]*)?$", "examples" = ["https://terms.example.org/fhir"]))]
    base: String,

    /// What is asked. `translate`: `target`, `target_system`, `display` and `equivalence` of the code in another system.
    /// `lookup`: `display`, `name`, `version` and each property of the code. `validate`: whether it is `valid` (`true` or
    /// `false`), and its `display`.
    operation: Operation,

    /// The code system of what is asked: its URI.
    system: String,

    /// The ConceptMap that translates: its canonical URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    map: Option<String>,

    /// The code system that is translated into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,

    /// The ValueSet that a code is valid in: its canonical URL. Without it the code system itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_set: Option<String>,

    /// Who we are to the server. A client's certificate stands under `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    auth: Option<Auth>,

    /// How long one answer may take. The message waits.
    #[serde(default = "timeout")]
    timeout: Period,

    /// TLS, where the base begins with `https://`: `authorities` to trust (the system's by default) and, where the server
    /// asks for it, `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,

    /// A proxy between us and the server. Without one none is used, whatever the environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Proxy")]
    proxy: Option<Proxy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Operation {
    Translate,
    Lookup,
    Validate,
}

impl Settings {
    pub(super) fn check(&self, root: &Path, checks: &mut Checks<'_>) {
        let mut checks = checks.within("fhir");
        self.access().check(&mut checks);
        self.access().examine(root, &mut checks);
        if has_expression(&self.base) {
            checks.error("wrong-value", "base", "is not made of a message");
        }
        let mut unused = |name: &str, given: bool, operation: &str| {
            if given {
                let why = format!("only means something with `operation: {operation}`");
                checks.error("unused-field", name, why);
            }
        };
        unused("map", self.map.is_some() && self.operation != Operation::Translate, "translate");
        unused("target", self.target.is_some() && self.operation != Operation::Translate, "translate");
        unused("value_set", self.value_set.is_some() && self.operation != Operation::Validate, "validate");
        if self.operation == Operation::Translate && self.map.is_none() && self.target.is_none() {
            checks.error("missing-field", "", "`translate` needs a `map`, or a `target` system");
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout.0
    }

    pub(super) fn shape(&self) -> Shape {
        let columns: Option<&[&str]> = match self.operation {
            Operation::Translate => Some(&["target", "target_system", "display", "equivalence"]),
            Operation::Validate => Some(&["valid", "display"]),
            Operation::Lookup => None,
        };
        let columns = columns.map(|columns| columns.iter().map(ToString::to_string).collect());
        let of = [&self.map, &self.value_set, &self.target].into_iter().flatten().next();
        let source = of.unwrap_or(&self.system).clone();
        Shape { keys: vec!["code".to_owned()], columns, source, misses: Misses::AreEmpty }
    }

    fn access(&self) -> Access<'_> {
        Access {
            url: ("base", &self.base),
            auth: self.auth.as_ref(),
            tls: self.tls.as_ref(),
            proxy: self.proxy.as_ref(),
            timeout: self.timeout,
            connect_timeout: self.timeout,
            idle: Period::seconds(30),
            keep_alive: Period::seconds(60),
        }
    }

    pub(super) fn holder(self, root: &Path) -> Result<Terms, String> {
        let server = Server::new(self.access().client(root, LONGEST)?, &self.base);
        Ok(Terms { settings: self, server })
    }

    /// Path and query for one code.
    fn request(&self, code: &str) -> (&'static str, String) {
        let mut query = Serializer::new(String::new());
        let path = match (self.operation, &self.value_set) {
            (Operation::Translate, _) => "ConceptMap/$translate",
            (Operation::Lookup, _) => "CodeSystem/$lookup",
            (Operation::Validate, Some(_)) => "ValueSet/$validate-code",
            (Operation::Validate, None) => "CodeSystem/$validate-code",
        };
        let is_of_system = path == "CodeSystem/$validate-code";
        query
            .append_pair(if is_of_system { "url" } else { "system" }, &self.system)
            .append_pair("code", code);
        let more = [("url", &self.map), ("targetsystem", &self.target), ("url", &self.value_set)];
        for (name, value) in more {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        (path, query.finish())
    }

    /// What the server's Parameters say.
    fn row(&self, said: &Value) -> Option<Row> {
        let parameters = || said["parameter"].as_array().into_iter().flatten();
        let named = |name: &str| parameters().find(|one| one["name"] == name).and_then(value);
        match self.operation {
            Operation::Translate => translated(parameters()),
            Operation::Validate => {
                let row = [("valid", named("result")), ("display", named("display"))];
                Some(row.map(|(name, value)| (name.to_owned(), value)).into())
            }
            Operation::Lookup => {
                let mut row: Row =
                    ["display", "name", "version"].map(|name| (name.to_owned(), named(name))).into();
                for property in parameters().filter(|one| one["name"] == "property") {
                    if let Some(name) = part(property, "code").and_then(value) {
                        row.insert(name, part(property, "value").and_then(value));
                    }
                }
                Some(row)
            }
        }
    }
}

/// The best of what a code was translated to.
fn translated<'a>(parameters: impl Iterator<Item = &'a Value>) -> Option<Row> {
    let matches = parameters.filter(|one| one["name"] == "match").filter_map(|one| {
        let relation = part(one, "equivalence").and_then(value).unwrap_or_else(|| "relatedto".to_owned());
        let rank = RELATIONS.iter().position(|known| *known == relation)?;
        let concept = &part(one, "concept")?["valueCoding"];
        let text = |name: &str| concept[name].as_str().map(str::to_owned);
        let row = [
            ("target", text("code")),
            ("target_system", text("system")),
            ("display", text("display")),
            ("equivalence", Some(relation)),
        ];
        Some((
            rank,
            row.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>(),
        ))
    });
    matches.min_by_key(|(rank, _)| *rank).map(|(_, row)| row)
}

fn part<'a>(parameter: &'a Value, name: &str) -> Option<&'a Value> {
    parameter["part"].as_array()?.iter().find(|part| part["name"] == name)
}

/// Whatever stands under `value…`, as text; of a Coding its code.
fn value(parameter: &Value) -> Option<String> {
    let (_, value) = parameter.as_object()?.iter().find(|(name, _)| name.starts_with("value"))?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(coding) => coding.get("code")?.as_str().map(str::to_owned),
        Value::Null | Value::Array(_) => None,
        other => Some(other.to_string()),
    }
}

/// A terminology server that is asked.
pub(super) struct Terms {
    settings: Settings,
    server: Server,
}

#[async_trait]
impl Holder for Terms {
    async fn row(&self, keys: &[(String, String)]) -> Result<Option<Row>, LookupError> {
        let code = keys.first().map_or("", |(_, code)| code.as_str());
        if code.is_empty() {
            return Ok(None);
        }
        let (path, query) = self.settings.request(code);
        let target = self.server.target(path, &query).map_err(wrong)?;
        let draft =
            Draft { method: Method::GET, target, headers: Client::headers(FHIR), body: Payload::default() };
        let deadline = self.server.client.deadline();
        let answer = self.server.client.ask(draft, &[Statuses::SUCCESS], deadline).await;
        let answer = answer.map_err(|error| not_now(meaning::plain(&error)))?;
        let status = answer.status.as_u16();
        let said: Value = match &answer.body {
            AnswerBody::Whole(body) => serde_json::from_slice(body).unwrap_or_default(),
            AnswerBody::Long(_) | AnswerBody::Cut(_) => Value::Null,
        };
        // A server that does not know a code says so in its own words; one that is not there has none.
        let is_outcome = said["resourceType"] == "OperationOutcome";
        if [400, 404, 422].contains(&status) && is_outcome && tells_unknown_code(&said, status) {
            return Ok(None);
        }
        match meaning::judge(answer, &[Statuses::SUCCESS], Asked::OfAll) {
            Ok(_) if said["resourceType"] == "Parameters" => Ok(self.settings.row(&said)),
            Ok(_) => Err(not_now("what the server answers is no Parameters")),
            Err(SendError::Refused { why, .. }) => Err(wrong(why)),
            // Its own fault with this code may last as long as the code is asked.
            Err(SendError::Unknown { why, .. }) if status == 500 => Err(wrong(why)),
            Err(error) => Err(not_now(meaning::plain(&error))),
        }
    }

    async fn reach(&self) -> Result<(), String> {
        self.server.statement(self.server.client.deadline()).await.map(drop)
    }
}

fn tells_unknown_code(outcome: &Value, status: u16) -> bool {
    let mut issues = outcome["issue"].as_array().into_iter().flatten();
    issues.any(|issue| match issue["code"].as_str() {
        Some("not-found" | "code-invalid") => true,
        Some("unknown") => status == 404,
        _ => false,
    })
}
