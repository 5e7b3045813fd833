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
    /// The certificate with which it listens; none: without TLS.
    tls_certificate: Option<String>,
    store: String,
    /// New messages are refused with more bytes than this in the folder.
    store_budget_bytes: Option<usize>,
    /// New messages are refused with fewer bytes free on its disk.
    store_floor_bytes: u64,
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
        tls_certificate: settings.tls.as_ref().map(|tls| tls.certificate.display().to_string()),
        store_budget_bytes: settings.store.budget.map(|budget| budget.0),
        store_floor_bytes: context.fleet.store.room().floor,
        store: settings.store.path.display().to_string(),
        environment: environment.map(str::to_owned),
    })
}
