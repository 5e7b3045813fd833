//! Probes and metrics: open to all, no data in them.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::History as _;

use store::Room;

use super::{Context, syncs};
use crate::{fleet::Member, metrics::Stored};

pub(super) async fn live() -> &'static str {
    "live\n"
}

/// Whether messages can be taken; if not, why, in words.
pub(super) async fn ready(State(context): State<Arc<Context>>) -> Response {
    if context.stop.is_requested() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: the server is stopping\n").into_response();
    }
    match context.fleet.store.refuses() {
        None => "ready\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

pub(super) async fn metrics(State(context): State<Arc<Context>>) -> Response {
    let members = context.fleet.members();
    let views: Vec<_> = members.values().filter_map(Member::running).map(|channel| channel.view()).collect();
    let broken: Vec<_> =
        members.iter().filter(|(_, member)| member.is_broken()).map(|(name, _)| name.clone()).collect();
    let room = Room { used: context.fleet.store.size(), ..context.fleet.store.room() };
    // Of a store that cannot be read nothing is said.
    let overdue = context.fleet.store.count_overdue().await.unwrap_or_default();
    let groups = context.fleet.store.open_groups().await.unwrap_or_default();
    let stored = Stored { overdue: &overdue, groups: &groups, room: &room };
    let mut page = context.metrics.page(&views, &broken, &stored);
    page.push_str(&syncs::metrics(&context).await);
    page.push_str(&context.alerts.metrics());
    page.push_str(&context.events.traces.as_ref().map(|traces| traces.metrics()).unwrap_or_default());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}
