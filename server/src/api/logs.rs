//! The last lines of the server's log.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::sse::{self, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;

use super::{
    Context,
    asked::{Query, limit},
    problem::Problem,
    rights::require_seen,
};
use crate::{
    accounts::Caller,
    recent::{self, Line},
};

/// As many as come at once, unless asked for fewer or more.
const USUAL: usize = 200;
const MOST: usize = 2000;

/// How often new lines are told, at most.
const EVERY: Duration = Duration::from_secs(1);

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    channel: Option<String>,
    /// This level and what is worse.
    level: Option<String>,
    limit: Option<usize>,
}

/// Which lines somebody wants, and may have.
struct Sieve {
    context: Arc<Context>,
    caller: Caller,
    channel: Option<String>,
    /// The rank of the level that is the least bad.
    worst: usize,
}

impl Sieve {
    fn of(context: Arc<Context>, caller: Caller, wanted: &Wanted) -> Result<Self, Problem> {
        if let Some(channel) = wanted.channel.as_ref().filter(|_| !caller.sees_everything()) {
            require_seen(&context, &caller, channel)?;
        }
        let worst = match &wanted.level {
            None => LEVELS.len(),
            Some(level) => rank(level).ok_or_else(|| {
                Problem::wrong(format!("there is no level `{level}`; there are {}", LEVELS.join(", ")))
            })?,
        };
        Ok(Self { context, caller, channel: wanted.channel.clone(), worst })
    }

    /// Who sees some channels only has the lines of those.
    fn takes(&self, line: &Line) -> bool {
        let is_channel = self.channel.is_none() || line.channel == self.channel;
        let is_seen = match &line.channel {
            Some(channel) => self.context.fleet.is_seen(channel, &self.caller.sees),
            None => self.caller.sees_everything(),
        };
        is_channel && is_seen && rank(line.level).is_some_and(|rank| rank <= self.worst)
    }
}

/// The newest first.
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Line>>, Problem> {
    let sieve = Sieve::of(context, caller, &wanted)?;
    let limit = limit(wanted.limit, USUAL, MOST)?;
    Ok(Json(recent::newest(limit, |line| sieve.takes(line))))
}

/// What comes from now on, once a second where anything came: lists of lines, the oldest first.
pub(super) async fn listen(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let stop = context.stop.clone();
    let sieve = Sieve::of(context, caller, &wanted)?;
    let looks = tokio::time::interval(EVERY);
    let told = stream::unfold((sieve, looks, recent::all()), |(sieve, mut looks, mut known)| async move {
        loop {
            looks.tick().await;
            if !sieve.context.accounts.still(&sieve.caller) {
                return None;
            }
            let (lines, now) = recent::since(known, |line| sieve.takes(line));
            known = now;
            if !lines.is_empty() {
                let told = serde_json::to_string(&lines).expect("a line has text keys");
                return Some((Ok(sse::Event::default().event("lines").data(told)), (sieve, looks, known)));
            }
        }
    });
    let ended = async move { stop.requested().await };
    Ok(Sse::new(told.take_until(Box::pin(ended))).keep_alive(KeepAlive::default()))
}

fn rank(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}
