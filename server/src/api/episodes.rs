//! Episodes: what needs a person, and a person's word about it.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use connectors::setting::Period;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Context,
    asked::{Body, Path, Query},
    problem::Problem,
};
use crate::accounts::Caller;
use crate::alerts::{Cause, Episode, Say, Severity, Unsaid};

/// What closed longer ago is not listed.
const RECENT: Duration = Duration::from_hours(24);

/// As long as an episode may be put off.
const LONGEST: Duration = Duration::from_hours(24 * 30);

/// Hours of a week.
const HOURS: usize = 7 * 24;

/// As long as a note may be.
const NOTE: usize = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    channel: Option<String>,
    state: Option<Which>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    Open,
    Closed,
    All,
}

#[expect(clippy::struct_field_names, reason = "the list is called what it holds")]
/// All of them, and how many need somebody now.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Episodes {
    pub(crate) made: Timestamp,
    pub(crate) open: usize,
    pub(crate) groups: Vec<Group>,
    pub(crate) episodes: Vec<Episode>,
}

/// Those that are open for one cause.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) cause: Cause,
    pub(crate) severity: Severity,
    pub(crate) number: usize,
    pub(crate) since: Timestamp,
}

impl Episodes {
    fn of(mut episodes: Vec<Episode>, now: Timestamp) -> Self {
        episodes.sort_by_key(|one| {
            let newest_first = one.closed.map(|closed| std::cmp::Reverse(closed.as_second()));
            (!one.is_open(), newest_first, one.severity, one.since, one.id)
        });
        let open = episodes.iter().filter(|one| one.needs_somebody(now)).count();
        Self { made: now, open, groups: groups(&episodes), episodes }
    }
}

fn groups(episodes: &[Episode]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for one in episodes.iter().filter(|one| one.is_open()) {
        if let Some(group) = groups.iter_mut().find(|group| group.cause == one.cause) {
            group.number += 1;
            group.severity = group.severity.min(one.severity);
            group.since = group.since.min(one.since);
        } else {
            groups.push(Group { cause: one.cause, severity: one.severity, number: 1, since: one.since });
        }
    }
    groups.sort_by_key(|group| (group.severity, group.cause));
    groups
}

type Shared = State<Arc<Context>>;
type Answer = Result<Json<Episode>, Problem>;

pub(super) async fn list(
    State(context): Shared,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Json<Episodes> {
    let now = Timestamp::now();
    let mut found = context.alerts.list(wanted.channel.as_deref());
    let is_seen = |one: &Episode| {
        let channel = one.channel.as_ref();
        caller.sees_everything()
            || channel.is_some_and(|channel| context.fleet.is_seen(channel, &caller.sees))
    };
    found.retain(is_seen);
    let recent = |one: &Episode| one.closed.is_none_or(|closed| closed > now - RECENT);
    found.retain(|one| match wanted.state.unwrap_or(Which::All) {
        Which::Open => one.is_open(),
        Which::Closed => !one.is_open() && recent(one),
        Which::All => recent(one),
    });
    Json(Episodes::of(found, now))
}

/// A word about it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    note: Option<String>,
}

pub(super) async fn acknowledge(
    State(context): Shared,
    Path(id): Path<u64>,
    caller: Caller,
    Body(Note { note }): Body<Note>,
) -> Answer {
    let note = note.map(|note| note.trim().chars().take(NOTE).collect::<String>());
    let note = note.filter(|note| !note.is_empty());
    say(&context, id, Say::Seen { note }, &caller)
}

/// How long it shall be put off: `30m`, `2h`, `1d`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Later {
    r#for: String,
}

pub(super) async fn snooze(
    State(context): Shared,
    Path(id): Path<u64>,
    caller: Caller,
    Body(later): Body<Later>,
) -> Answer {
    let time = Period::try_from(later.r#for).map(|period| period.0);
    let time = time.ok().filter(|time| !time.is_zero() && *time <= LONGEST).ok_or_else(|| {
        let detail = "`for` is no length of time up to 30 days: write 30m, 2h or 1d";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })?;
    say(&context, id, Say::Later { time }, &caller)
}

pub(super) async fn wake(State(context): Shared, Path(id): Path<u64>, caller: Caller) -> Answer {
    say(&context, id, Say::Wake, &caller)
}

fn say(context: &Context, id: u64, say: Say, caller: &Caller) -> Answer {
    match context.alerts.say(id, (say, &caller.name), &context.events) {
        Ok(episode) => Ok(Json(episode)),
        Err(Unsaid::Unknown) => Err(Problem::missing(format!("there is no episode {id}"))),
        Err(Unsaid::Closed) => Err(Problem::conflict(format!("episode {id} is over"))),
    }
}

/// How a channel's rhythm stands, and its usual week; of one that is not known yet `now` and each hour are null.
pub(super) async fn rhythm(State(context): Shared, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    context.fleet.member(&name).ok_or_else(|| super::channels::unknown(&name))?;
    let rhythms = context.alerts.rhythms();
    let found = rhythms.rhythm(&name);
    let week = found.as_ref().map_or_else(|| vec![None; HOURS], |(rhythm, _)| rhythm.week());
    Ok(Json(json!({
        "channel": name,
        "learned_days": found.as_ref().map_or(0, |(rhythm, _)| rhythm.learned_days()),
        "last": rhythms.last(&name),
        "now": found.map(|(_, now)| now),
        "week": week,
    })))
}
