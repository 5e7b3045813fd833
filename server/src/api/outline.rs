//! What a channel's files say: drawn, as text with what is wrong in it, and tried by its tests.

use std::{path::PathBuf, sync::Arc};

use axum::{Json, extract::State};
use channels::{Expected, Outline, TestResult};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Context, answers::faults_json, asked::Path, channels::unknown, problem::Problem};

type Shared = State<Arc<Context>>;

/// A channel's file as it is on disk, beside what runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ChannelFile {
    /// Relative to the project.
    file: String,
    text: String,
    /// Of what runs: the file with every script and table that it uses; nothing where nothing runs.
    in_force: Option<String>,
    version: String,
    /// The same of the files as they are now; nothing where they have faults.
    edited: Option<String>,
    faults: Vec<Value>,
    /// The names of its tests.
    tests: Vec<String>,
}

/// How one test went.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Tested {
    test: String,
    passed: bool,
    problems: Vec<Found>,
    seconds: f64,
}

/// One thing that is not as a test expects.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Found {
    what: String,
    diff: Option<String>,
}

pub(super) async fn show(
    State(context): Shared,
    Path(name): Path<String>,
) -> Result<Json<Arc<Outline>>, Problem> {
    let member = context.fleet.member(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(member.outline))
}

pub(super) async fn file(
    State(context): Shared,
    Path(name): Path<String>,
) -> Result<Json<ChannelFile>, Problem> {
    let member = context.fleet.member(&name).ok_or_else(|| unknown(&name))?;
    let project = context.fleet.read().await;
    let text = text(context.fleet.root.join(&member.file)).await?;
    let read = project.channels.iter().find(|read| read.file == member.file);
    let faults: Vec<_> = project.faults.iter().filter(|fault| fault.file == member.file).cloned().collect();
    Ok(Json(ChannelFile {
        file: member.file.display().to_string(),
        text,
        in_force: member.running().map(|channel| channel.plan().text.to_string()),
        version: member.version.to_string(),
        edited: read.and_then(|read| read.plan.as_ref()).map(|plan| plan.text.to_string()),
        faults: faults_json(&faults),
        tests: read.map(|read| read.tests.clone()).unwrap_or_default(),
    }))
}

/// The same steps as in a running channel, with nothing behind them.
pub(super) async fn test(
    State(context): Shared,
    Path(name): Path<String>,
) -> Result<Json<Vec<Tested>>, Problem> {
    context.fleet.member(&name).ok_or_else(|| unknown(&name))?;
    let project = context.fleet.read().await;
    let names = [name.clone()];
    let run = move || channels::run_tests(&project, &names, Expected::Compare);
    let results = tokio::task::spawn_blocking(run).await;
    let results = results.map_err(|_| Problem::unavailable("the tests broke off"))?;
    // A test of another channel may bear this one's name.
    Ok(Json(results.into_iter().filter(|result| result.channel == name).map(Tested::of).collect()))
}

impl Tested {
    fn of(result: TestResult) -> Self {
        Self {
            passed: result.passed(),
            test: result.test,
            problems: result
                .problems
                .into_iter()
                .map(|problem| Found { what: problem.what, diff: problem.diff })
                .collect(),
            seconds: result.took.as_secs_f64(),
        }
    }
}

async fn text(path: PathBuf) -> Result<String, Problem> {
    let bytes = tokio::fs::read(&path).await;
    let bytes =
        bytes.map_err(|error| Problem::conflict(format!("cannot read {}: {error}", path.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
