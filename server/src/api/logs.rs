//! The last lines of the server's log.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{Context, asked::Query, problem::Problem, rights::require_seen};
use crate::{
    accounts::Caller,
    recent::{self, Line},
};

/// As many as come at once, unless asked for fewer or more.
const USUAL: usize = 200;
const MOST: usize = 2000;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    channel: Option<String>,
    /// This level and what is worse.
    level: Option<String>,
    limit: Option<usize>,
}

/// The newest first; who sees some channels only has the lines of those.
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Line>>, Problem> {
    if let Some(channel) = wanted.channel.as_ref().filter(|_| !caller.sees_everything()) {
        require_seen(&context, &caller, channel)?;
    }
    let worst = match &wanted.level {
        None => LEVELS.len(),
        Some(level) => rank(level).ok_or_else(|| {
            Problem::wrong(format!("there is no level `{level}`; there are {}", LEVELS.join(", ")))
        })?,
    };
    let is_wanted = |line: &Line| {
        let is_channel = wanted.channel.is_none() || line.channel == wanted.channel;
        let is_seen = match &line.channel {
            Some(channel) => context.fleet.is_seen(channel, &caller.sees),
            None => caller.sees_everything(),
        };
        is_channel && is_seen && rank(line.level).is_some_and(|rank| rank <= worst)
    };
    Ok(Json(recent::newest(wanted.limit.unwrap_or(USUAL).clamp(1, MOST), is_wanted)))
}

fn rank(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}
