//! The server itself: how it stands, and bringing edited files into force.

use std::sync::Arc;

use axum::{Json, extract::State};
use channels::{Colour, InForce};
use engine::{History as _, Store as _};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Context, Deployed, ServerStatus,
    answers::faults_json,
    asked::{Body, Query},
    problem::Problem,
    rights::require_seen,
};
use crate::{
    accounts::Caller,
    beside,
    fleet::{Changes, Deployment},
    in_force::line,
};

pub(super) async fn show(State(context): State<Arc<Context>>, caller: Caller) -> Json<ServerStatus> {
    let members = context.fleet.members();
    let is_seen = |file: &std::path::Path| {
        let mut seen = members.values().filter(|member| caller.sees.includes(&member.tags));
        seen.any(|member| member.file == file)
    };
    let mut faults = context.fleet.edit();
    faults.retain(|fault| caller.sees_everything() || is_seen(&fault.file));
    let root = &context.fleet.root;
    let seen = context.fleet.store.room();
    Json(ServerStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        project: root.canonicalize().unwrap_or_else(|_| root.clone()).display().to_string(),
        up_seconds: context.started.elapsed().as_secs_f64(),
        store_bytes: context.fleet.store.size(),
        store_free_bytes: seen.free,
        store_floor_bytes: seen.floor,
        store_budget_bytes: seen.budget,
        store_full_days: seen.full_days,
        store_trouble: context.fleet.store.trouble(),
        store_refuses: context.fleet.store.refuses(),
        edit_faults: faults_json(&faults),
    })
}

/// What the channels promise: what `relais check` compares the files with.
pub(super) async fn promises(State(context): State<Arc<Context>>) -> Result<Json<InForce>, Problem> {
    Ok(Json(context.fleet.promised().await?))
}

/// Where a backup goes, on this machine.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Into {
    dir: std::path::PathBuf,
}

pub(super) async fn backup(
    State(context): State<Arc<Context>>,
    Body(Into { dir }): Body<Into>,
) -> Result<Json<store::Saved>, Problem> {
    if !dir.is_absolute() {
        return Err(Problem::wrong("name the folder from the root: /backups/today"));
    }
    let saved = context
        .fleet
        .store
        .backup(&dir, beside::of(&context.directory))
        .await
        .map_err(|error| Problem::conflict(error.0))?;
    tracing::info!(dir = %dir.display(), files = saved.files, bytes = saved.bytes, "backed up the store");
    Ok(Json(saved))
}

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    channel: Option<String>,
}

pub(super) async fn deploy(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Json<Deployed>, Problem> {
    match &which.channel {
        _ if caller.sees_everything() => {}
        None => return Err(Problem::not_seen()),
        Some(channel) => require_seen(&context, &caller, channel)?,
    }
    let known_before = which.channel.as_ref().and_then(|name| context.fleet.member(name)).is_some();
    let deployed = match context.fleet.deploy(which.channel.as_deref(), Some(&caller.name)).await? {
        Deployment::InForce(changes) => in_force(&changes),
        Deployment::Refused(faults) => Deployed {
            in_force: false,
            changes: Vec::new(),
            losses: Vec::new(),
            wait_for_restart: Vec::new(),
            faults: faults.len() as u64,
            report: channels::render_text(&faults, Colour::Plain),
        },
    };
    match which.channel {
        Some(name) if !known_before && deployed.in_force && context.fleet.member(&name).is_none() => {
            Err(Problem::missing(format!("there is no channel `{name}`")))
        }
        _ => Ok(Json(deployed)),
    }
}

fn in_force(changes: &Changes) -> Deployed {
    Deployed {
        in_force: true,
        changes: changes.made.clone(),
        losses: changes.losses.iter().map(line).collect(),
        wait_for_restart: changes.wait_for_restart.iter().map(|name| (*name).to_owned()).collect(),
        faults: 0,
        report: String::new(),
    }
}
