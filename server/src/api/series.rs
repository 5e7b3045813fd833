//! What went through each channel within a day, for charts.

use std::{sync::Arc, time::SystemTime};

use axum::{Json, extract::State};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Context;
use crate::{
    accounts::Caller,
    metrics::day::{STEP, STEPS, Shown, step_of},
};

/// The days of all channels.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Series {
    /// Counted from here on: the server's start.
    since: String,
    step_seconds: u64,
    steps: usize,
    /// The first step, counted from 1970.
    number: u64,
    channels: Vec<OfChannel>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OfChannel {
    channel: String,
    #[serde(flatten)]
    day: Shown,
}

pub(super) async fn show(State(context): State<Arc<Context>>, caller: Caller) -> Json<Series> {
    let now = step_of(SystemTime::now());
    let shown = |channel: String| {
        let day = context.metrics.day(&channel, now)?;
        Some(OfChannel { channel, day })
    };
    let since = Timestamp::try_from(
        SystemTime::now().checked_sub(context.started.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH),
    );
    Json(Series {
        since: since.unwrap_or_default().to_string(),
        step_seconds: STEP,
        steps: STEPS,
        number: (now + 1).saturating_sub(STEPS as u64),
        channels: context.fleet.seen(&caller.sees).into_iter().filter_map(shown).collect(),
    })
}
