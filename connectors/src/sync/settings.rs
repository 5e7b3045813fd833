//! The settings of a source that keeps itself in step with a server.

use std::path::Path;

use engine::Checks;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::form_urlencoded;

use super::{
    plan::{Inactive, Outside, Plan, Rejects, Removal},
    run::signed,
    schedule::Times,
};
use crate::{
    secret::Secret,
    setting::{Period, Size},
    tls::Tls,
    web::{Access, Auth, Proxy},
};

/// Where the Annuaire is.
const ANNUAIRE: &str = "https://gateway.api.esante.gouv.fr/fhir/v2";

/// Its types, those that others refer to before those that refer.
pub(super) const TYPES: [&str; 5] =
    ["Organization", "Practitioner", "HealthcareService", "Device", "PractitionerRole"];

/// What a filter cannot hold, and why.
const REFUSED: [(&str, &str); 10] = [
    ("active", "a filter by `active` hides what becomes inactive: filter in a step"),
    ("_lastUpdated", "what has changed is asked for by itself"),
    ("_count", "the length of a page stands under `page`"),
    ("_total", "stands under `total`"),
    ("_sort", "the order of a page means nothing here"),
    ("_include", "each type is a sync of its own: name it in `resources`"),
    ("_revinclude", "each type is a sync of its own: name it in `resources`"),
    ("_elements", "resources are taken whole"),
    ("_summary", "resources are taken whole"),
    ("_since", "what has changed is asked for by itself"),
];

/// Keeps resources in step with the French Annuaire Santé: everything at first, then what has changed, and what is gone.
/// Each change leaves as a message; what has not changed leaves nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Annuaire(pub(super) Settings);

/// Keeps resources in step with any FHIR R4 server that can be searched by `_lastUpdated`: everything at first, then what
/// has changed, and what is gone. Each change leaves as a message; what has not changed leaves nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct FhirSync(pub(super) Settings);

/// What both have.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The server's base, with its version.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#@]+(/[^?#\\s]*)?$", "examples" = [ANNUAIRE]))]
    pub(super) base: String,

    /// The key of the API, sent as `ESANTE-API-KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Secret")]
    pub(super) key: Option<Secret>,

    /// The types, each a sync of its own; one may be narrowed by parameters of the server (`Organization?type=GEOGRAPHICAL-ENTITY`).
    #[serde(default)]
    #[schemars(inner(regex(pattern = "^[A-Z][A-Za-z]+(\\?[^\\s#]+)?$")), extend("minItems" = 1, "examples" = [["Practitioner", "PractitionerRole"]]))]
    pub(super) resources: Vec<String>,

    /// The pause between the end of a run and the next one. The first begins at the start.
    #[serde(default = "hour")]
    pub(super) every: Period,

    /// In place of `every`: when runs begin, as cron writes it: minute, hour, day, month, day of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("examples" = ["30 2 * * *"]))]
    pub(super) at: Option<String>,

    /// The zone of `at`; the machine's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("examples" = ["Europe/Paris"]))]
    pub(super) zone: Option<String>,

    /// How often calls are made at most (`17/s`, `1000/m`), by all channels with one key together; `none`: as fast as answers come.
    #[serde(default)]
    pub(super) rate: Rate,

    /// How many resources the server is asked to put on a page.
    #[serde(default = "page")]
    #[schemars(range(min = 1, max = 10000))]
    pub(super) page: u32,

    /// How far each run looks back beyond the one before: more than the server takes to show what it has stamped.
    #[serde(default = "two_days")]
    pub(super) overlap: Period,

    /// For so long the server keeps what has changed: after a longer gap everything is asked for.
    #[serde(default = "month")]
    pub(super) window: Period,

    /// Everything is asked for again so often, and what is gone is found.
    #[serde(default = "month")]
    pub(super) full_every: Period,

    /// A whole pass goes by pieces of so much time of change, the oldest first (`30d`), in place of one long search: for a
    /// server whose links die before the end. It must know `lt` on `_lastUpdated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period", extend("examples" = ["30d"]))]
    pub(super) slice: Option<Period>,

    /// Whether a whole pass asks for the number of resources, to show how far it is.
    #[serde(default = "yes")]
    pub(super) total: bool,

    /// What is kept of a resource that its server calls inactive and tells no more of.
    #[serde(default)]
    pub(super) inactive: Inactive,

    /// What becomes of a resource that the server has no more.
    #[serde(default)]
    pub(super) removed: Removal,

    /// What becomes of a resource that the server has, and a filter finds no more.
    #[serde(default)]
    pub(super) outside: Outside,

    /// Whether later runs go on behind entries that cannot be used. Each is kept as a refused message and asked for again by its id at
    /// the end of each run, in either case.
    #[serde(default)]
    pub(super) unusable: Rejects,

    /// So many of a hundred may be gone at once; where more are, somebody must look first.
    #[serde(default = "five")]
    #[schemars(range(min = 0, max = 100))]
    pub(super) most_removed: u32,

    /// How long one page of a whole pass is asked for again where the server does not answer well.
    #[serde(default = "six_hours")]
    pub(super) full_patience: Period,

    /// How long one page of the changes is.
    #[serde(default = "half_an_hour")]
    pub(super) patience: Period,

    /// Other hosts under which the server writes links to its own pages. They are asked at `base` all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["gateway.preprod.api.esante.gouv.fr"]]))]
    pub(super) also_known_as: Vec<String>,

    /// Who we are to the server, where it takes no `key`. A client's certificate stands under `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    pub(super) auth: Option<Auth>,

    /// How long one page may take, from connecting to its end.
    #[serde(default = "minute")]
    pub(super) timeout: Period,

    /// How long connecting may take, TLS included.
    #[serde(default = "ten_seconds")]
    pub(super) connect_timeout: Period,

    /// The longest page taken, unpacked.
    #[serde(default = "max_size")]
    pub(super) max_size: Size,

    /// TLS, where the base begins with `https://`: `authorities` to trust (the system's by default) and, where the server
    /// asks for it, `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    pub(super) tls: Option<Tls>,

    /// A proxy between us and the server. Without one none is used, whatever the environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Proxy")]
    pub(super) proxy: Option<Proxy>,
}

/// So many calls in so long, or as many as come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, extend("pattern" = "^(none|[1-9][0-9]{0,5}/[smh])$", "examples" = ["17/s", "1000/m", "none"]))]
pub(super) struct Rate(Option<(u32, char)>);

impl Default for Rate {
    fn default() -> Self {
        Self(Some((17, 's')))
    }
}

impl Rate {
    /// The time between two calls.
    pub(super) fn spacing(self) -> std::time::Duration {
        let Some((calls, unit)) = self.0 else { return std::time::Duration::ZERO };
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            _ => 3600,
        };
        std::time::Duration::from_secs(seconds) / calls
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a rate such as `17/s` or `none`");
        if text == "none" {
            return Ok(Self(None));
        }
        let (calls, unit) = text.split_once('/').ok_or_else(wrong)?;
        let calls = calls.parse().ok().filter(|calls| *calls > 0).ok_or_else(wrong)?;
        let unit = ['s', 'm', 'h'].into_iter().find(|known| unit == known.to_string()).ok_or_else(wrong)?;
        Ok(Self(Some((calls, unit))))
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.0.map_or_else(|| "none".to_owned(), |(calls, unit)| format!("{calls}/{unit}"))
    }
}

impl Annuaire {
    /// With what the Annuaire's own are.
    pub(super) fn whole(&self) -> Settings {
        let mut settings = self.0.clone();
        if settings.base.is_empty() {
            ANNUAIRE.clone_into(&mut settings.base);
        }
        if settings.resources.is_empty() {
            settings.resources = TYPES.map(str::to_owned).to_vec();
        }
        if let Some(key) = &settings.key {
            settings.auth = Some(Auth::key("ESANTE-API-KEY", key.clone()));
        }
        settings
    }
}

impl Settings {
    pub(super) fn access(&self) -> Access<'_> {
        Access {
            url: ("base", &self.base),
            auth: self.auth.as_ref(),
            tls: self.tls.as_ref(),
            proxy: self.proxy.as_ref(),
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            idle: Period::seconds(30),
            keep_alive: Period::seconds(60),
        }
    }

    /// `only`: the types that the server has, where they are known.
    pub(super) fn check(&self, only: &[&str], checks: &mut Checks<'_>) {
        self.access().check(checks);
        for (place, resource) in self.resources.iter().enumerate() {
            let at = format!("resources.{place}");
            let (kind, filter) = split(resource);
            if !only.is_empty() && !only.contains(&kind) {
                let known: Vec<_> = only.iter().map(|kind| format!("`{kind}`")).collect();
                let message = format!("there is no `{kind}` there; known: {}", known.join(", "));
                checks.error("wrong-value", &at, message);
            }
            if self.resources[..place].iter().any(|other| split(other).0 == kind) {
                checks.error("wrong-value", &at, format!("`{kind}` is named twice: a type is one sync"));
            }
            for (name, _) in form_urlencoded::parse(filter.as_bytes()) {
                let plain = name.split(':').next().unwrap_or_default();
                if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == plain) {
                    checks.error("wrong-value", &at, format!("holds `{name}`: {why}"));
                }
            }
        }
        if self.every.0.is_zero() && self.at.is_none() {
            checks.error("period-too-short", "every", "the server would be asked without a pause");
        }
        if self.slice.is_some_and(|slice| slice.0 < std::time::Duration::from_secs(1)) {
            checks.error("period-too-short", "slice", "is shorter than a second");
        }
        if self.window.0 <= self.overlap.0 {
            checks.error(
                "period-too-short",
                "window",
                "is no longer than `overlap`: each run would ask for everything",
            );
        }
        if let Some(Err(why)) = self.at.as_ref().map(|at| at.parse::<Times>()) {
            checks.error("wrong-value", "at", why);
        }
        match &self.zone {
            Some(zone) if jiff::tz::TimeZone::get(zone).is_err() => {
                checks.error("wrong-value", "zone", format!("there is no time zone `{zone}`"));
            }
            Some(_) if self.at.is_none() => {
                checks.error("unused-field", "zone", "only means something with `at`");
            }
            _ => {}
        }
    }

    pub(super) fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        self.access().examine(root, checks);
    }

    /// A plan for each type.
    pub(super) fn plans(&self) -> Vec<Plan> {
        self.resources.iter().map(|resource| self.plan(resource)).collect()
    }

    fn plan(&self, resource: &str) -> Plan {
        let (kind, filter) = split(resource);
        Plan {
            base: self.base.trim_end_matches('/').to_owned(),
            also_known_as: self.also_known_as.clone(),
            kind: kind.to_owned(),
            filter: filter.to_owned(),
            page: self.page,
            overlap: signed(self.overlap.0),
            window: signed(self.window.0),
            full_every: signed(self.full_every.0),
            slice: self.slice.map(|slice| signed(slice.0)),
            full_patience: self.full_patience.0,
            delta_patience: self.patience.0,
            total: self.total,
            inactive: self.inactive,
            removal: self.removed,
            outside: self.outside,
            unusable: self.unusable,
            most_removed: self.most_removed,
        }
    }
}

fn split(resource: &str) -> (&str, &str) {
    resource.split_once('?').unwrap_or((resource, ""))
}

impl JsonSchema for Annuaire {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Annuaire".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Settings::json_schema(generator);
        described(
            &mut schema,
            "Keeps resources in step with the French Annuaire Santé: everything at first, then what has changed, and what is gone. Each change leaves as a message; what has not changed leaves nothing.",
        );
        put(&mut schema, "/properties/base/default", ANNUAIRE.into());
        put(&mut schema, "/properties/resources/default", TYPES.as_slice().into());
        schema.insert("examples".into(), serde_json::json!([{ "key": "${file:secrets/esante}", "resources": ["Practitioner", "PractitionerRole"], "every": "1h" }]));
        schema
    }
}

impl JsonSchema for FhirSync {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FhirSync".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Settings::json_schema(generator);
        described(
            &mut schema,
            "Keeps resources in step with any FHIR R4 server that can be searched by `_lastUpdated`: everything at first, then what has changed, and what is gone. Each change leaves as a message; what has not changed leaves nothing.",
        );
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.shift_remove("key");
            for needed in ["base", "resources"] {
                if let Some(field) = properties.get_mut(needed).and_then(Value::as_object_mut) {
                    field.shift_remove("default");
                }
            }
        }
        schema.insert("required".into(), serde_json::json!(["base", "resources"]));
        schema.insert("examples".into(), serde_json::json!([{ "base": "https://record.example.org/fhir", "resources": ["Practitioner"], "rate": "none" }]));
        schema
    }
}

fn described(schema: &mut Schema, words: &str) {
    schema.insert("description".into(), words.into());
}

fn put(schema: &mut Schema, at: &str, value: Value) {
    let (above, name) = at.rsplit_once('/').expect("a place has a parent");
    if let Some(Value::Object(fields)) = schema.pointer_mut(above) {
        fields.insert(name.to_owned(), value);
    }
}

fn yes() -> bool {
    true
}

fn five() -> u32 {
    5
}

fn page() -> u32 {
    200
}

fn hour() -> Period {
    Period::seconds(3600)
}

fn two_days() -> Period {
    Period::seconds(2 * 86_400)
}

fn month() -> Period {
    Period::seconds(30 * 86_400)
}

fn six_hours() -> Period {
    Period::seconds(6 * 3600)
}

fn half_an_hour() -> Period {
    Period::seconds(1800)
}

fn minute() -> Period {
    Period::seconds(60)
}

fn ten_seconds() -> Period {
    Period::seconds(10)
}

fn max_size() -> Size {
    Size(64_000_000)
}
