//! What the server answers over HTTP: REST, events, metrics, probes and the console.

mod accounts;
mod alerts;
mod answers;
mod asked;
mod audit;
mod certificates;
mod channels;
mod connections;
mod deliveries;
mod episodes;
mod files;
mod found;
mod guard;
mod health;
mod logs;
mod many;
mod messages;
mod openapi;
mod outline;
mod overdue;
mod paths;
mod pending;
mod problem;
mod provider;
mod report;
mod retry;
mod rights;
mod same_origin;
mod series;
mod server;
mod settings;
mod sign_in;
mod steps;
mod stream;
mod syncs;
mod unmapped;
mod versions;
mod words;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, Request, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use engine::Stop;
use store::Directory;

pub(crate) use accounts::{Linked, MadeToken, NewAccount, NewRole};
pub(crate) use alerts::{RuleStatus, Tried};
pub(crate) use answers::{
    ChannelStatus, DeliveryStatus, Deployed, DestinationStatus, Head, MessageStatus, Picked, ServerStatus,
};
pub(crate) use episodes::Episodes;
pub(crate) use found::{Found, FoundMessage, Looked};
pub(crate) use guard::Reach;
pub(crate) use many::{Go, Many};
pub(crate) use overdue::Unanswered;
pub(crate) use pending::Pending;
#[cfg(test)]
pub(crate) use report::Day;
pub(crate) use report::{Counted, Figures, Report};
pub(crate) use retry::Retried;
pub(crate) use syncs::{NewSync, SyncStatus};
pub(crate) use unmapped::UnmappedCode;

use problem::Problem;
use rights::Asks;

use crate::{
    accounts::{Accounts, Gate},
    alerts::Alerts,
    audit::Audit,
    events::Events,
    fleet::Fleet,
    key::Key,
    metrics::Metrics,
    pulse::Pulse,
};

/// A request may carry an edited message: as large as a source takes by default.
const LARGEST: usize = 64 << 20;

/// A name and a password, of somebody who is not known yet.
const SIGN_IN: usize = 8 << 10;

/// How long the body of a request may take.
const BODY: Duration = Duration::from_mins(2);
const SIGN_IN_BODY: Duration = Duration::from_secs(10);

/// What every answer is made from.
pub(crate) struct Context {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: Arc<Events>,
    pub(crate) key: Key,
    pub(crate) accounts: Accounts,
    /// The provider through which people may sign in, beside.
    pub(crate) gate: Option<Gate>,
    pub(crate) audit: Audit,
    /// The name of the session's cookie: browsers keep cookies by host, whatever the port.
    pub(crate) cookie: String,
    pub(crate) reach: Reach,
    /// Whether it listens by TLS.
    pub(crate) is_encrypted: bool,
    /// What the console's charts and rows are kept true by.
    pub(crate) pulse: Pulse,
    pub(crate) started: Instant,
    /// One taking up again at a time.
    pub(crate) retrying: tokio::sync::Mutex<()>,
    /// Messages that are sent again by a filter.
    pub(crate) many: Many,
    /// Asked for when the process ends: streams end with it.
    pub(crate) stop: Stop,
}

/// Every path of the server.
pub(crate) fn router(context: Arc<Context>) -> Router {
    let mut api = Router::new();
    for place in paths::all() {
        let asks = Asks {
            context: Arc::clone(&context),
            rights: place.rights,
            about: place.about,
            deed: place.words,
            changes: place.method != "get",
            plans: place.plans,
        };
        let route = place.route.layer(middleware::from_fn_with_state(asks, rights::allowed));
        api = api.route(place.path, route);
    }
    let api = api
        .fallback(problem::nothing_here)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state((LARGEST, BODY), whole))
        .layer(middleware::from_fn(unkept))
        .layer(middleware::from_fn_with_state(Arc::clone(&context), guard::known));
    let doors = Router::new()
        .route("/sign-in", get(provider::ways).post(sign_in::sign_in))
        .route("/sign-in/provider", get(provider::begin))
        .route("/sign-in/back", get(provider::finish))
        .route("/welcome", post(sign_in::welcome))
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state((SIGN_IN, SIGN_IN_BODY), whole));
    Router::new()
        .nest("/api/v1", api)
        // Under /api/ nothing is said to a stranger, not even what is not there.
        .route("/api/{*rest}", any(problem::locked))
        .merge(doors)
        .route("/", get(files::first))
        .route("/console/{name}", get(files::named))
        .route("/metrics", get(health::metrics))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(problem::nothing_here)
        .method_not_allowed_fallback(problem::not_so)
        .layer(middleware::from_fn_with_state(Arc::clone(&context), guard::host))
        .with_state(context)
}

/// Reads the body before anything is done with it: within a time, and no more than so many bytes.
async fn whole(
    State((most, within)): State<(usize, Duration)>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let problem = match tokio::time::timeout(within, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => return next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {most} bytes, or did not come to its end"),
        ),
        Err(_) => Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
    };
    let mut response = problem.into_response();
    // The rest of the body is not read.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Nothing that the API answers stays in a browser or a proxy.
async fn unkept(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
