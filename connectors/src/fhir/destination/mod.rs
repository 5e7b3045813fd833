//! Stores each message on a FHIR server, or has the server carry it out, so that a second try makes no second resource.

mod answer;
mod bundle;
mod mark;
mod merged;
mod request;
mod send;

use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;
use engine::{Checks, Destination, DestinationSettings, Doubt, OpenError, Opening};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::{merged::Merged, send::Sender};
use super::{
    capability::{Asked, Deed, Need},
    server::Server,
};
use crate::{
    Examine,
    setting::{Period, Size},
    tls::Tls,
    web::{
        Access, Auth, Proxy, TRY,
        headers::{self, Text},
        place::has_expression,
    },
};

/// Sends each message to a FHIR R4 server: a Bundle of type transaction or batch goes to the base, a message to
/// `$process-message`, any other resource is stored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "base": "https://record.example.org/fhir" }))]
pub(in crate::fhir) struct Settings {
    /// The server's base. No part of it is made of the message.
    #[schemars(extend("pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#@]+(/[^?#\\s]*)?$", "examples" = ["https://record.example.org/fhir"]))]
    base: String,

    /// What is done with a resource. `store`: carried out where it is a transaction, a batch or a message; else updated by
    /// `condition`, by its own id or by its first identifier, and created where it has none of them. `create`: created, unless
    /// one fits `condition` or came of the same delivery before. `update`: updated by `condition`, else by its id, and refused
    /// where there is neither. `patch`: the payload (a JSON Patch, or Parameters) changes `target`. `read`:
    /// `target` is read, or searched for by `condition`; the payload does not leave, and what is found is the answer.
    #[serde(default)]
    interaction: Interaction,

    /// Search parameters by which the resource is found that is updated or patched, or that keeps another one from being
    /// created: `identifier: 'urn:oid:1.2.3|${msg["PID-3.1"]}'`. One without a value is refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<String, Text>,

    /// What is patched or read: `Patient/${…}`, or a type alone, with `condition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text", example = &"Patient")]
    target: Option<Text>,

    /// Types that the channel sends. What the server must be able to do with them is asked of it at the start, and by
    /// `relais check --connect`; of the others when the first one comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!(["Patient", "Observation"]))]
    resources: Vec<String>,

    /// Whether the server must say in its CapabilityStatement that it can do what is asked of it. `ignored` is for servers
    /// whose statement leaves things out: one that passes over a condition then makes a resource twice.
    #[serde(default)]
    capabilities: Asked,

    /// The system of the identifiers and tags by which a second try finds what the first one made.
    #[serde(default = "mark_system")]
    #[schemars(extend("pattern" = "^[A-Za-z][A-Za-z0-9+.-]*:[^\\s|,$]+$"))]
    mark_system: String,

    /// What becomes of an entry of a bundle about a patient whom the server has merged into another one (a `link` of type
    /// `replaced-by`). `follow`: the server is asked first, the entry is left out, and the others refer to the patient that
    /// stands. `leave`: it goes as it is. What says itself whether the number is in use (`active`, `link`) always does.
    #[serde(default)]
    merged: Merged,

    /// What the server is asked to answer with: `minimal`, or the `representation` of what it stored.
    #[serde(default)]
    returns: Returns,

    /// Headers by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, Text>,

    /// Who we are to the server. A client's certificate stands under `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    auth: Option<Auth>,

    /// How long one attempt may take, from connecting to the end of the answer.
    #[serde(default = "timeout")]
    timeout: Period,

    /// How long connecting may take, TLS included.
    #[serde(default = "connect_timeout")]
    connect_timeout: Period,

    /// The longest answer taken, unpacked. Of a longer one the beginning is kept.
    #[serde(default = "max_size")]
    max_size: Size,

    /// TLS, where the base begins with `https://`: `authorities` to trust (the system's by default) and, where the server
    /// asks for it, `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,

    /// A proxy between us and the server. Without one none is used, whatever the environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Proxy")]
    proxy: Option<Proxy>,

    /// A connection that was not used for so long is closed and opened anew.
    #[serde(default = "idle")]
    idle: Period,

    /// How long a connection is quiet before TCP asks whether the server is still there.
    #[serde(default = "keep_alive")]
    keep_alive: Period,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Interaction {
    #[default]
    Store,
    Create,
    Update,
    Patch,
    Read,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Returns {
    #[default]
    Minimal,
    Representation,
}

fn mark_system() -> String {
    "urn:relais:effect".to_owned()
}

fn timeout() -> Period {
    Period::seconds(30)
}

fn connect_timeout() -> Period {
    Period::seconds(10)
}

fn max_size() -> Size {
    Size(16_000_000)
}

fn idle() -> Period {
    Period::seconds(30)
}

fn keep_alive() -> Period {
    Period::seconds(60)
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        self.access().examine(root, checks);
    }
}

#[async_trait]
impl DestinationSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        self.access().check(checks);
        headers::check(headers::names(&self.headers), self.auth.as_ref(), checks);
        if has_expression(&self.base) {
            checks.error(
                "wrong-value",
                "base",
                "is not made of a message: what is sent names its place itself",
            );
        }
        match (self.interaction, &self.target) {
            (Interaction::Patch | Interaction::Read, None) => {
                checks.error("missing-field", "target", "`patch` and `read` need to know which resource");
            }
            (Interaction::Patch | Interaction::Read, Some(target)) => self.check_target(&target.0, checks),
            (_, Some(_)) => {
                checks.error(
                    "unused-field",
                    "target",
                    "only means something with `interaction: patch` or `read`",
                );
            }
            (_, None) => {}
        }
        for (place, name) in self.resources.iter().enumerate() {
            if !request::is_type(name) {
                let why = format!("`{name}` is no type of resource such as `Patient`");
                checks.error("wrong-value", &format!("resources.{place}"), why);
            }
        }
    }

    /// Second tries find what the first made; a patch is a second change.
    fn doubt(&self) -> Doubt {
        if self.interaction == Interaction::Patch { Doubt::Hold } else { Doubt::Resend }
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(self.sender(opening, None).await?))
    }

    /// Connects, and reads what the server says it can do.
    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        self.sender(opening, Some(Instant::now() + TRY)).await.map(drop)
    }
}

impl Settings {
    fn check_target(&self, target: &str, checks: &mut Checks<'_>) {
        let is_type = !target.contains('/');
        if is_type && self.condition.is_empty() && !has_expression(target) {
            checks.error("missing-field", "condition", "a type alone does not say which resource");
        }
        if !is_type && !self.condition.is_empty() {
            let why = "a `target` with an id is found without a condition";
            checks.error("conflicting-fields", "condition", why);
        }
    }

    fn access(&self) -> Access<'_> {
        Access {
            url: ("base", &self.base),
            auth: self.auth.as_ref(),
            tls: self.tls.as_ref(),
            proxy: self.proxy.as_ref(),
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            idle: self.idle,
            keep_alive: self.keep_alive,
        }
    }

    async fn sender(&self, opening: &Opening, until: Option<Instant>) -> Result<Sender, OpenError> {
        let failed = |why: String| OpenError::new(format!("cannot send to the FHIR server: {why}"));
        let client = self.access().client(&opening.root, self.max_size.0).map_err(failed)?;
        let client = client.shown(&opening.connections);
        Sender::open(self.clone(), Server::new(client, &self.base), until).await.map_err(failed)
    }

    /// What the server must be able to do, as far as that is known before any message.
    fn needs(&self) -> Vec<Need> {
        let by: Vec<String> = self.condition.keys().map(|name| plain(name)).collect();
        let deeds = |name: &String| match self.interaction {
            Interaction::Patch | Interaction::Read => Vec::new(),
            Interaction::Update if by.is_empty() => vec![Deed::Update],
            Interaction::Store if by.is_empty() => {
                vec![Deed::Update, Deed::CreateWhere(vec![mark::parameter(name).to_owned()])]
            }
            Interaction::Create if by.is_empty() => {
                vec![Deed::CreateWhere(vec![mark::parameter(name).to_owned()])]
            }
            Interaction::Create => vec![Deed::CreateWhere(by.clone())],
            Interaction::Store | Interaction::Update => vec![Deed::ChangeWhere(by.clone())],
        };
        let listed = self
            .resources
            .iter()
            .flat_map(|name| deeds(name).into_iter().map(|deed| Need::Of(name.clone(), deed)));
        listed.chain(self.of_target()).collect()
    }

    fn of_target(&self) -> Option<Need> {
        let target = self.target.as_ref()?;
        let name = target.0.split('/').next().filter(|name| request::is_type(name))?;
        let deed = match self.interaction {
            Interaction::Patch => Deed::Patch,
            Interaction::Read if target.0.contains('/') => Deed::Read,
            Interaction::Read => Deed::Search(self.searched()),
            Interaction::Store | Interaction::Create | Interaction::Update => return None,
        };
        Some(Need::Of(name.to_owned(), deed))
    }
}

/// A search parameter without its modifier and its chain.
fn plain(name: &str) -> String {
    name.split([':', '.']).next().unwrap_or_default().to_owned()
}
