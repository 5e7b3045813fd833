//! What one sync does, worked out of its settings.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::state::{Mode, Run};

/// One type of one source.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) base: String,
    /// Other hosts under which the server writes links to itself.
    pub(super) also_known_as: Vec<String>,
    /// `Practitioner`
    pub(super) kind: String,
    /// What narrows the type, as it stands in a query; empty: everything.
    pub(super) filter: String,
    pub(super) page: u32,
    pub(super) overlap: SignedDuration,
    /// For so long the server keeps what has changed.
    pub(super) window: SignedDuration,
    pub(super) full_every: SignedDuration,
    /// A whole pass goes by pieces of so much time; none: in one search.
    pub(super) slice: Option<SignedDuration>,
    pub(super) full_patience: Duration,
    pub(super) delta_patience: Duration,
    pub(super) total: bool,
    pub(super) inactive: Inactive,
    pub(super) removal: Removal,
    pub(super) outside: Outside,
    pub(super) unusable: Rejects,
    /// Of a hundred.
    pub(super) most_removed: u32,
}

/// What is kept of a resource that its server calls inactive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Inactive {
    /// The stub, as it comes; what it held before is among its versions.
    #[default]
    AsReceived,
    /// What it held last, and that it is not active.
    Merge,
}

/// What becomes of a resource that its server has no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Removal {
    /// It is removed; its versions stay.
    #[default]
    Tombstone,
    /// It stays, and is not active.
    Deactivate,
}

/// What becomes of a resource that its server still has, and the filter does not find any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Outside {
    /// It stays, as the server has it.
    #[default]
    Keep,
    /// It goes as if it were gone.
    Remove,
}

/// Whether what comes later waits for entries that cannot be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Rejects {
    /// The next run asks for what changed since this one began.
    #[default]
    GoOn,
    /// The next run asks once more for everything since the last run in which all could be used.
    Hold,
}

impl Plan {
    /// What makes its progress its own: another base or another filter begins with a whole pass.
    pub(super) fn origin(&self) -> String {
        format!("{}/{}?{}", self.base.trim_end_matches('/'), self.kind, self.filter)
    }

    /// How long one question is tried.
    pub(super) fn patience(&self, mode: Mode) -> Duration {
        match mode {
            Mode::Full => self.full_patience,
            Mode::Delta => self.delta_patience,
        }
    }

    /// The first page of a run: its path and its query.
    pub(super) fn first(&self, run: &Run) -> String {
        let filter = Some(self.filter.clone()).filter(|filter| !filter.is_empty());
        let from = run.from.map(|from| format!("_lastUpdated=ge{}", whole_second(from)));
        let until = run.slice.as_ref().and_then(|slice| slice.until);
        let until = until.map(|until| format!("_lastUpdated=lt{}", whole_second(until)));
        let count = format!("_count={}", run.count);
        // Of a piece it would say nothing of the whole.
        let is_counted = run.mode == Mode::Full && run.slice.is_none() && self.total;
        let total = is_counted.then(|| "_total=accurate".to_owned());
        let bounds = from.into_iter().chain(until);
        let query: Vec<String> = filter.into_iter().chain(bounds).chain([count]).chain(total).collect();
        format!("{}/{}?{}", self.path(), self.kind, query.join("&"))
    }

    /// One resource by its id.
    pub(super) fn one(&self, id: &str) -> String {
        format!("{}/{}/{id}", self.path(), self.kind)
    }

    fn path(&self) -> String {
        let path = url::Url::parse(&self.base).map(|base| base.path().to_owned()).unwrap_or_default();
        path.trim_end_matches('/').to_owned()
    }
}

/// With `Z`, since `+` would become a blank, and to the second.
fn whole_second(time: Timestamp) -> String {
    let second = Timestamp::from_second(time.as_second()).unwrap_or(time);
    form_urlencoded::byte_serialize(second.to_string().as_bytes()).collect()
}

/// A resource as it is when it is not active any more.
pub(super) fn inactive(body: &[u8]) -> Option<Value> {
    let mut resource: Value = serde_json::from_slice(body).ok()?;
    match resource["resourceType"].as_str()? {
        "Device" => resource["status"] = "inactive".into(),
        _ => resource["active"] = false.into(),
    }
    Some(resource)
}
