//! Messages whose answers are overdue.

use std::{sync::Arc, time::SystemTime};

use axum::{Json, extract::State};
use engine::{History as _, Overdue, Store as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    asked::{Body, Path, Query, limit},
    channels::unknown,
    problem::Problem,
    rights::require_seen,
};
use crate::accounts::Caller;

/// As many as a list gives at once, unless asked for fewer or more.
const USUAL: usize = 100;
const MOST: usize = 10_000;

/// A message that has no answer in the time in which its channel expects one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Unanswered {
    pub(crate) channel: String,
    /// By what the answer would know it.
    pub(crate) key: String,
    /// The message that asked first.
    pub(crate) message: u64,
    pub(crate) asked: String,
    pub(crate) due: String,
}

impl Unanswered {
    fn of(found: Overdue) -> Self {
        let Overdue { channel, key, message, asked, due } = found;
        // Between the values of a key of several paths stands a character that nobody sees.
        Self { channel, key: key.replace('\u{1f}', " / "), message: message.0, asked, due }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    channel: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Unanswered>>, Problem> {
    if let Some(channel) = wanted.channel.as_ref().filter(|_| !caller.sees_everything()) {
        require_seen(&context, &caller, channel)?;
    }
    let limit = limit(wanted.limit, USUAL, MOST)?;
    let until_now = (SystemTime::UNIX_EPOCH, SystemTime::now());
    let looked_at = if caller.sees_everything() { limit } else { MOST };
    let mut found = context.fleet.store.overdue(wanted.channel.as_deref(), until_now, looked_at).await?;
    found.retain(|one| context.fleet.is_seen(&one.channel, &caller.sees));
    found.truncate(limit);
    Ok(Json(found.into_iter().map(Unanswered::of).collect()))
}

/// Which question is settled.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    key: String,
}

/// A person says that a message needs no answer any more.
pub(super) async fn settle(
    State(context): State<Arc<Context>>,
    Path(channel): Path<String>,
    caller: Caller,
    Body(Which { key }): Body<Which>,
) -> Result<Json<Unanswered>, Problem> {
    if key.is_empty() {
        return Err(Problem::wrong("an empty key expects no answer"));
    }
    // As it is listed, or as it is.
    let whole = key.replace(" / ", "\u{1f}");
    let Some(one) = context.fleet.store.unanswered(&channel, [&key, &whole]).await? else {
        if context.fleet.member(&channel).is_none() {
            return Err(unknown(&channel));
        }
        return Err(Problem::missing(format!("no answer to `{key}` is overdue in {channel}")));
    };
    if one.due.parse().is_ok_and(|due: jiff::Timestamp| due > jiff::Timestamp::now()) {
        let due = Unanswered::of(one).due;
        return Err(Problem::conflict(format!(
            "the answer to `{key}` is not overdue: it has time until {due}"
        )));
    }
    context.fleet.store.excuse(&channel, &one.key, &caller.name).await?;
    Ok(Json(Unanswered::of(one)))
}
