//! The rows, and how they are looked up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use super::{
    groups::StoredGroup,
    rows::{Audited, Snapshot, StoredDelivery, StoredMessage},
};
use crate::{Awaited, DeliveryId, Hash, MessageId, StoreError};

/// All that is kept. Each method that changes it is one transaction: the caller holds the lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) messages: BTreeMap<MessageId, StoredMessage>,
    pub(super) deliveries: BTreeMap<DeliveryId, StoredDelivery>,
    pub(super) audit: Vec<Audited>,
    /// The first message of this run, if it is not the first run.
    pub(super) began: Option<MessageId>,
    /// Messages that are in their steps alone.
    pub(super) inside: BTreeSet<MessageId>,
    /// What channels asked under which keys, and when it was answered.
    pub(super) questions: BTreeMap<(String, String), Awaited>,
    /// By channel and mark.
    pub(super) groups: BTreeMap<(String, Hash), StoredGroup>,
    /// How many members ever joined a group.
    pub(super) places: u64,
    switches: BTreeMap<String, String>,
    versions: BTreeMap<Hash, String>,
}

impl State {
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            messages: self.messages.values().cloned().collect(),
            deliveries: self.deliveries.values().cloned().collect(),
            questions: self.questions.clone(),
            groups: self.groups.values().cloned().collect(),
            switches: self.switches.clone(),
            versions: self.versions.clone(),
            audit: self.audit.clone(),
        }
    }

    pub(super) fn message(&mut self, id: MessageId) -> Result<&mut StoredMessage, StoreError> {
        self.messages.get_mut(&id).ok_or_else(|| StoreError(format!("message {id} is not kept")))
    }

    pub(super) fn stored(&mut self, id: DeliveryId) -> Result<&mut StoredDelivery, StoreError> {
        self.deliveries.get_mut(&id).ok_or_else(|| StoreError(format!("there is no delivery {}", id.0)))
    }

    /// The deliveries of the same message and part to `destination`, oldest first.
    pub(super) fn siblings<'a>(
        &'a self,
        of: &'a StoredDelivery,
        destination: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a StoredDelivery> {
        self.deliveries.values().filter(move |other| {
            other.message == of.message && other.part == of.part && other.destination == destination
        })
    }

    pub(super) fn received(&self, id: MessageId) -> SystemTime {
        self.messages.get(&id).map_or(SystemTime::UNIX_EPOCH, |stored| stored.message.received)
    }

    pub(super) fn remember(&mut self, _channel: &str, version: Hash, text: &str) {
        self.versions.entry(version).or_insert_with(|| text.to_owned());
    }

    pub(super) fn switch(&mut self, name: &str, value: Option<&str>, by: &str) {
        let what = if let Some(value) = value {
            self.switches.insert(name.to_owned(), value.to_owned());
            format!("{name} = {value}")
        } else {
            self.switches.remove(name);
            format!("{name} taken away")
        };
        self.audit.push(Audited { by: by.to_owned(), what });
    }

    pub(super) fn switches(&self) -> Vec<(String, String)> {
        self.switches.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}
