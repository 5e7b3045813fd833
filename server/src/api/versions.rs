//! The versions of a channel: when each came into force and by whom, and what it said.

use std::sync::Arc;

use axum::{Json, extract::State};
use engine::History as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, asked::Path, channels::unknown, problem::Problem};

type Shared = State<Arc<Context>>;

/// A version that is or was in force.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VersionStatus {
    version: String,
    /// Since when: RFC 3339, UTC.
    at: String,
    /// Whoever deployed it; none where the files were found changed, or at a start.
    by: Option<String>,
    /// Whether it is the one that runs.
    in_force: bool,
}

/// What a version said: the file with every script and table that it uses.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VersionText {
    version: String,
    text: String,
}

/// The newest first.
pub(super) async fn list(
    State(context): Shared,
    Path(name): Path<String>,
) -> Result<Json<Vec<VersionStatus>>, Problem> {
    let member = context.fleet.member(&name).ok_or_else(|| unknown(&name))?;
    let runs = member.running().is_some().then(|| member.version.to_string());
    let mut all: Vec<_> = context
        .fleet
        .versions
        .of(&name)
        .into_iter()
        .map(|one| VersionStatus { version: one.hash, at: one.at.to_string(), by: one.by, in_force: false })
        .collect();
    if let Some(newest) = all.first_mut() {
        newest.in_force = Some(&newest.version) == runs.as_ref();
    }
    Ok(Json(all))
}

/// Of this channel's versions alone: a hash opens no other's.
pub(super) async fn show(
    State(context): Shared,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<VersionText>, Problem> {
    context.fleet.member(&name).ok_or_else(|| unknown(&name))?;
    let missing = || Problem::missing(format!("there is no version {version} of {name}"));
    if !context.fleet.versions.of(&name).iter().any(|one| one.hash == version) {
        return Err(missing());
    }
    let text = context.fleet.store.version(&version).await?.ok_or_else(missing)?;
    Ok(Json(VersionText { version, text }))
}
