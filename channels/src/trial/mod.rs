//! Runs the `tests:` of channels: the steps alone, with nothing behind them.

mod answers;
mod code;
mod diff;
mod expect;
mod group;
mod junit;
mod run;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{Expect, Expectations, OnResponse, ReplyPolicy, ReplyWords, Script};
use scripts::OutletFile;

pub use junit::junit;

use crate::{Project, reading::ChannelRead, tests_file::TestFile};

/// What to do with expected files that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Compare,
    /// Writes what came out into the files that `expect` names (`--update`).
    Rewrite,
}

/// How one test went.
#[derive(Debug, Clone)]
pub struct TestResult {
    pub channel: String,
    pub test: String,
    /// Empty: it passed.
    pub problems: Vec<Problem>,
    /// Expected files that were rewritten, relative to the project.
    pub rewritten: Vec<PathBuf>,
    pub took: Duration,
}

/// One thing that is not as the test expects.
#[derive(Debug, Clone)]
pub struct Problem {
    /// In one line.
    pub what: String,
    /// Lines that begin with `-` (expected), `+` (came out) or a space, where two texts differ.
    pub diff: Option<String>,
}

impl TestResult {
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Problem {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), diff: None }
    }
}

/// What is needed of a channel to run its tests.
pub(crate) struct Trial {
    channel: Arc<str>,
    script: Arc<dyn Script>,
    reply: ReplyPolicy,
    words: ReplyWords,
    batches: Batches,
    /// It has `group:`.
    gathers: bool,
    speech: Speech,
    /// In the order of the file.
    outlets: Vec<TrialOutlet>,
    expect: Option<Expect>,
    tests: Vec<TestFile>,
}

/// What is around a channel whose test runs.
struct Around<'p> {
    root: &'p Path,
    /// Of all channels of the project.
    trials: &'p [&'p Trial],
    /// Who waits for answers: the channel whose test it is.
    expectations: Expectations,
}

/// What becomes of a batch before the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batches {
    /// Each of its messages goes its own way.
    Split,
    /// It is one message, as any other.
    Whole,
}

/// In whose words a sender is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// By acknowledgement codes.
    Hl7,
    /// By the status of HTTP.
    Http,
    /// By the status of DICOM.
    Dicom,
}

struct TrialOutlet {
    name: String,
    after: Option<String>,
    on_response: OnResponse,
}

impl Trial {
    pub(crate) fn new(read: &ChannelRead, script: Arc<dyn Script>, protocol: Option<&str>) -> Self {
        let outlets = read.destinations.iter().map(|destination| TrialOutlet {
            name: destination.name.clone(),
            after: destination.outlet.after.clone(),
            on_response: on_response(&destination.outlet),
        });
        Self {
            channel: read.name.as_str().into(),
            script,
            reply: read.reply.policy.clone(),
            words: read.reply.words.clone(),
            batches: if protocol == Some("mllp") { Batches::Split } else { Batches::Whole },
            gathers: read.group.is_some(),
            speech: match protocol {
                Some("http") => Speech::Http,
                Some("dicom") => Speech::Dicom,
                _ => Speech::Hl7,
            },
            outlets: outlets.collect(),
            expect: read.expect.as_ref().map(|expect| expect.plan.clone()),
            tests: read.tests.clone(),
        }
    }
}

/// As the engine is told of it.
fn on_response(outlet: &OutletFile) -> OnResponse {
    if outlet.on_response.is_empty() { OnResponse::Nothing } else { OnResponse::Judges }
}

/// Runs the tests of every channel whose steps compile. `names` picks channels or tests; empty means all.
pub fn run_tests(project: &Project, names: &[String], expected: Expected) -> Vec<TestResult> {
    let mut results = Vec::new();
    let trials: Vec<&Trial> = project.channels.iter().filter_map(|channel| channel.trial.as_ref()).collect();
    for trial in &trials {
        let expectations = Expectations::default();
        expectations.put(&trial.channel, trial.expect.as_ref(), &trial.script);
        let around = Around { root: &project.root, trials: &trials, expectations };
        let of_channel = names.is_empty() || names.iter().any(|name| **name == *trial.channel);
        for test in trial.tests.iter().filter(|test| of_channel || names.contains(&test.name)) {
            let begun = Instant::now();
            let (problems, rewritten) = expect::check(trial, test, &around, expected);
            results.push(TestResult {
                channel: trial.channel.to_string(),
                test: test.name.clone(),
                problems,
                rewritten,
                took: begun.elapsed(),
            });
        }
    }
    results
}
