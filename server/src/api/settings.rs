//! The settings of the server that are in force, whatever its file says by now.

use std::sync::Arc;

use axum::{Json, extract::State};
use channels::{LogFormat, Reload};
use schemars::JsonSchema;
use serde::Serialize;

use super::Context;

/// As they were at the start; a change in `relais.yaml` waits for a restart.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InForce {
    listen: String,
    allow_remote: bool,
    /// For times without an offset.
    zone: String,
    /// `on_change` or `on_command`.
    reload: &'static str,
    log_format: &'static str,
    log_level: &'static str,
    store: String,
    /// Whose variables were put in.
    environment: Option<String>,
}

pub(super) async fn show(State(context): State<Arc<Context>>) -> Json<InForce> {
    let (settings, environment) = context.fleet.settings();
    Json(InForce {
        listen: settings.listen.to_string(),
        allow_remote: settings.allow_remote,
        zone: settings.zone.iana_name().unwrap_or("UTC").to_owned(),
        reload: match settings.reload {
            Reload::OnChange => "on_change",
            Reload::OnCommand => "on_command",
        },
        log_format: match settings.log.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        },
        log_level: settings.log.level.name(),
        store: settings.store.path.display().to_string(),
        environment: environment.map(str::to_owned),
    })
}
