//! Messages: found, and shown with all that is kept of them.

use std::{
    cmp::Reverse,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use engine::{Content, History as _, MessageId, MessageRow, Shown};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Context, MessageStatus,
    asked::{Path, Query, limit},
    problem::Problem,
    rights::require_seen,
    words::text_of,
};
use crate::{
    accounts::{Caller, Right},
    audit::Deed,
    why::Reader,
};

/// As many as a list gives at once, unless asked for fewer or more.
const USUAL: usize = 50;
const MOST: usize = 1000;

/// What is looked for; everything given must fit.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    pub(super) channel: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) state: Option<String>,
    pub(super) q: Option<String>,
    pub(super) since: Option<String>,
    pub(super) before: Option<u64>,
    pub(super) limit: Option<usize>,
}

/// Every state there is, of messages and of deliveries.
const STATES: [&str; 15] = [
    "kept",
    "queued",
    "filtered",
    "unrouted",
    "refused",
    "failed",
    "held",
    "superseded",
    "waiting",
    "begun",
    "sent",
    "unsure",
    "set_aside",
    "given_up",
    "dropped",
];

impl Wanted {
    /// What the store is asked: one question, or one for each channel that the caller sees. A search by content is
    /// written down first.
    pub(super) async fn queries(
        self,
        context: &Context,
        caller: &Caller,
    ) -> Result<Vec<engine::Query>, Problem> {
        let query = self.query(caller)?;
        if query.text.is_some() {
            let of = query.channel.as_ref().map(|channel| format!("channel {channel}")).unwrap_or_default();
            let written = context.audit.write(Deed::of(caller, "search by content", &of)).await;
            written.map_err(|error| Problem::no_audit(&error))?;
        }
        if let Some(channel) = &query.channel {
            // Of one that is no more there may be messages still.
            if !caller.sees_everything() {
                require_seen(context, caller, channel)?;
            }
            return Ok(vec![query]);
        }
        if caller.sees_everything() {
            return Ok(vec![query]);
        }
        let seen = context.fleet.seen(&caller.sees).into_iter();
        Ok(seen.map(|channel| engine::Query { channel: Some(channel), ..query.clone() }).collect())
    }

    pub(super) fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit, USUAL, MOST)
    }

    /// What messages are searched by is of their content.
    pub(super) fn query(self, caller: &Caller) -> Result<engine::Query, Problem> {
        if self.q.as_ref().is_some_and(|text| !text.is_empty()) && !caller.may(Right::Content) {
            return Err(Problem::forbidden(Right::Content));
        }
        if let Some(state) = &self.state
            && !STATES.contains(&state.as_str())
        {
            let states = STATES.join(", ");
            return Err(Problem::wrong(format!("there is no state `{state}`; there are {states}")));
        }
        let limit = self.limit()?;
        Ok(engine::Query {
            channel: self.channel,
            destination: self.destination,
            state: self.state,
            text: self.q.filter(|text| !text.is_empty()),
            since: self.since.as_deref().map(since).transpose()?,
            before: self.before.map(MessageId),
            limit,
        })
    }
}

/// A point in time (`2026-03-01T08:00:00Z`), or how long ago (`2h`, `3d`).
fn since(text: &str) -> Result<SystemTime, Problem> {
    if let Ok(when) = text.parse::<jiff::Timestamp>() {
        return Ok(when.into());
    }
    let ago = ago(text).ok_or_else(|| {
        Problem::wrong(format!(
            "`{text}` is no time; write 2026-03-01T08:00:00Z, or how long ago: 30m, 2h, 3d"
        ))
    })?;
    Ok(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))
}

fn ago(text: &str) -> Option<Duration> {
    let unit = text.char_indices().next_back()?;
    let number: u64 = text[..unit.0].parse().ok()?;
    let seconds = match unit.1 {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

pub(super) async fn find(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<MessageStatus>>, Problem> {
    let rows = rows(&context, &caller, wanted).await?;
    Ok(Json(rows.into_iter().map(MessageStatus::of).collect()))
}

/// The newest that fit, of the channels that the caller sees.
pub(super) async fn rows(
    context: &Context,
    caller: &Caller,
    wanted: Wanted,
) -> Result<Vec<MessageRow>, Problem> {
    let limit = wanted.limit()?;
    let mut rows = Vec::new();
    for query in wanted.queries(context, caller).await? {
        rows.extend(context.fleet.store.find(&query).await?);
    }
    rows.sort_by_key(|row| Reverse(row.id));
    rows.truncate(limit);
    Ok(rows)
}

/// What is longer is not shown whole, but may be had as it is.
const LONGEST_SHOWN: usize = 32 << 20;
const BEGINNING: usize = 16 << 10;

/// Whether the content is wanted too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    #[default]
    Shown,
    Hidden,
}

#[derive(Debug, Deserialize)]
pub(super) struct How {
    #[serde(default)]
    content: Asked,
}

/// With content only for those who may see it, and each look is written down before it is answered.
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(how): Query<How>,
) -> Result<Json<Value>, Problem> {
    let shown = shown(&context, &id).await?;
    let group = context.fleet.store.membership(shown.row.id).await?;
    if how.content == Asked::Hidden || !caller.may(Right::Content) {
        let mut all = without_content(shown);
        all["group"] = json!(group);
        // What its members have in common may be a patient.
        if let Some(group) = all["group"].as_object_mut() {
            group.remove("key");
        }
        return Ok(Json(all));
    }
    look(&context, &caller, &shown).await?;
    let mut all = as_json(shown);
    all["group"] = json!(group);
    Ok(Json(all))
}

pub(super) async fn look(context: &Context, caller: &Caller, shown: &Shown) -> Result<(), Problem> {
    let deed = Deed::of(caller, "see content", &format!("message {}", shown.row.id));
    context.audit.write(deed).await.map_err(|error| Problem::no_audit(&error))?;
    Reader::is_noted();
    Ok(())
}

/// The bytes as they came.
pub(super) async fn body(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let shown = shown(&context, &id).await?;
    let body = shown.body.ok_or_else(|| {
        Problem::new(axum::http::StatusCode::GONE, "its content is no longer kept (`keep.content`)")
    })?;
    let deed = Deed::of(&caller, "see content", &format!("message {id}"));
    context.audit.write(deed).await.map_err(|error| Problem::no_audit(&error))?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    if let Some(bytes) = body.bytes() {
        return Ok((headers, bytes.clone()).into_response());
    }
    let length = [(header::CONTENT_LENGTH, body.len())];
    let pieces = stream::try_unfold(body.stream(), |mut stream| async move {
        Ok::<_, std::io::Error>(stream.next().await?.map(|piece| (piece, stream)))
    });
    Ok((headers, length, axum::body::Body::from_stream(pieces)).into_response())
}

pub(super) async fn shown(context: &Context, id: &str) -> Result<Shown, Problem> {
    let number: u64 = id.parse().map_err(|_| Problem::missing(format!("`{id}` is no message's id")))?;
    let found = context.fleet.store.show(MessageId(number)).await?;
    found.ok_or_else(|| Problem::missing(format!("there is no message {number}")))
}

/// The way of a message without anything that it holds: rows, and which parts and payloads there are.
fn without_content(shown: Shown) -> Value {
    let parts: Vec<_> = shown
        .parts
        .iter()
        .map(|part| json!({ "place": part.place, "control_id": part.control_id }))
        .collect();
    let payload = |one: &engine::ShownPayload| json!({ "delivery": one.delivery, "size": one.body.as_ref().map(Content::len), "response_size": one.response.as_ref().map(Vec::len) });
    let payloads: Vec<_> = shown.payloads.iter().map(payload).collect();
    let mut all = serde_json::to_value(MessageStatus::of(shown.row)).unwrap_or_default();
    all["content"] = json!("hidden");
    all["times"] = json!(shown.times);
    all["superseded_by"] = json!(shown.superseded_by);
    all["supersedes"] = json!(shown.supersedes);
    all["parts"] = Value::Array(parts);
    all["payloads"] = Value::Array(payloads);
    all
}

fn as_json(shown: Shown) -> Value {
    let parts = shown.parts.iter().map(|part| {
        json!({
            "place": part.place,
            "control_id": part.control_id,
            "halt": part.halt,
            "body": part.body.as_ref().map(content_json),
        })
    });
    let payloads = shown.payloads.iter().map(|payload| {
        let late = payload.late.iter().map(
            |late| json!({ "at": late.at, "facts": late.facts, "body": late.body.as_deref().map(body_json) }),
        );
        let late: Vec<Value> = late.collect();
        json!({
            "delivery": payload.delivery,
            "texts": payload.texts,
            "inputs": payload.inputs,
            "body": payload.body.as_ref().map(content_json),
            "response": payload.response.as_deref().map(body_json),
            "response_facts": payload.response_facts,
            "late": late,
        })
    });
    let (parts, payloads): (Vec<_>, Vec<_>) = (parts.collect(), payloads.collect());
    let mut all = serde_json::to_value(MessageStatus::of(shown.row)).unwrap_or_default();
    all["source"] = Value::Object(shown.source);
    all["times"] = json!(shown.times);
    all["superseded_by"] = json!(shown.superseded_by);
    all["supersedes"] = json!(shown.supersedes);
    let keys = shown.keys.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    all["keys"] = Value::Array(keys.collect());
    all["inputs"] = shown.inputs.unwrap_or_default();
    all["halt"] = shown.halt.unwrap_or_default();
    all["reply"] = shown.reply.unwrap_or_default();
    all["body"] = shown.body.as_ref().map(content_json).unwrap_or_default();
    all["parts"] = Value::Array(parts);
    all["payloads"] = Value::Array(payloads);
    all
}

/// Of what is too long to be looked through, its beginning: `exact` says that it is not all.
pub(super) fn content_json(content: &Content) -> Value {
    let whole = if content.len() > LONGEST_SHOWN { None } else { content.whole().ok() };
    if let Some(whole) = whole {
        return body_json(&whole);
    }
    let mut beginning = body_json(&content.head(BEGINNING).unwrap_or_default());
    beginning["size"] = json!(content.len());
    beginning["exact"] = json!(false);
    beginning
}

/// Bytes as text for a person; `exact` says whether the text is all of them.
fn body_json(bytes: &[u8]) -> Value {
    let text = text_of(bytes);
    json!({ "size": bytes.len(), "exact": text.as_bytes() == bytes, "text": text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_point_or_how_long_ago() {
        assert_eq!(ago("2h"), Some(Duration::from_hours(2)));
        assert_eq!(ago("3d"), Some(Duration::from_hours(72)));
        for wrong in ["", "h", "2x", "-2h", "2 h", "99999999999999999999d", "12é"] {
            assert_eq!(ago(wrong), None, "{wrong}");
        }
        let day: SystemTime = "2026-03-01T08:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
        assert_eq!(since("2026-03-01T09:00:00+01:00").unwrap(), day);
    }

    fn key() -> Caller {
        let rights = Right::ALL.to_vec();
        let sees = crate::accounts::Sees::Everything;
        Caller { name: "key".to_owned(), rights, sees, door: crate::accounts::Door::Key, from: None }
    }

    #[test]
    fn who_may_not_see_content_does_not_search_by_it() {
        let viewer = Caller { rights: vec![Right::Look], ..key() };
        let wanted = || Wanted { q: Some("DUPONT".to_owned()), ..Wanted::default() };
        assert!(wanted().query(&viewer).is_err());
        assert!(wanted().query(&key()).is_ok());
        assert!(Wanted::default().query(&viewer).is_ok());
    }

    #[test]
    fn a_state_that_is_none_is_told_with_those_there_are() {
        let wanted = Wanted { state: Some("lost".to_owned()), ..Wanted::default() };
        assert!(wanted.query(&key()).is_err());
        let wanted = Wanted { state: Some("given_up".to_owned()), ..Wanted::default() };
        assert_eq!(wanted.query(&key()).unwrap().limit, USUAL);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_shown_and_said_not_to_be_exact() {
        let shown = body_json(b"caf\xe9");
        assert_eq!(shown["exact"], false);
        assert_eq!(shown["size"], 4);
        assert_eq!(body_json("café".as_bytes())["exact"], true);
    }
}
