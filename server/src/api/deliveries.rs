//! What a person does to deliveries: sends them again, to another destination, or drops them.

use std::sync::Arc;

use axum::{Extension, Json, body::Bytes, extract::State};
use engine::{
    Act, Again, Content, DeliveryId, DeliveryRow, DeliveryState, Inbound, Intervention, Looked, MessageId,
    MessageRow, MessageState, Shown, Store as _,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Context, DeliveryStatus, Picked,
    asked::{Path, Query},
    channels::running,
    messages::{Wanted, shown},
    problem::Problem,
    rights::Nothing,
};
use crate::{accounts::Caller, why::Why};
use engine::History as _;

/// What is asked of a message or a delivery.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// One destination alone.
    to: Option<String>,
    /// Another text in place of the payload.
    body: Option<String>,
    /// Says what would be done, and does nothing.
    #[serde(default)]
    plan: bool,
}

impl Wish {
    /// To one destination, or wherever it is due.
    pub(super) fn sending(to: Option<&str>) -> Self {
        Self { to: to.map(str::to_owned), ..Self::default() }
    }

    /// A request without a body wishes nothing special.
    fn read(bytes: &Bytes) -> Result<Self, Problem> {
        if bytes.is_empty() || bytes.as_ref() == b"null" {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes)
            .map_err(|error| Problem::wrong(format!("cannot read the request: {error}")))
    }

    fn content(&self) -> Option<Content> {
        self.body.clone().map(|text| Content::from(text.into_bytes()))
    }
}

pub(super) async fn find(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<DeliveryStatus>>, Problem> {
    let limit = wanted.limit()?;
    let mut rows = Vec::new();
    for query in wanted.queries(&context, &caller).await? {
        rows.extend(context.fleet.store.deliveries(&query).await?);
    }
    rows.sort_by_key(|row| (row.message, row.part, row.id));
    rows.truncate(limit);
    Ok(Json(rows.into_iter().map(DeliveryStatus::of).collect()))
}

/// What was picked; a plan changes nothing.
type PickedAll = Result<(Option<Extension<Nothing>>, Json<Vec<Picked>>), Problem>;

/// Sends again what of a message was not sent; a message that was refused or failed is run again whole.
pub(super) async fn resend_message(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> PickedAll {
    let wish = Wish::read(&body)?;
    let shown = shown(&context, &id).await?;
    let picked = if wish.plan {
        to_resend(&shown.row, shown.superseded_by, wish.to.as_deref())?
    } else {
        send_again(&context, &shown, &wish, &caller.name).await?
    };
    Ok((wish.plan.then_some(Extension(Nothing)), Json(picked)))
}

/// Does what a plan of one message says.
pub(super) async fn send_again(
    context: &Context,
    shown: &Shown,
    wish: &Wish,
    by: &str,
) -> Result<Vec<Picked>, Problem> {
    let mut picked = to_resend(&shown.row, shown.superseded_by, wish.to.as_deref())?;
    for one in &mut picked {
        match one.delivery {
            Some(delivery) => {
                let channel = running(context, &shown.row.channel)?;
                let to = moved_to(shown, delivery, wish.to.as_deref());
                channel.resend(DeliveryId(delivery), to, wish.content(), by).await?;
            }
            None if shown.row.state == MessageState::Held && wish.body.is_none() => {
                one.what = look_again(context, shown).await?;
            }
            None => one.what = run_again(context, shown, (wish.content(), by.to_owned())).await?,
        }
    }
    Ok(picked)
}

pub(super) async fn drop_message(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> PickedAll {
    let wish = Wish::read(&body)?;
    let shown = shown(&context, &id).await?;
    let picked = to_drop(&shown, wish.to.as_deref())?;
    if !wish.plan {
        for one in &picked {
            match one.delivery {
                Some(delivery) => {
                    drop_one(&context, &shown.row.channel, DeliveryId(delivery), &caller.name).await?;
                }
                None => abandon(&context, &shown, &caller.name).await?,
            }
        }
    }
    Ok((wish.plan.then_some(Extension(Nothing)), Json(picked)))
}

pub(super) async fn resend(
    State(context): State<Arc<Context>>,
    Path(id): Path<u64>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<DeliveryId>, Problem> {
    let wish = Wish::read(&body)?;
    let channel = running(&context, &channel_of(&context, id).await?)?;
    let again = channel.resend(DeliveryId(id), wish.to.clone(), wish.content(), &caller.name).await?;
    Ok(Json(again))
}

pub(super) async fn drop(
    State(context): State<Arc<Context>>,
    Path(id): Path<u64>,
    caller: Caller,
) -> Result<Json<DeliveryId>, Problem> {
    let channel = channel_of(&context, id).await?;
    require_open(&context, id).await?;
    drop_one(&context, &channel, DeliveryId(id), &caller.name).await?;
    Ok(Json(DeliveryId(id)))
}

async fn channel_of(context: &Context, id: u64) -> Result<String, Problem> {
    let missing = || Problem::missing(format!("there is no delivery {id}"));
    let found = context.fleet.store.delivery(DeliveryId(id)).await?.ok_or_else(missing)?;
    let shown = context.fleet.store.show(found.message.id).await?.ok_or_else(missing)?;
    Ok(shown.row.channel)
}

/// What is over cannot be dropped.
async fn require_open(context: &Context, id: u64) -> Result<(), Problem> {
    let Some(found) = context.fleet.store.delivery(DeliveryId(id)).await? else { return Ok(()) };
    let shown = context.fleet.store.show(found.message.id).await?;
    let all = shown.map(|shown| shown.row.deliveries).unwrap_or_default();
    match all.iter().find(|one| one.id.0 == id).map(|one| one.state) {
        Some(state @ (DeliveryState::Sent | DeliveryState::Dropped)) => {
            Err(Problem::conflict(format!("delivery {id} is {} already", word(state))))
        }
        _ => Ok(()),
    }
}

/// Where the channel does not run, nobody else holds the delivery: the store alone is told.
async fn drop_one(context: &Context, channel: &str, delivery: DeliveryId, by: &str) -> Result<(), Problem> {
    if let Ok(channel) = running(context, channel) {
        return Ok(channel.drop_delivery(delivery, by).await?);
    }
    let dropped = Intervention { delivery, what: Act::Drop, by: by.to_owned() };
    context.fleet.store.intervene(dropped).await?;
    Ok(())
}

/// Gives up a message that waits for a code.
async fn abandon(context: &Context, shown: &Shown, by: &str) -> Result<(), Problem> {
    let id = shown.row.id;
    match running(context, &shown.row.channel) {
        Ok(channel) => channel.abandon(id, by).await?,
        Err(_) if context.fleet.store.abandon(id, by).await? => {}
        Err(_) => return Err(Problem::conflict(format!("message {id} does not wait for a code"))),
    }
    Ok(())
}

/// Looks whether the tables that are in force have the code of a message by now.
async fn look_again(context: &Context, shown: &Shown) -> Result<String, Problem> {
    let (channel, id) = (running(context, &shown.row.channel)?, shown.row.id);
    match channel.look_again(id).await? {
        Looked::Went => Ok("it went on".to_owned()),
        Looked::Held(held) => {
            let why = Why::hidden(held.to_string(), "a table lacks a code");
            let still = format!("message {id} still waits: ");
            Err(Problem::because(why.within(&still, "; `relais unmapped` lists the codes")))
        }
    }
}

/// Carries the bytes as they came, or as they were edited, through the channel's steps as they are now. The new
/// message stands for the old one from here on; says under which number.
pub(super) async fn run_again(
    context: &Context,
    shown: &Shown,
    (edited, by): (Option<Content>, String),
) -> Result<String, Problem> {
    let channel = running(context, &shown.row.channel)?;
    let name = shown.row.control_id.clone().filter(|_| edited.is_none());
    let body = edited.or_else(|| shown.body.clone());
    let body = body.ok_or_else(|| Problem::conflict("its content is no longer kept (`keep.content`)"))?;
    let again = Again { message: shown.row.id, by };
    let facts = shown.source.clone().into();
    let inbound = Inbound { facts, name, again: Some(again), ..Inbound::new(body) };
    let answer = channel.inlet().receive(inbound).await;
    let reply = answer.reply.clone();
    answer.told();
    channel.let_pass(shown.row.id);
    let now = context.fleet.store.show(shown.row.id).await?;
    let number = now.and_then(|now| now.superseded_by).map(|id| format!(" as message {id}"));
    let number = number.unwrap_or_default();
    if reply.outcome.is_positive() {
        return Ok(format!("run again whole{number}"));
    }
    let was = format!("run again{number}, it was {}", reply.outcome.name());
    Err(Problem::because(match reply.why {
        Some(why) => Why::hidden(format!("{was}: {why}"), was),
        None => Why::ours(was),
    }))
}

/// What `resend` means for one message.
pub(super) fn to_resend(
    row: &MessageRow,
    successor: Option<MessageId>,
    to: Option<&str>,
) -> Result<Vec<Picked>, Problem> {
    let latest = latest(&row.deliveries, to);
    if latest.is_empty() {
        return match to {
            _ if row.deliveries.is_empty() => whole(row, successor, to),
            Some(to) => moved(row.id, &row.deliveries, to),
            None => Err(Problem::conflict(format!("nothing of message {} can be sent again", row.id))),
        };
    }
    let again = |delivery: &DeliveryRow| match delivery.state {
        // One that waits for its next try goes now.
        DeliveryState::GivenUp | DeliveryState::SetAside | DeliveryState::Unsure | DeliveryState::Waiting => {
            true
        }
        // A second effect is made only where it is named.
        DeliveryState::Sent | DeliveryState::Dropped => to.is_some(),
        DeliveryState::Begun => false,
    };
    let picked: Vec<_> =
        latest.iter().filter(|delivery| again(delivery)).map(|one| pick(one, "send")).collect();
    if picked.is_empty() {
        let states: Vec<_> =
            latest.iter().map(|one| format!("{} is {}", one.destination, word(one.state))).collect();
        let help = "--to NAME sends to one again all the same";
        return Err(Problem::conflict(format!("message {}: {}; {help}", row.id, states.join(", "))));
    }
    Ok(picked)
}

/// A message that queued nothing is run again from its bytes, once.
fn whole(row: &MessageRow, successor: Option<MessageId>, to: Option<&str>) -> Result<Vec<Picked>, Problem> {
    let (id, state) = (row.id, row.state);
    if let Some(successor) = successor {
        return Err(Problem::conflict(format!("message {successor} stands for message {id}: see that one")));
    }
    match (state, to) {
        (_, Some(to)) => {
            Err(Problem::conflict(format!("message {id} has no delivery that could go to {to}")))
        }
        (MessageState::Superseded, None) => {
            Err(Problem::conflict(format!("another message stands for message {id}")))
        }
        (MessageState::Kept, None) => Err(Problem::conflict(format!("message {id} is under way"))),
        (MessageState::Held, None) => Ok(vec![picked_whole(id, state, Picked::LOOK_AGAIN)]),
        (state, None) => Ok(vec![picked_whole(id, state, Picked::RUN_AGAIN)]),
    }
}

fn picked_whole(id: MessageId, state: MessageState, what: &str) -> Picked {
    let what = what.to_owned();
    Picked { message: id.0, delivery: None, destination: None, state: word(state), what }
}

/// None went to `to`: those that wait or were given up elsewhere do, or the only one there is.
fn moved(id: MessageId, deliveries: &[DeliveryRow], to: &str) -> Result<Vec<Picked>, Problem> {
    let stuck = |one: &&DeliveryRow| {
        !matches!(one.state, DeliveryState::Sent | DeliveryState::Begun | DeliveryState::Dropped)
    };
    let mut picked: Vec<_> = deliveries.iter().filter(stuck).collect();
    if let ([], [only]) = (picked.as_slice(), deliveries) {
        picked.push(only);
    }
    if picked.is_empty() {
        return Err(Problem::conflict(format!(
            "nothing of message {id} waits or was given up that could go to {to}"
        )));
    }
    let words = |one: &DeliveryRow| Picked { what: format!("send to {to} instead"), ..pick(one, "send") };
    Ok(picked.into_iter().map(words).collect())
}

/// What `drop` means for one message.
fn to_drop(shown: &Shown, to: Option<&str>) -> Result<Vec<Picked>, Problem> {
    if shown.row.state == MessageState::Held && to.is_none() {
        return Ok(vec![picked_whole(shown.row.id, shown.row.state, Picked::ABANDON)]);
    }
    let latest = latest(&shown.row.deliveries, to);
    let open = latest.iter().filter(|one| !matches!(one.state, DeliveryState::Sent | DeliveryState::Dropped));
    let picked: Vec<_> = open.map(|one| pick(one, "drop")).collect();
    if picked.is_empty() {
        return Err(Problem::conflict(format!("nothing of message {} waits or was given up", shown.row.id)));
    }
    Ok(picked)
}

fn pick(delivery: &DeliveryRow, verb: &str) -> Picked {
    let name = &delivery.destination;
    let what = match (verb, delivery.state) {
        ("drop", _) => format!("drop for {name}"),
        (_, DeliveryState::Sent) => format!("send to {name} a second time"),
        _ => format!("send to {name} again"),
    };
    Picked {
        message: delivery.message.0,
        delivery: Some(delivery.id.0),
        destination: Some(name.clone()),
        state: word(delivery.state),
        what,
    }
}

/// Of each part and destination the latest delivery; `to` picks one destination.
pub(super) fn latest<'a>(deliveries: &'a [DeliveryRow], to: Option<&str>) -> Vec<&'a DeliveryRow> {
    let meant = |one: &&DeliveryRow| to.is_none_or(|to| one.destination == to);
    let newer = |one: &DeliveryRow, other: &DeliveryRow| {
        other.id > one.id && other.destination == one.destination && other.part == one.part
    };
    let is_latest = |one: &&DeliveryRow| !deliveries.iter().any(|other| newer(one, other));
    deliveries.iter().filter(meant).filter(is_latest).collect()
}

/// The other destination, where the delivery was made for a different one.
fn moved_to(shown: &Shown, delivery: u64, to: Option<&str>) -> Option<String> {
    let made_for = shown.row.deliveries.iter().find(|one| one.id.0 == delivery)?;
    to.filter(|to| made_for.destination != *to).map(str::to_owned)
}

fn word(state: impl serde::Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use engine::{AnswerState, Facts, Tally};

    use super::*;

    fn delivery(id: u64, destination: &str, state: DeliveryState) -> DeliveryRow {
        DeliveryRow {
            id: DeliveryId(id),
            message: MessageId(1),
            channel: "lab".to_owned(),
            destination: destination.to_owned(),
            part: None,
            state,
            effect: String::new(),
            ended: None,
            tally: Tally::default(),
        }
    }

    fn message(state: MessageState, deliveries: Vec<DeliveryRow>) -> Shown {
        Shown {
            row: MessageRow {
                id: MessageId(1),
                channel: "lab".to_owned(),
                received: String::new(),
                state,
                outcome: None,
                answer: AnswerState::Told,
                control_id: None,
                kind: None,
                flags: Vec::new(),
                why: None,
                size: 0,
                version: String::new(),
                deliveries,
            },
            times: engine::ShownTimes::default(),
            source: Facts::new(),
            superseded_by: None,
            supersedes: Vec::new(),
            keys: Vec::new(),
            inputs: None,
            halt: None,
            reply: None,
            body: None,
            parts: Vec::new(),
            payloads: Vec::new(),
        }
    }

    fn planned(shown: &Shown, to: Option<&str>) -> Result<Vec<Picked>, Problem> {
        to_resend(&shown.row, shown.superseded_by, to)
    }

    fn ids(picked: &[Picked]) -> Vec<Option<u64>> {
        picked.iter().map(|one| one.delivery).collect()
    }

    #[test]
    fn what_was_given_up_goes_again_and_what_was_sent_does_not() {
        let deliveries =
            vec![delivery(1, "record", DeliveryState::GivenUp), delivery(2, "archive", DeliveryState::Sent)];
        let picked = planned(&message(MessageState::Queued, deliveries), None).unwrap();
        assert_eq!(ids(&picked), [Some(1)]);
    }

    #[test]
    fn what_was_sent_goes_a_second_time_only_where_it_is_named() {
        let sent = message(MessageState::Queued, vec![delivery(2, "archive", DeliveryState::Sent)]);
        assert!(planned(&sent, None).is_err());
        let picked = planned(&sent, Some("archive")).unwrap();
        assert_eq!(picked[0].what, "send to archive a second time");
    }

    #[test]
    fn of_two_deliveries_to_one_destination_the_later_counts() {
        let deliveries =
            vec![delivery(1, "record", DeliveryState::GivenUp), delivery(5, "record", DeliveryState::Sent)];
        assert!(planned(&message(MessageState::Queued, deliveries), None).is_err());
    }

    #[test]
    fn a_failed_message_is_run_again_whole() {
        let picked = planned(&message(MessageState::Failed, Vec::new()), None).unwrap();
        assert_eq!(ids(&picked), [None]);
        assert!(planned(&message(MessageState::Kept, Vec::new()), None).is_err());
    }

    #[test]
    fn a_message_that_waits_for_a_code_is_looked_at_again_or_dropped_whole() {
        let held = message(MessageState::Held, Vec::new());
        assert_eq!(planned(&held, None).unwrap()[0].what, Picked::LOOK_AGAIN);
        assert_eq!(to_drop(&held, None).unwrap()[0].what, Picked::ABANDON);
        assert!(to_drop(&held, Some("record")).is_err());
    }

    #[test]
    fn a_message_that_was_run_again_is_not_run_a_second_time() {
        let mut shown = message(MessageState::Superseded, Vec::new());
        shown.superseded_by = Some(MessageId(12));
        let refused = planned(&shown, None).unwrap_err();
        assert!(format!("{refused:?}").contains("message 12 stands for message 1: see that one"));
    }

    #[test]
    fn what_waits_for_a_destination_that_is_gone_can_go_to_another() {
        let detached = message(MessageState::Queued, vec![delivery(3, "old", DeliveryState::Waiting)]);
        let picked = planned(&detached, Some("new")).unwrap();
        assert_eq!(picked[0].what, "send to new instead");
        assert_eq!(moved_to(&detached, 3, Some("new")), Some("new".to_owned()));
        assert_eq!(moved_to(&detached, 3, Some("old")), None);
    }

    #[test]
    fn what_is_sent_cannot_be_dropped() {
        let deliveries =
            vec![delivery(1, "record", DeliveryState::Waiting), delivery(2, "archive", DeliveryState::Sent)];
        let shown = message(MessageState::Queued, deliveries);
        assert_eq!(ids(&to_drop(&shown, None).unwrap()), [Some(1)]);
        assert!(to_drop(&shown, Some("archive")).is_err());
    }
}
