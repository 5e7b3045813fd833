//! A channel as its file describes it, compiled and ready to run.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    DestinationSettings, Doubt, Expect, Group, Hash, Repeats, ReplyPolicy, ReplyWords, Script, SourceSettings,
};

/// All that the engine needs to run one channel.
#[derive(Clone)]
pub struct Plan {
    pub name: Arc<str>,
    /// Names the file and every script and table it uses.
    pub version: Hash,
    /// The text behind `version`, kept once in the store.
    pub text: Arc<str>,
    pub source: Arc<dyn SourceSettings>,
    /// Changes when the source must be opened anew; steps and destinations may change without it.
    pub source_version: Hash,
    pub charset: Option<String>,
    pub reply: ReplyPolicy,
    pub words: ReplyWords,
    pub repeats: Repeats,
    pub script: Arc<dyn Script>,
    /// The answers it waits for.
    pub expect: Option<Expect>,
    /// Its messages are run together, in groups.
    pub group: Option<Group>,
    /// In the order of the file.
    pub outlets: Vec<OutletPlan>,
}

/// One destination of a channel.
#[derive(Clone)]
pub struct OutletPlan {
    pub name: String,
    pub settings: Arc<dyn DestinationSettings>,
    /// Changes when the destination must be opened anew.
    pub version: Hash,
    pub queue: QueueMode,
    pub retry: Retry,
    pub order: Order,
    pub workers: usize,
    /// `None`: as the connector says it should.
    pub when_unsure: Option<WhenUnsure>,
    /// What a receiver's code means: `AE` → give up.
    pub nack: BTreeMap<String, OnNack>,
    pub after: Option<String>,
    pub on_response: OnResponse,
    pub rate: Option<Rate>,
    pub hours: Option<Hours>,
}

impl OutletPlan {
    pub fn when_unsure(&self) -> WhenUnsure {
        self.when_unsure.unwrap_or(match self.settings.doubt() {
            Doubt::Resend => WhenUnsure::Resend,
            Doubt::Hold => WhenUnsure::Hold,
        })
    }
}

/// Whether the script has something to say about what comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnResponse {
    Nothing,
    Judges,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueMode {
    #[default]
    OnFailure,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    pub first: Duration,
    pub longest: Duration,
    pub factor: f64,
    pub jitter: Jitter,
    /// `None`: unlimited. With `queue: never` one attempt is meant where nothing is written.
    pub attempts: Option<u32>,
    pub lasting: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// Between half the pause and the whole of it.
    Some,
    None,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(5),
            factor: 2.0,
            jitter: Jitter::Some,
            attempts: None,
            lasting: None,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Arrival,
    /// Strict within a key, parallel across; the script gives each delivery its keys.
    Key,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnsure {
    Resend,
    Hold,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNack {
    GiveUp,
    Retry,
    Stop,
}

/// At most so many sends in so much time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub sends: u32,
    pub per: Duration,
}

/// How long from a given time until sending is allowed; zero: now.
#[derive(Clone)]
pub struct Hours(pub Arc<dyn Fn(SystemTime) -> Duration + Send + Sync>);

impl fmt::Debug for Hours {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hours")
    }
}
