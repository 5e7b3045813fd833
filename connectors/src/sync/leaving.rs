//! How changes leave the directory and become messages: each once, those of one resource in their order.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use engine::{Change, Content, Facts, Hash, Inbound, Inlet, Mirror, Outcome, StoreError, Tenure, Trouble};
use serde_json::Value;

use super::page::Rejected;

/// So many leave in one write.
pub(super) const TOGETHER: usize = 100;
/// Where so many deliveries wait for one destination, changes wait in the directory: there they take no memory.
const AHEAD: u64 = 2_000;

/// Where changes go.
#[async_trait]
pub(super) trait Leave: Send + Sync {
    /// Hands over some of the changes that wait.
    async fn some(&self, tenure: &Tenure) -> Result<Left, StoreError>;

    /// Keeps what cannot be used as a resource of a type, for somebody to look at.
    async fn reject(&self, kind: &str, rejected: &Rejected) -> Result<(), String>;

    /// Says what keeps the sync of a type from going on, or that it is over.
    fn say(&self, resource: &str, keeps: Option<Keeps>);
}

/// What keeps a sync from going on, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keeps {
    /// It is tried again by itself.
    ForNow(String),
    /// It waits for a person.
    UntilSeenTo(String),
}

/// How many changes are left to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    /// All have left.
    All,
    /// More wait.
    Some,
    /// They are not taken now.
    NotNow,
    /// A destination has enough before it, which is said in words.
    Full(String),
}

/// Hands changes to a channel.
pub(super) struct ToChannel {
    pub(super) mirror: Arc<dyn Mirror>,
    pub(super) inlet: Inlet,
    pub(super) trouble: Trouble,
    /// What each type says of itself.
    pub(super) said: Mutex<BTreeMap<String, Keeps>>,
    /// What its messages call their source: `annuaire`.
    pub(super) connector: &'static str,
    pub(super) base: String,
}

#[async_trait]
impl Leave for ToChannel {
    async fn some(&self, tenure: &Tenure) -> Result<Left, StoreError> {
        let crowd = self.crowd();
        let limit = if crowd.is_some() { 1 } else { TOGETHER };
        let (mirror, its) = (Arc::clone(&self.mirror), tenure.clone());
        let changes = blocking(move || mirror.changes(&its, limit)).await?;
        let Some(last) = changes.last().map(|change| change.number) else { return Ok(Left::All) };
        if let Some(why) = crowd {
            return Ok(Left::Full(why));
        }
        let is_all = changes.len() < TOGETHER;
        let inbounds = changes.iter().map(|change| self.inbound(tenure, change)).collect();
        let mut are_taken = true;
        for answer in self.inlet.receive_batch(inbounds).await {
            are_taken &= answer.reply.outcome != Outcome::Unavailable;
            answer.told();
        }
        if !are_taken {
            return Ok(Left::NotNow);
        }
        let (mirror, its) = (Arc::clone(&self.mirror), tenure.clone());
        blocking(move || mirror.left(&its, last)).await?;
        Ok(if is_all { Left::All } else { Left::Some })
    }

    async fn reject(&self, kind: &str, Rejected { text, why, id }: &Rejected) -> Result<(), String> {
        let mut facts = Facts::new();
        facts.insert("type".to_owned(), kind.into());
        if let Some(id) = id {
            facts.insert("id".to_owned(), id.as_str().into());
        }
        facts.insert("connector".to_owned(), self.connector.into());
        facts.insert("base".to_owned(), self.base.as_str().into());
        let inbound = Inbound {
            facts: facts.into(),
            unreadable: Some((*why).to_owned()),
            effect: Some(Hash::of(&[b"rejected", self.base.as_bytes(), text.as_bytes()])),
            ..Inbound::new(Content::from(text.clone()))
        };
        let answer = self.inlet.receive(inbound).await;
        let is_kept = answer.reply.outcome != Outcome::Unavailable;
        answer.told();
        if is_kept { Ok(()) } else { Err("an entry that cannot be used cannot be kept now".to_owned()) }
    }

    fn say(&self, resource: &str, keeps: Option<Keeps>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match keeps {
            Some(keeps) => said.insert(resource.to_owned(), keeps),
            None => said.remove(resource),
        };
        let all: Vec<String> = said.iter().map(|(resource, keeps)| format!("{resource}: {keeps}")).collect();
        let why = (!all.is_empty()).then(|| all.join("; "));
        if said.values().all(|keeps| matches!(keeps, Keeps::ForNow(_))) {
            self.trouble.say_for_now(why);
        } else {
            self.trouble.say(why);
        }
    }
}

impl fmt::Display for Keeps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::ForNow(why) | Self::UntilSeenTo(why)) = self;
        formatter.write_str(why)
    }
}

impl ToChannel {
    /// Which destination has enough before it, in words.
    fn crowd(&self) -> Option<String> {
        let (destination, waiting) = self.inlet.longest_queue()?;
        let why =
            || format!("waiting for the destination `{destination}`, which {waiting} deliveries wait for");
        (waiting >= AHEAD).then(why)
    }

    fn inbound(&self, tenure: &Tenure, change: &Change) -> Inbound {
        let mut facts = Facts::new();
        let mut fact = |name: &str, value: Value| facts.insert(name.to_owned(), value);
        fact("connector", self.connector.into());
        fact("base", self.base.as_str().into());
        fact("type", tenure.resource.as_str().into());
        fact("id", change.id.as_str().into());
        fact("change", change.what.name().into());
        fact("version", change.version.into());
        if let Ok(updated) = jiff::Timestamp::from_millisecond(change.updated) {
            fact("updated", updated.to_string().into());
        }
        fact("directory", self.mirror.name().into());
        fact("hash", Hash::of(&[&change.body]).to_string().into());
        let previous = change.previous.as_ref().and_then(|body| serde_json::from_slice(body).ok());
        fact("previous", previous.unwrap_or_default());
        let version = change.version.to_string();
        let sync = tenure.sync.to_string();
        let number = change.number.to_string();
        let parts = ["sync", self.mirror.name(), &sync, &tenure.resource, &change.id, &version, &number];
        Inbound {
            facts: facts.into(),
            effect: Some(Hash::of(&parts.map(str::as_bytes))),
            ..Inbound::new(Content::from(change.body.clone()))
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError("it was cut".to_owned())))
}
