//! Channels and their destinations.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{Json, extract::State};
use engine::{Channel, History as _, Unsettled};
use serde_json::{Value, json};

use super::{ChannelStatus, Context, DestinationStatus, asked::Path, problem::Problem};
use crate::{accounts::Caller, why::Why};

type Shared = State<Arc<Context>>;
type Answer = Result<Json<ChannelStatus>, Problem>;
type DestinationAnswer = Result<Json<DestinationStatus>, Problem>;

pub(super) async fn list(
    State(context): Shared,
    caller: Caller,
) -> Result<Json<Vec<ChannelStatus>>, Problem> {
    let unsettled = unsettled(&context).await?;
    let overdue = context.fleet.store.count_overdue().await?;
    let open = context.fleet.store.open_groups().await?;
    let edit = context.fleet.edit();
    let members = context.fleet.members();
    let seen = members.iter().filter(|(_, member)| caller.sees.includes(&member.tags));
    let status = seen.map(|(name, member)| {
        let counted = (context.metrics.received_by(name), unsettled.as_slice());
        let status = ChannelStatus::of(name, member, counted, &edit);
        let groups = open.get(name).map_or(0, |open| open.groups);
        ChannelStatus { overdue: overdue.get(name).copied().unwrap_or(0), groups, ..status }
    });
    Ok(Json(status.collect()))
}

pub(super) async fn show(State(context): Shared, Path(name): Path<String>) -> Answer {
    status(&context, &name).await
}

pub(super) async fn start(State(context): Shared, Path(name): Path<String>, caller: Caller) -> Answer {
    running(&context, &name)?.resume(&caller.name).await?;
    status(&context, &name).await
}

pub(super) async fn stop(State(context): Shared, Path(name): Path<String>, caller: Caller) -> Answer {
    running(&context, &name)?.halt(&caller.name).await?;
    status(&context, &name).await
}

pub(super) async fn pause(State(context): Shared, Path(name): Path<String>, caller: Caller) -> Answer {
    running(&context, &name)?.pause(&caller.name).await?;
    status(&context, &name).await
}

pub(super) async fn rerun(State(context): Shared, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let (made, left) = running(&context, &name)?.rerun_waiting().await?;
    let left = left.into_iter().map(|one| {
        json!({ "delivery": one.delivery, "message": one.message, "destination": one.destination, "why": Why::from(one.why) })
    });
    Ok(Json(json!({ "made": made, "left": left.collect::<Vec<_>>() })))
}

type Both = Path<(String, String)>;

pub(super) async fn hold(State(context): Shared, Path(both): Both, caller: Caller) -> DestinationAnswer {
    running(&context, &both.0)?.hold(&both.1, &caller.name).await?;
    destination(&context, &both.0, &both.1).await
}

pub(super) async fn release(State(context): Shared, Path(both): Both, caller: Caller) -> DestinationAnswer {
    running(&context, &both.0)?.release(&both.1, &caller.name).await?;
    destination(&context, &both.0, &both.1).await
}

pub(super) async fn park(State(context): Shared, Path(both): Both, caller: Caller) -> DestinationAnswer {
    match running(&context, &both.0)?.park(&both.1, &caller.name).await? {
        Some(_) => destination(&context, &both.0, &both.1).await,
        None => Err(Problem::conflict(format!("nothing waits for {}/{}", both.0, both.1))),
    }
}

/// The running channel of that name.
pub(super) fn running(context: &Context, name: &str) -> Result<Arc<Channel>, Problem> {
    let member = context.fleet.member(name).ok_or_else(|| unknown(name))?;
    member.running().cloned().ok_or_else(|| {
        let why = if member.is_broken() { "is broken; `relais check` says why" } else { "is not enabled" };
        Problem::conflict(format!("{name} {why}"))
    })
}

async fn status(context: &Context, name: &str) -> Answer {
    let unsettled = unsettled(context).await?;
    let member = context.fleet.member(name).ok_or_else(|| unknown(name))?;
    let received = context.metrics.received_by(name);
    let overdue = context.fleet.store.count_overdue().await?.get(name).copied().unwrap_or(0);
    let status = ChannelStatus::of(name, &member, (received, &unsettled), &context.fleet.edit());
    let groups = context.fleet.store.open_groups().await?.get(name).map_or(0, |open| open.groups);
    Ok(Json(ChannelStatus { overdue, groups, ..status }))
}

/// What needs a person; messages that failed longer ago have been seen.
async fn unsettled(context: &Context) -> Result<Vec<Unsettled>, Problem> {
    let day = SystemTime::now().checked_sub(Duration::from_hours(24)).unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(context.fleet.store.unsettled(day).await?)
}

async fn destination(context: &Context, channel: &str, name: &str) -> DestinationAnswer {
    let Json(status) = status(context, channel).await?;
    let found = status.destinations.into_iter().find(|destination| destination.name == name);
    found.map(Json).ok_or_else(|| Problem::missing(format!("there is no destination {channel}/{name}")))
}

pub(super) fn unknown(name: &str) -> Problem {
    Problem::missing(format!("there is no channel `{name}`"))
}
