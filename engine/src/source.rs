//! The receiving end of a connector, and what a connector gets when it opens.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    Backlog, Checks, Connections, Feeds, Inlet, Mirror, OtherBytes, Ports, ReplyWords, Shares, Stop,
};

/// Takes messages from a protocol and writes back what [`Inlet`] says.
#[async_trait]
pub trait Source: Send {
    /// Runs until asked to stop. When it returns, nothing of it is left running.
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError>;
}

/// The settings of a source, as a channel writes them.
#[async_trait]
pub trait SourceSettings: Send + Sync {
    /// Says what is wrong, without touching network or disk.
    fn check(&self, _checks: &mut Checks<'_>) {}

    /// What two channels cannot both have.
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }

    /// How many connections it lets in at most.
    fn connections(&self) -> usize {
        0
    }

    /// The format its messages usually have: `hl7`, `json`, `text`, `binary`.
    fn usual_format(&self) -> &'static str;

    /// What becomes of other bytes under a name that is known. Where they are refused, names are known as long as messages.
    fn others(&self) -> OtherBytes {
        OtherBytes::Flag
    }

    /// Takes what it needs, a port above all; starts nothing.
    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError>;

    /// Tries whether the other side is there, without sending a message and leaving nothing behind.
    ///
    /// It ends by itself after a few seconds. A side that only waits to be asked is always there.
    async fn reach(&self, _opening: &Opening) -> Result<(), OpenError> {
        Ok(())
    }

    /// What lies on its side, where it takes files: for whoever asks what waits.
    fn backlog(&self, _opening: &Opening) -> Option<Arc<dyn Backlog>> {
        None
    }

    /// What is spoken with the other side, where that is chosen when they meet: for whoever asked whether it is there.
    async fn spoken(&self, _opening: &Opening) -> Option<String> {
        None
    }
}

/// What a connector gets when it opens.
#[derive(Clone)]
pub struct Opening {
    pub channel: Arc<str>,
    /// The project's folder: relative paths start there.
    pub root: PathBuf,
    pub words: ReplyWords,
    /// The charset of messages that do not say (`charset:`).
    pub charset: Option<String>,
    /// Listening sockets that outlive a reload.
    pub ports: Ports,
    /// The inlets of channels that other channels feed.
    pub feeds: Feeds,
    /// Connections that several channels use.
    pub shares: Shares,
    /// Open connections, for whoever looks at the channel.
    pub connections: Connections,
    /// A folder where a source may keep what it has to remember of its side. It may not be there yet.
    pub notes: PathBuf,
    /// Where a source says what keeps it from taking messages while it runs.
    pub trouble: Trouble,
    /// Resources that sources keep in step with their servers.
    pub directory: Arc<dyn Mirror>,
}

/// What keeps a running source from taking messages, in words for people: shown with its channel. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Trouble(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    of_all: Option<String>,
    /// That is tried again by itself, and nobody is needed for it.
    passes: bool,
    of_some: Option<String>,
}

impl Trouble {
    /// Says it, or with `None` that it is over. Returns whether that is news.
    pub fn say(&self, why: Option<String>) -> bool {
        let mut said = self.of();
        said.passes = false;
        is_news(&mut said.of_all, why)
    }

    /// The same of what is tried again by itself: nobody is needed for it.
    pub fn say_for_now(&self, why: Option<String>) -> bool {
        let mut said = self.of();
        said.passes = why.is_some();
        is_news(&mut said.of_all, why)
    }

    /// Says why some of what is there cannot be taken, while the rest goes its way. Returns whether that is news.
    pub fn say_of_some(&self, why: Option<String>) -> bool {
        is_news(&mut self.of().of_some, why)
    }

    pub fn said(&self) -> Option<String> {
        self.of().of_all.clone()
    }

    /// Whether what was said is tried again by itself.
    pub fn passes(&self) -> bool {
        self.of().passes
    }

    pub fn said_of_some(&self) -> Option<String> {
        self.of().of_some.clone()
    }

    fn of(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_news(said: &mut Option<String>, why: Option<String>) -> bool {
    let is_news = *said != why;
    *said = why;
    is_news
}

/// Something only one channel can have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Claim {
    Port(SocketAddr),
    /// A path of a port that several share, if they listen there in the same manner.
    Path {
        port: SocketAddr,
        path: String,
        manner: String,
    },
    /// The files of a folder whose names fit one of these patterns; several may share a folder if no name fits both.
    Folder {
        path: PathBuf,
        names: Vec<String>,
    },
}

/// Why a connector could not take what it needs.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct OpenError {
    /// What was being done, with what: `cannot listen on 0.0.0.0:2575`.
    pub what: String,
    #[source]
    pub source: Option<std::io::Error>,
}

impl OpenError {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self { what: format!("{}: {source}", what.into()), source: Some(source) }
    }
}
