//! Many messages sent again by a filter: a plan first, then one go that tells how far it is, and that can be stopped.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Extension, Json, extract::State, http::StatusCode};
use engine::{History as _, MessageId, MessageRow};
use futures_util::FutureExt as _;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context, Picked,
    asked::{Body, Path},
    deliveries::{self, send_again, to_resend},
    messages::{self, Wanted},
    problem::Problem,
    rights::{Nothing, Subject},
};
use crate::{
    accounts::Caller,
    audit::Deed,
    events::{Event, Events},
    why::Why,
};

type Shared = State<Arc<Context>>;

/// So many messages in one go.
const MOST: usize = 10_000;
/// So many are read at once for a plan.
const PAGE: usize = 1000;
/// So many goes that are over are remembered.
const REMEMBERED: usize = 20;
/// So many reasons are told.
const REASONS: usize = 5;
/// How often it is told how far a go is, at most.
const TOLD: Duration = Duration::from_millis(500);

/// Which messages, and where to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    channel: Option<String>,
    destination: Option<String>,
    /// A message's or a delivery's state.
    state: Option<String>,
    /// A search key; needs the right to see content.
    q: Option<String>,
    since: Option<String>,
    /// One destination alone, in place of `destination`.
    to: Option<String>,
    /// Says what would be done, and does nothing.
    #[serde(default)]
    plan: bool,
}

/// What would be done.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Planned {
    /// Messages of which something is sent again.
    messages: usize,
    /// What is done to how many.
    deeds: Vec<PlannedDeed>,
    /// Messages of which nothing can be sent again.
    left: usize,
    /// Why, for some of them.
    reasons: Vec<Why>,
    /// Whether these are all that fit the filter; else one go takes the newest 10,000.
    is_whole: bool,
}

/// The same thing, done to many.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Serialize, JsonSchema)]
pub(super) struct PlannedDeed {
    channel: String,
    /// None: the message is run again whole, or looked at again.
    destination: Option<String>,
    /// How those stand that are sent.
    state: String,
    number: usize,
}

/// One go.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Go {
    id: u64,
    by: String,
    began: String,
    ended: Option<String>,
    /// `running`, `done` or `stopped`.
    state: &'static str,
    messages: usize,
    done: usize,
    failed: usize,
    /// Why, for some of those that failed.
    reasons: Vec<Why>,
    #[serde(skip)]
    asked: Arc<AtomicBool>,
}

/// What was begun since the start.
#[derive(Default)]
pub(crate) struct Many(Mutex<BTreeMap<u64, Go>>);

/// What a filter comes to.
#[derive(Default)]
struct Found {
    planned: Planned,
    able: Vec<MessageId>,
}

/// A plan, or a go that has begun.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Answer {
    Planned(Planned),
    Begun(Go),
}

type Answered = Result<(Option<Extension<Nothing>>, Extension<Subject>, Json<Answer>), Problem>;

pub(super) async fn resend(State(context): Shared, caller: Caller, Body(wish): Body<Wish>) -> Answered {
    let subject = Extension(Subject(wish.words()));
    let found = find(&context, &caller, &wish).await?;
    if wish.plan {
        return Ok((Some(Extension(Nothing)), subject, Json(Answer::Planned(found.planned))));
    }
    if found.able.is_empty() {
        return Err(Problem::conflict("nothing of what fits can be sent again"));
    }
    let go = context.many.begin(&caller.name, found.able.len())?;
    context.events.go(&go);
    tokio::spawn(run(Arc::clone(&context), go.clone(), (found.able, wish.to()), caller));
    Ok((None, subject, Json(Answer::Begun(go))))
}

/// One's own, or all for who sees everything.
pub(super) async fn list(State(context): Shared, caller: Caller) -> Json<Vec<Go>> {
    let all = context.many.lock();
    let is_seen = |go: &&Go| caller.sees_everything() || go.by == caller.name;
    Json(all.values().rev().filter(is_seen).cloned().collect())
}

/// What was sent until then is sent.
pub(super) async fn stop(
    State(context): Shared,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<StatusCode, Problem> {
    let all = context.many.lock();
    let found = all.get(&id).filter(|go| caller.sees_everything() || go.by == caller.name);
    let go = found.ok_or_else(|| Problem::missing(format!("nothing was begun under the number {id}")))?;
    go.asked.store(true, Ordering::SeqCst);
    Ok(StatusCode::NO_CONTENT)
}

impl Wish {
    fn wanted(&self, before: Option<MessageId>) -> Wanted {
        Wanted {
            channel: self.channel.clone(),
            destination: self.destination.clone(),
            state: self.state.clone(),
            q: self.q.clone(),
            since: self.since.clone(),
            before: before.map(|id| id.0),
            limit: Some(PAGE),
        }
    }

    /// Where a destination was filtered by, nothing else is meant.
    fn to(&self) -> Option<String> {
        self.to.clone().or_else(|| self.destination.clone())
    }

    /// For the audit log: nothing that patients are found by.
    fn words(&self) -> String {
        let parts = [
            ("channel", &self.channel),
            ("destination", &self.destination),
            ("state", &self.state),
            ("since", &self.since),
            ("to", &self.to),
        ];
        let given = parts.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
        let mut words: Vec<_> = given.collect();
        if self.q.is_some() {
            words.push("by content".to_owned());
        }
        if words.is_empty() { "all messages".to_owned() } else { words.join(", ") }
    }
}

/// Reads what fits, newest first, and says of each what would be done; from the oldest on.
async fn find(context: &Context, caller: &Caller, wish: &Wish) -> Result<Found, Problem> {
    let (mut found, mut before, mut deeds) = (Found::default(), None, BTreeMap::new());
    // Looked through and not able counts too: a filter that fits millions must come to an end.
    let mut looked = 0;
    loop {
        let rows = messages::rows(context, caller, wish.wanted(before)).await?;
        let (is_last, mut is_full) = (rows.len() < PAGE, false);
        before = rows.last().map(|row| row.id);
        for row in &rows {
            looked += 1;
            found.take(row, wish.to().as_deref(), &mut deeds);
            is_full = looked == MOST;
            if is_full {
                break;
            }
        }
        if is_last || is_full {
            found.planned.is_whole = is_last && !is_full;
            break;
        }
    }
    found.able.reverse();
    found.planned.messages = found.able.len();
    found.planned.deeds = deeds.into_iter().map(|(deed, number)| PlannedDeed { number, ..deed }).collect();
    Ok(found)
}

impl Found {
    fn take(&mut self, row: &MessageRow, to: Option<&str>, deeds: &mut BTreeMap<PlannedDeed, usize>) {
        match to_resend(row, None, to) {
            Ok(picked) => {
                self.able.push(row.id);
                for Picked { destination, state, .. } in picked {
                    let deed = PlannedDeed { channel: row.channel.clone(), destination, state, number: 0 };
                    *deeds.entry(deed).or_default() += 1;
                }
            }
            Err(problem) => {
                self.planned.left += 1;
                if self.planned.reasons.len() < REASONS {
                    self.planned.reasons.push(problem.why().clone());
                }
            }
        }
    }
}

/// Sends one after the other; what fails is counted, and the rest goes on.
async fn run(
    context: Arc<Context>,
    go: Go,
    (messages, to): (Vec<MessageId>, Option<String>),
    caller: Caller,
) {
    let is_stopped = || go.asked.load(Ordering::SeqCst) || context.stop.is_requested();
    let mut last = Instant::now();
    let going = Going { many: &context.many, id: go.id };
    for id in messages.into_iter().take_while(|_| !is_stopped()) {
        going.carry(id, one(&context, id, to.as_deref(), &caller.name)).await;
        if last.elapsed() > TOLD {
            last = Instant::now();
            context.many.tell(go.id, &context.events);
        }
    }
    let ended = going.end();
    context.many.tell(go.id, &context.events);
    let Some(Go { state, done, failed, messages, .. }) = ended else { return };
    let subject = format!("go {}: {state}, {done} of {messages} sent again, {failed} not", go.id);
    let deed = Deed::of(&caller, "sent many messages again", &subject);
    if let Err(error) = context.audit.write(deed).await {
        tracing::error!(%error, "cannot write the audit log; what was done stays done");
    }
}

async fn one(context: &Context, id: MessageId, to: Option<&str>, by: &str) -> Result<(), Problem> {
    let shown = context.fleet.store.show(id).await?;
    let shown = shown.ok_or_else(|| Problem::missing(format!("message {id} is no longer kept")))?;
    send_again(context, &shown, &deliveries::Wish::sending(to), by).await.map(drop)
}

/// A go on its way: however it is left, it is over then, and the next may begin.
struct Going<'a> {
    many: &'a Many,
    id: u64,
}

impl Going<'_> {
    /// Sends one: a bug that cuts it is a failure of that message, and of no other.
    async fn carry(&self, id: MessageId, sending: impl Future<Output = Result<(), Problem>>) {
        let sent = AssertUnwindSafe(sending).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(message_id = id.0, "a bug cut the sending again of a message; the others go on");
            Err(Problem::conflict(format!("a bug cut message {id}")))
        });
        self.many.count(self.id, sent.err());
    }

    fn end(self) -> Option<Go> {
        self.many.end(self.id)
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.many.end(self.id);
    }
}

impl Many {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Go>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One at a time: two that send the same would send it twice.
    fn begin(&self, by: &str, messages: usize) -> Result<Go, Problem> {
        let mut all = self.lock();
        if let Some(running) = all.values().find(|go| go.ended.is_none()) {
            let (id, by) = (running.id, &running.by);
            return Err(Problem::conflict(format!(
                "{by} sends many messages again at this moment (go {id}); wait for its end, or stop it"
            )));
        }
        let id = all.keys().next_back().map_or(1, |last| last + 1);
        let go = Go {
            id,
            by: by.to_owned(),
            began: Timestamp::now().to_string(),
            ended: None,
            state: "running",
            messages,
            done: 0,
            failed: 0,
            reasons: Vec::new(),
            asked: Arc::default(),
        };
        all.insert(id, go.clone());
        while all.len() > REMEMBERED {
            all.pop_first();
        }
        Ok(go)
    }

    fn count(&self, id: u64, problem: Option<Problem>) {
        let mut all = self.lock();
        let Some(go) = all.get_mut(&id) else { return };
        match problem {
            None => go.done += 1,
            Some(problem) => {
                go.failed += 1;
                if go.reasons.len() < REASONS {
                    go.reasons.push(problem.why().clone());
                }
            }
        }
    }

    fn end(&self, id: u64) -> Option<Go> {
        let mut all = self.lock();
        let go = all.get_mut(&id)?;
        if go.ended.is_some() {
            return Some(go.clone());
        }
        go.ended = Some(Timestamp::now().to_string());
        go.state = if go.done + go.failed < go.messages { "stopped" } else { "done" };
        Some(go.clone())
    }

    fn tell(&self, id: u64, events: &Events) {
        let go = self.lock().get(&id).cloned();
        if let Some(go) = go {
            events.go(&go);
        }
    }
}

impl Go {
    pub(crate) fn event(&self) -> Event {
        Event::Go { by: self.by.clone(), go: Box::new(self.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_at_a_time_and_says_how_it_ended() {
        let many = Many::default();
        let go = many.begin("marie", 2).unwrap();
        assert!(many.begin("paul", 1).is_err());
        many.count(go.id, None);
        many.count(go.id, Some(Problem::conflict("it is away")));
        let ended = many.end(go.id).unwrap();
        assert_eq!((ended.state, ended.done, ended.failed, ended.reasons.len()), ("done", 1, 1, 1));
        let next = many.begin("paul", 2).unwrap();
        assert_eq!((next.id, many.end(next.id).unwrap().state), (2, "stopped"));
    }

    #[tokio::test]
    async fn a_bug_that_cuts_one_message_stops_neither_the_others_nor_the_next_go() {
        let many = Many::default();
        let go = many.begin("marie", 3).unwrap();
        let going = Going { many: &many, id: go.id };
        let send = async |id: MessageId| {
            assert_ne!(id.0, 2, "a bug");
            Ok(())
        };
        for id in 1..=3 {
            going.carry(MessageId(id), send(MessageId(id))).await;
        }
        let ended = going.end().unwrap();
        assert_eq!((ended.state, ended.done, ended.failed), ("done", 2, 1));
        let cut = many.begin("paul", 1).unwrap();
        drop(Going { many: &many, id: cut.id });
        assert!(many.begin("paul", 1).is_ok(), "a go that was left on its way is over");
    }

    #[test]
    fn what_is_written_down_holds_nothing_that_a_patient_is_found_by() {
        let wish = Wish {
            channel: Some("lab".to_owned()),
            q: Some("DUPONT".to_owned()),
            state: Some("given_up".to_owned()),
            ..Wish::default()
        };
        assert_eq!(wish.words(), "channel lab, state given_up, by content");
        assert_eq!(Wish::default().words(), "all messages");
    }
}
