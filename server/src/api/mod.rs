//! What the server answers over HTTP: REST, events, metrics, probes and the first page.

mod answers;
mod channels;
mod deliveries;
mod episodes;
mod guard;
mod health;
mod messages;
mod overdue;
mod page;
mod pending;
mod problem;
mod report;
mod retry;
mod server;
mod stream;
mod syncs;
mod unmapped;

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use engine::{Mirror, Stop};

pub(crate) use answers::{
    ChannelStatus, DeliveryStatus, Deployed, DestinationStatus, Head, MessageStatus, Picked, ServerStatus,
};
pub(crate) use episodes::Episodes;
pub(crate) use guard::Reach;
pub(crate) use overdue::Unanswered;
pub(crate) use pending::Pending;
#[cfg(test)]
pub(crate) use report::Day;
pub(crate) use report::{Counted, Figures, Report};
pub(crate) use retry::Retried;
pub(crate) use syncs::{NewSync, SyncStatus};
pub(crate) use unmapped::UnmappedCode;

use crate::{alerts::Alerts, events::Events, fleet::Fleet, key::Key, metrics::Metrics};

/// A request may carry an edited message: as large as a source takes by default.
const LARGEST: usize = 64 << 20;

/// What every answer is made from.
pub(crate) struct Context {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) directory: Arc<dyn Mirror>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: Arc<Events>,
    pub(crate) key: Key,
    pub(crate) reach: Reach,
    pub(crate) started: Instant,
    /// One taking up again at a time.
    pub(crate) retrying: tokio::sync::Mutex<()>,
    /// Asked for when the process ends: streams end with it.
    pub(crate) stop: Stop,
}

/// Every path of the server.
pub(crate) fn router(context: Arc<Context>) -> Router {
    let api = Router::new()
        .route("/server", get(server::show))
        .route("/deploy", post(server::deploy))
        .route("/backup", post(server::backup))
        .route("/promises", get(server::promises))
        .route("/channels", get(channels::list))
        .route("/channels/{name}", get(channels::show))
        .route("/channels/{name}/report", get(report::show))
        .route("/channels/{name}/retry", post(retry::retry))
        .route("/channels/{name}/start", post(channels::start))
        .route("/channels/{name}/stop", post(channels::stop))
        .route("/channels/{name}/pause", post(channels::pause))
        .route("/channels/{name}/rerun", post(channels::rerun))
        .route("/channels/{name}/destinations/{destination}/hold", post(channels::hold))
        .route("/channels/{name}/destinations/{destination}/release", post(channels::release))
        .route("/channels/{name}/destinations/{destination}/park", post(channels::park))
        .route("/pending", get(pending::list))
        .route("/messages", get(messages::find))
        .route("/messages/{id}", get(messages::show))
        .route("/messages/{id}/body", get(messages::body))
        .route("/messages/{id}/resend", post(deliveries::resend_message))
        .route("/messages/{id}/drop", post(deliveries::drop_message))
        .route("/unmapped", get(unmapped::list))
        .route("/overdue", get(overdue::list))
        .route("/channels/{name}/overdue/settle", post(overdue::settle))
        .route("/episodes", get(episodes::list))
        .route("/episodes/{id}/acknowledge", post(episodes::acknowledge))
        .route("/episodes/{id}/snooze", post(episodes::snooze))
        .route("/episodes/{id}/wake", post(episodes::wake))
        .route("/deliveries", get(deliveries::find))
        .route("/deliveries/{id}/resend", post(deliveries::resend))
        .route("/deliveries/{id}/drop", post(deliveries::drop))
        .route("/syncs", get(syncs::list).post(syncs::create))
        .route("/syncs/{channel}", get(syncs::show).delete(syncs::delete))
        .route("/syncs/{channel}/{act}", post(syncs::act))
        .route("/events", get(stream::listen))
        .fallback(problem::nothing_here)
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn_with_state(Arc::clone(&context), guard::key));
    Router::new()
        .nest("/api/v1", api)
        // Under /api/ nothing is said without the key, not even what is not there.
        .route("/api/{*rest}", axum::routing::any(problem::locked))
        .route("/", get(page::first))
        .route("/metrics", get(health::metrics))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(problem::nothing_here)
        .method_not_allowed_fallback(problem::not_so)
        .layer(middleware::from_fn_with_state(Arc::clone(&context), guard::host))
        .with_state(context)
}
