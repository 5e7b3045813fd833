//! How far a sync is: noted with each page, read by whoever looks after it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::slices::Slice;

/// Everything a sync remembers, beside the resources themselves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The base and what is asked of it. Another one begins with a whole pass.
    pub origin: String,
    pub standing: Standing,
    /// Why it does not go on, or what it waits for.
    pub why: Option<String>,
    /// It goes on only after somebody has looked.
    pub needs_person: bool,
    /// Everything that could be seen at this time, by the server's clock, was taken.
    pub watermark: Option<Timestamp>,
    /// Attempts are counted here, whatever the server's clock does.
    pub attempts: i64,
    pub passes: i64,
    pub last_success: Option<Timestamp>,
    pub last_full: Option<Timestamp>,
    pub next_run: Option<Timestamp>,
    /// Pages of the run that runs, or ran last.
    pub pages: u64,
    /// Resources on those pages.
    pub seen: u64,
    /// Entries of that run that could not be used.
    pub rejected: u64,
    /// Of those, so many that nothing names: nobody can ask for them again.
    pub nameless: u64,
    /// Resources of which an entry could not be used: each is asked for by its id at the end of a run, until it can be.
    pub unusable: Vec<Unusable>,
    /// Changes that came later than `overlap` allows for.
    pub late_changes: i64,
    /// Those of the run that runs, or ran last.
    pub late: i64,
    /// Resources that no page of a whole pass had, and that their server has: it was asked for each by its id.
    pub overlooked: u64,
    /// Resources that their server has, and that the filter finds no more.
    pub outside: u64,
    /// Of all runs.
    pub pages_total: u64,
    pub created: i64,
    pub updated: i64,
    pub deactivated: i64,
    pub removed: i64,
    pub run: Option<Run>,
}

/// A resource of which nothing could be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusable {
    pub id: String,
    /// When it came so first.
    pub since: Timestamp,
}

/// How a sync stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Standing {
    Ok,
    /// It could not end; see why.
    Ko,
    /// Somebody stopped it, or it has never run.
    #[default]
    Stop,
    Running,
}

/// One way through a search, from its first page to its last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub mode: Mode,
    pub attempt: i64,
    /// The server's time at its first page; none before that came, or where the server told none.
    pub begun: Option<Timestamp>,
    /// Ours.
    pub started: Timestamp,
    /// Changes before this time are not asked for.
    pub from: Option<Timestamp>,
    /// The next page; none: the first one, or the end.
    pub next: Option<String>,
    pub is_through: bool,
    /// So many a page: a whole pass that loses its links asks for fewer.
    pub count: u32,
    pub pages: u64,
    pub total: Option<u64>,
    /// How often a link died.
    pub losses: u32,
    /// The piece of a whole pass that is being taken, where it goes by pieces.
    pub slice: Option<Slice>,
    /// The latest change that came.
    pub latest: Option<Timestamp>,
    /// The whole pass that this one is, or that it follows.
    pub pass: Option<Pass>,
}

/// A whole pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    pub number: i64,
    pub attempt: i64,
    /// Changes before this time should have come before.
    pub early: Option<Timestamp>,
    /// Those up to this id were looked for, one by one.
    pub swept: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    Full,
    Delta,
}

impl State {
    /// What is known of another origin counts no more, but its counters go on.
    pub(super) fn of_origin(self, origin: &str) -> Self {
        if self.origin == origin {
            return self;
        }
        let (attempts, passes) = (self.attempts, self.passes);
        Self { origin: origin.to_owned(), attempts, passes, ..Self::default() }
    }

    /// Begins an attempt.
    pub(super) fn begin(&mut self, mode: Mode, count: u32, pass: Option<Pass>) -> &mut Run {
        self.attempts += 1;
        self.standing = Standing::Running;
        (self.why, self.needs_person) = (None, false);
        self.run.insert(Run {
            mode,
            attempt: self.attempts,
            begun: None,
            started: Timestamp::now(),
            from: None,
            next: None,
            is_through: false,
            count,
            pages: 0,
            total: None,
            losses: 0,
            slice: None,
            latest: None,
            pass,
        })
    }
}

impl Standing {
    /// The word that is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Ko => "KO",
            Self::Stop => "STOP",
            Self::Running => "RUNNING",
        }
    }
}
