//! What waits: on the far side of each source, here, and in queues.

use std::sync::Arc;

use axum::{Json, extract::State};
use engine::{Channel, OpenGroups, WaitingFile};
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context, DestinationStatus,
    asked::{Query, limit},
    channels::running,
    problem::Problem,
    rights::require_seen,
};
use crate::{
    accounts::{Caller, Right},
    why::Why,
};

/// So many files of a group are named, unless asked for fewer or more.
const USUAL: usize = 20;
const MOST: usize = 10_000;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    channel: Option<String>,
    limit: Option<usize>,
}

/// What waits at one place.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Pending {
    pub(crate) channel: String,
    /// `there`: where files come in; `here`: taken and not put away; `queue`: deliveries.
    pub(crate) side: String,
    /// The folder, or the destination.
    pub(crate) place: String,
    /// `waiting`, `taken`, or how the destination stands; `unknown` where nothing can be said now.
    pub(crate) state: String,
    pub(crate) number: u64,
    pub(crate) oldest_seconds: Option<f64>,
    pub(crate) why: Option<Why>,
    /// The oldest of the files, for who may see content: a file's name may be a patient's.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub(crate) files: Vec<WaitingFile>,
}

pub(super) async fn list(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Pending>>, Problem> {
    // None of the files is an answer too.
    let limit = if wanted.limit == Some(0) { 0 } else { limit(wanted.limit, USUAL, MOST)? };
    let most = if caller.may(Right::Content) { limit } else { 0 };
    let channels = match &wanted.channel {
        Some(name) => {
            require_seen(&context, &caller, name)?;
            vec![running(&context, name)?]
        }
        None => context
            .fleet
            .members()
            .values()
            .filter(|member| caller.sees.includes(&member.tags))
            .filter_map(|member| member.running().cloned())
            .collect::<Vec<_>>(),
    };
    let found = join_all(channels.iter().map(|channel| of_channel(channel, most))).await;
    let mut all: Vec<Pending> = found.into_iter().flatten().collect();
    let open = context.fleet.store.open_groups().await?;
    let is_meant = |name: &String| {
        wanted.channel.as_ref().is_none_or(|wanted| wanted == name)
            && context.fleet.is_seen(name, &caller.sees)
    };
    all.extend(open.iter().filter(|(name, _)| is_meant(name)).map(|(name, open)| of_groups(name, open)));
    if !caller.may(Right::Content) {
        for one in &mut all {
            one.files.clear();
        }
    }
    Ok(Json(all))
}

/// Groups that wait for quiet: here, for no more to come.
fn of_groups(channel: &str, open: &OpenGroups) -> Pending {
    let oldest = open.oldest.and_then(|oldest| oldest.elapsed().ok());
    Pending {
        channel: channel.to_owned(),
        side: "here".to_owned(),
        place: "groups".to_owned(),
        state: "gathering".to_owned(),
        number: open.groups,
        oldest_seconds: oldest.map(|oldest| oldest.as_secs_f64()),
        why: Some(Why::ours(format!(
            "{} until no more of a group come",
            crate::terminal::counted(open.members, "message")
        ))),
        files: Vec::new(),
    }
}

async fn of_channel(channel: &Channel, most: usize) -> Vec<Pending> {
    let mut found = of_files(channel, most).await;
    let view = channel.view();
    for outlet in view.destinations.iter().filter(|outlet| outlet.depth > 0) {
        let status = DestinationStatus::of(outlet, &[]);
        found.push(Pending {
            channel: channel.name().to_owned(),
            side: "queue".to_owned(),
            place: outlet.name.clone(),
            state: status.state.clone(),
            number: outlet.depth,
            oldest_seconds: outlet.oldest_seconds,
            why: status.head_words(),
            files: Vec::new(),
        });
    }
    found
}

async fn of_files(channel: &Channel, most: usize) -> Vec<Pending> {
    let Some(backlog) = channel.backlog() else { return Vec::new() };
    let pending = |side: &str, place: String, state: String| Pending {
        channel: channel.name().to_owned(),
        side: side.to_owned(),
        place,
        state,
        number: 0,
        oldest_seconds: None,
        why: None,
        files: Vec::new(),
    };
    match backlog.waiting(most).await {
        Ok(groups) => groups
            .into_iter()
            .map(|group| {
                let side = if group.state == "taken" { "here" } else { "there" };
                Pending {
                    number: group.number,
                    oldest_seconds: group.oldest_seconds,
                    why: group.why.map(Why::of_source),
                    files: group.files,
                    ..pending(side, group.place, group.state)
                }
            })
            .collect(),
        Err(error) => {
            let unknown = pending("there", backlog.place(), "unknown".to_owned());
            vec![Pending { why: Some(Why::of_source(error.to_string())), ..unknown }]
        }
    }
}
