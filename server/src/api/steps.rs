//! What each step made of a message, run once more from what was kept; and the attempts at its deliveries.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{Json, extract::State, http::StatusCode};
use engine::{Content, History as _, Input, Message, Shown, Stepped, Watch};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Context, asked::Path, messages, problem::Problem};
use crate::{
    accounts::Caller,
    attempts::{self, AttemptStatus},
};

type Shared = State<Arc<Context>>;

/// What the steps made of a message, one after the other.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Steps {
    /// The version that was in force then, and is now.
    version: String,
    steps: Vec<StepStatus>,
}

/// One step of one run.
#[derive(Debug, Serialize, JsonSchema)]
struct StepStatus {
    /// As errors name it.
    name: String,
    /// Whose own step it is; none: the channel's.
    destination: Option<String>,
    /// How long it took when it was run again, in seconds.
    took: f64,
    /// Why it stopped the message, where it did.
    halt: Option<String>,
    /// What the message was behind it: once, or each part. Left out where a step of the channel changed nothing.
    contents: Option<Vec<Value>>,
}

/// What was heard of one step.
struct Heard {
    name: String,
    destination: Option<String>,
    took: Duration,
    halt: Option<String>,
    contents: Vec<Content>,
}

#[derive(Default)]
struct Listener(Mutex<Vec<Heard>>);

impl Watch for Listener {
    fn step(&self, step: &Stepped<'_>) {
        let heard = Heard {
            name: step.name.to_owned(),
            destination: step.destination.map(str::to_owned),
            took: step.took,
            halt: step.halt.map(ToString::to_string),
            contents: step.contents.to_vec(),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    }
}

/// Runs the steps once more, where that tells what they did then; the look is written down before.
pub(super) async fn show(
    State(context): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Steps>, Problem> {
    let shown = messages::shown(&context, &id).await?;
    let channel = context.fleet.member(&shown.row.channel).and_then(|member| member.running().cloned());
    let Some(channel) = channel else {
        return Err(Problem::conflict("its channel does not run: its steps cannot be run again"));
    };
    let (then, now) = (shown.row.version.clone(), channel.plan().version.to_string());
    if then != now {
        return Err(Problem::conflict(format!(
            "its channel has another version now ({} then, {} now): what each step did then cannot be run again",
            start(&then),
            start(&now)
        )));
    }
    let message = message(&shown)?;
    messages::look(&context, &caller, &shown).await?;
    let inputs = shown.inputs.clone().unwrap_or_else(|| Value::Array(Vec::new()));
    let asked: Vec<Input> = serde_json::from_value(inputs.clone())
        .map_err(|_| Problem::conflict("what its steps asked then cannot be read"))?;
    let listener = Arc::new(Listener::default());
    let watch = Arc::clone(&listener) as Arc<dyn Watch>;
    let whole = message.body.clone();
    let looked = tokio::task::spawn_blocking(move || channel.look(&message, asked, watch)).await;
    let looked = looked.map_err(|_| Problem::conflict("its steps broke"))?.map_err(Problem::conflict)?;
    if looked.recorded != inputs {
        return Err(Problem::conflict(
            "what its steps asked then (a server's table, the directory) cannot be asked again: what each step did is not known",
        ));
    }
    let heard = std::mem::take(&mut *listener.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Json(Steps { version: now, steps: told(heard, whole) }))
}

fn start(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

fn message(shown: &Shown) -> Result<Message, Problem> {
    let gone = || Problem::new(StatusCode::GONE, "its content is no longer kept (`keep.content`)");
    let body = shown.body.clone().ok_or_else(gone)?;
    let received =
        shown.row.received.parse::<jiff::Timestamp>().map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
    Ok(Message {
        id: shown.row.id,
        identity: body.hash(),
        body,
        facts: Arc::new(shown.source.clone()),
        control_id: shown.row.control_id.clone(),
        received,
    })
}

/// What a step of the channel left as it was is left out.
fn told(heard: Vec<Heard>, whole: Content) -> Vec<StepStatus> {
    let mut before = vec![whole];
    let mut steps = Vec::new();
    for one in heard {
        let is_changed = one.destination.is_some() || one.contents != before;
        let contents = is_changed.then(|| one.contents.iter().map(messages::content_json).collect());
        before = one.contents;
        steps.push(StepStatus {
            name: one.name,
            destination: one.destination,
            took: one.took.as_secs_f64(),
            halt: one.halt,
            contents,
        });
    }
    steps
}

pub(super) async fn attempts(
    State(context): Shared,
    Path(id): Path<String>,
) -> Result<Json<Vec<AttemptStatus>>, Problem> {
    let shown = messages::shown(&context, &id).await?;
    Ok(Json(attempts::listed(&context.fleet.store.attempts(shown.row.id).await?)))
}
