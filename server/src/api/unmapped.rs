//! What tables lack, and how many messages wait for it.

use std::sync::Arc;

use axum::{Json, extract::State};
use engine::{History as _, Unmapped};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, asked::Query, problem::Problem};
use crate::accounts::Caller;

/// A row that a table lacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UnmappedCode {
    pub(crate) table: String,
    /// What the row is to hold; of several columns, with ` / ` between.
    pub(crate) code: String,
    /// The same by columns, in the order in which they were asked.
    pub(crate) asked: Vec<(String, String)>,
    /// Whose messages wait, where the table has rows per sender.
    pub(crate) sender: Option<String>,
    /// Which server holds the table; none where it is a file of the project.
    pub(crate) server: Option<String>,
    /// The columns that were wanted of it.
    pub(crate) wanted: Vec<String>,
    pub(crate) channels: Vec<String>,
    /// How many messages wait for it.
    pub(crate) messages: u64,
    /// Some of them, the oldest first.
    pub(crate) examples: Vec<u64>,
    /// When the oldest was received.
    pub(crate) oldest: String,
}

impl UnmappedCode {
    pub(super) fn of(found: Unmapped) -> Self {
        let values: Vec<&str> = found.asked.iter().map(|(_, value)| value.as_str()).collect();
        Self {
            code: values.join(" / "),
            table: found.table,
            asked: found.asked,
            sender: found.sender,
            server: found.server,
            wanted: found.wanted,
            channels: found.channels,
            messages: found.messages,
            examples: found.examples.into_iter().map(|id| id.0).collect(),
            oldest: found.oldest,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    table: Option<String>,
    channel: Option<String>,
}

pub(super) async fn list(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<UnmappedCode>>, Problem> {
    let is_seen = |channel: &String| context.fleet.is_seen(channel, &caller.sees);
    let found = context.fleet.store.unmapped().await?;
    let fits = |one: &Unmapped| {
        wanted.table.as_ref().is_none_or(|table| one.table == *table)
            && (caller.sees_everything() || one.channels.iter().all(is_seen))
            && wanted.channel.as_ref().is_none_or(|channel| one.channels.contains(channel))
    };
    Ok(Json(found.into_iter().filter(fits).map(UnmappedCode::of).collect()))
}
