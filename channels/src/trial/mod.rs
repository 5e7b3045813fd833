//! Runs the `tests:` of channels: the steps alone, with nothing behind them.

use std::{path::PathBuf, time::Duration};

use crate::Project;

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

/// Runs the tests of every channel whose steps compile. `names` picks channels or tests; empty means all.
pub fn run_tests(project: &Project, names: &[String], expected: Expected) -> Vec<TestResult> {
    let _ = (project, names, expected);
    unimplemented!("being written")
}

/// The results as JUnit XML.
pub fn junit(results: &[TestResult]) -> String {
    let _ = results;
    unimplemented!("being written")
}
