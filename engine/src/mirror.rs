//! What keeps a directory in step with the servers it is made from: durable progress, and changes that wait to leave.
//!
//! Each call is one transaction. What decides whether something has changed is here and nowhere else: a page, the
//! progress that it makes and the changes that it brings are written together, or not at all.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::{Directory, EmptyDirectory, Hash, StoreError};

/// Writes a directory. Calls block until they are durable.
pub trait Mirror: Directory {
    /// Takes over a sync, known or new, from whoever had it: what that one still writes is refused.
    fn take_over(&self, name: &SyncName) -> Result<Tenure, StoreError>;

    /// Everything that is known of the syncs.
    fn syncs(&self) -> Result<Vec<SyncRow>, StoreError>;

    /// Says what a sync shall do, and tells whoever listens.
    fn wish(&self, sync: i64, wish: Wish) -> Result<(), StoreError>;

    /// Changes whenever somebody wished something.
    fn wishes(&self) -> watch::Receiver<i64>;

    /// Says what a sync waits for, or with `None` that it waits no more. It is not kept.
    fn say(&self, sync: i64, why: Option<String>);

    /// What is wished of a sync.
    fn wished(&self, sync: i64) -> Result<Wished, StoreError>;

    /// Writes what came of one page, and how far it brings the sync.
    fn write(&self, tenure: &Tenure, page: &Page) -> Result<Written, StoreError>;

    /// Those that a whole pass did not see, and that nothing later touched: how many, and the first of them by their ids.
    fn unseen(&self, tenure: &Tenure, missed: &Missed) -> Result<(i64, Vec<String>), StoreError>;

    /// The content by which this sync knows a resource.
    fn known(&self, tenure: &Tenure, id: &str) -> Result<Option<Bytes>, StoreError>;

    /// Changes that wait to leave, in their order.
    fn changes(&self, tenure: &Tenure, limit: usize) -> Result<Vec<Change>, StoreError>;

    /// Those up to this number have left.
    fn left(&self, tenure: &Tenure, through: i64) -> Result<(), StoreError>;

    /// Keeps a resource that no sync of ours brought; says which version it is now.
    fn put(&self, kind: &str, id: &str, body: &Bytes) -> Result<i64, StoreError>;

    /// Forgets a sync, and every resource that no other sync has.
    fn forget(&self, sync: i64) -> Result<(), StoreError>;

    /// Names this directory, so that no other one's versions are taken for its own.
    fn name(&self) -> &str;
}

/// What makes a sync this one: its channel and its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SyncName {
    pub channel: String,
    /// `Practitioner`
    pub resource: String,
}

/// The right to write for a sync, until somebody else takes it over.
#[derive(Debug, Clone)]
pub struct Tenure {
    pub sync: i64,
    pub epoch: i64,
    pub resource: String,
    /// What was noted last; null where nothing was.
    pub note: Value,
}

/// One sync, as it stands.
#[derive(Debug, Clone)]
pub struct SyncRow {
    pub sync: i64,
    pub name: SyncName,
    pub note: Value,
    pub wished: Wished,
    /// What it waits for now.
    pub says: Option<String>,
    /// Resources that its server has, as far as it knows.
    pub resources: i64,
    /// Changes that wait to leave.
    pub waiting: i64,
}

/// What a person asks of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Stop,
    /// At once, and as planned from then on.
    Start,
    /// A whole pass at once.
    Full,
    /// It begins to run.
    Begun,
    /// It begins a whole pass.
    BegunFull,
}

/// What stands wished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wished {
    pub is_stopped: bool,
    pub now: bool,
    pub full: bool,
}

/// What a page brings.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub seen: Vec<Seen>,
    /// Those that the server has, and what is asked for does not find: no whole pass looks for them again.
    pub outside: Vec<Seen>,
    /// Ids that the server has, and of which nothing could be used.
    pub present: Vec<String>,
    /// Ids that are no more.
    pub removed: Vec<Removed>,
    /// The whole pass that this is of.
    pub pass: Option<i64>,
    /// Changes by the server's word before this time, in nanoseconds, should have come earlier.
    pub early: Option<i64>,
    /// How far the sync is then.
    pub note: Value,
}

/// One version of a resource, as its server gave it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: String,
    /// Greater for what counts more: the attempt, the server's time in nanoseconds, its number of the version.
    pub rank: (i64, i64, i64),
    /// Of its content alone, without the server's version and time.
    pub hash: Hash,
    pub is_active: bool,
    pub body: Bytes,
}

/// A resource that its server has no more.
#[derive(Debug, Clone)]
pub struct Removed {
    pub id: String,
    pub attempt: i64,
    /// `None`: a tombstone. Else it is kept, and says that it is not active.
    pub instead: Option<(Hash, Bytes)>,
}

/// Which resources are looked for that were not seen.
#[derive(Debug, Clone)]
pub struct Missed {
    pub pass: i64,
    /// What an attempt from this one on touched is not meant.
    pub before_attempt: i64,
    pub after: Option<String>,
    /// Also those that stand outside of what was asked for once: now everything is asked for.
    pub also_outside: bool,
    pub limit: usize,
}

/// What came of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub created: i64,
    pub updated: i64,
    pub deactivated: i64,
    pub removed: i64,
    /// Changes that came later than the overlap allows for.
    pub late: i64,
    /// Resources that its server has now.
    pub resources: i64,
}

/// A change that waits to leave.
#[derive(Debug, Clone)]
pub struct Change {
    pub number: i64,
    pub id: String,
    /// The version that it made here.
    pub version: i64,
    pub what: Changed,
    pub updated: i64,
    pub body: Bytes,
    /// The version before it.
    pub previous: Option<Bytes>,
}

/// What became of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    Created,
    Updated,
    Deactivated,
    Removed,
}

impl Changed {
    pub const ALL: [Self; 4] = [Self::Created, Self::Updated, Self::Deactivated, Self::Removed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deactivated => "deactivated",
            Self::Removed => "removed",
        }
    }
}

/// Nothing can be kept in it.
impl Mirror for EmptyDirectory {
    fn take_over(&self, _name: &SyncName) -> Result<Tenure, StoreError> {
        Err(nothing())
    }

    fn syncs(&self) -> Result<Vec<SyncRow>, StoreError> {
        Ok(Vec::new())
    }

    fn wish(&self, _sync: i64, _wish: Wish) -> Result<(), StoreError> {
        Err(nothing())
    }

    fn wishes(&self) -> watch::Receiver<i64> {
        watch::channel(0).1
    }

    fn say(&self, _sync: i64, _why: Option<String>) {}

    fn wished(&self, _sync: i64) -> Result<Wished, StoreError> {
        Err(nothing())
    }

    fn write(&self, _tenure: &Tenure, _page: &Page) -> Result<Written, StoreError> {
        Err(nothing())
    }

    fn unseen(&self, _tenure: &Tenure, _missed: &Missed) -> Result<(i64, Vec<String>), StoreError> {
        Err(nothing())
    }

    fn known(&self, _tenure: &Tenure, _id: &str) -> Result<Option<Bytes>, StoreError> {
        Err(nothing())
    }

    fn changes(&self, _tenure: &Tenure, _limit: usize) -> Result<Vec<Change>, StoreError> {
        Err(nothing())
    }

    fn left(&self, _tenure: &Tenure, _through: i64) -> Result<(), StoreError> {
        Err(nothing())
    }

    fn put(&self, _kind: &str, _id: &str, _body: &Bytes) -> Result<i64, StoreError> {
        Err(nothing())
    }

    fn forget(&self, _sync: i64) -> Result<(), StoreError> {
        Err(nothing())
    }

    fn name(&self) -> &'static str {
        ""
    }
}

fn nothing() -> StoreError {
    StoreError("no directory is kept here".to_owned())
}
