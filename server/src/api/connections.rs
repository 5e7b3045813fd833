//! Who is connected to a channel, and to whom it is.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{Json, extract::State};
use engine::ConnectionView;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, asked::Path, channels::unknown, problem::Problem};

/// So many are listed of each channel.
pub(super) const MOST: usize = 200;

/// The open connections of a channel, those that opened last first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Open {
    /// How many there are; at most 200 are listed.
    all: usize,
    connections: Vec<ConnectionStatus>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ConnectionStatus {
    /// To which destination it is; none for a sender's.
    destination: Option<String>,
    peer: String,
    /// RFC 3339, UTC.
    since: String,
    /// When the last byte came from the peer.
    last_in: Option<String>,
    /// When the last byte went to the peer.
    last_out: Option<String>,
    /// When the certificate that the peer showed ends.
    certificate_ends: Option<String>,
}

pub(super) async fn list(
    State(context): State<Arc<Context>>,
    Path(name): Path<String>,
) -> Result<Json<Open>, Problem> {
    let member = context.fleet.member(&name).ok_or_else(|| unknown(&name))?;
    let (shown, all) = member.running().map(|channel| channel.connections(MOST)).unwrap_or_default();
    Ok(Json(Open { all, connections: shown.into_iter().map(ConnectionStatus::of).collect() }))
}

impl ConnectionStatus {
    fn of(view: ConnectionView) -> Self {
        Self {
            destination: view.destination,
            peer: view.peer.to_string(),
            since: written(view.since),
            last_in: view.came.map(written),
            last_out: view.went.map(written),
            certificate_ends: view.certificate.map(written),
        }
    }
}

/// To the millisecond.
pub(super) fn written(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let whole = SystemTime::UNIX_EPOCH + Duration::from_millis(since.as_millis() as u64);
    Timestamp::try_from(whole).unwrap_or_default().to_string()
}
