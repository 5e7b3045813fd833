//! What lies on a source's side and waits, or was not processed, for a person who asks.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{MessageId, OpenError};

/// The side that a source takes files from, as a person sees it. It can be asked whether or not the source runs.
#[async_trait]
pub trait Backlog: Send + Sync {
    /// Where files lie.
    fn place(&self) -> String;

    /// Where files lie, and how the source stands, in words.
    fn standing(&self) -> String;

    /// Lists what waits there, and what is taken and not put away; of each group so many files at most.
    async fn waiting(&self, most: usize) -> Result<Vec<FileGroup>, OpenError>;

    /// Lists what was refused, failed or left, and still lies where it was put.
    async fn unprocessed(&self) -> Result<Vec<UnprocessedFile>, OpenError>;

    /// Brings such a file back into the flow; says in words what was done.
    async fn take_up(&self, file: &UnprocessedFile, manner: TakeUp) -> Result<String, OpenError>;
}

/// Files that wait for the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileGroup {
    /// Where they lie.
    pub place: String,
    /// `waiting`, `growing` or `taken`.
    pub state: String,
    pub number: u64,
    pub bytes: u64,
    /// How long ago the oldest was written.
    pub oldest_seconds: Option<f64>,
    /// What they wait for, where that can be said.
    pub why: Option<String>,
    /// The oldest of them.
    pub files: Vec<WaitingFile>,
}

/// One file that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitingFile {
    pub file: String,
    pub size: u64,
    pub age_seconds: f64,
}

/// One file that was not processed.
#[derive(Debug, Clone, PartialEq)]
pub struct UnprocessedFile {
    /// Its name as it came.
    pub name: String,
    /// Where it lies now.
    pub at: String,
    /// `refused`, `failed`, or where it stayed in its folder, `left`.
    pub state: &'static str,
    pub why: Option<String>,
    /// Those of its messages that did not get through.
    pub messages: Vec<MessageId>,
    /// Whether it is known what became of it, and its bytes are still those.
    pub origin: Origin,
    /// By which the backlog finds it again.
    pub key: String,
}

/// How much is known of a file that was not processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was put there, and has stayed the same.
    Known,
    /// It was put there, and was changed since.
    Changed,
    /// Nothing is noted of it.
    Unknown,
}

/// How a file comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeUp {
    /// As the file it is: its messages were sent again, and it is put away by what becomes of them.
    Again,
    /// As a file that has just come.
    Anew,
}
