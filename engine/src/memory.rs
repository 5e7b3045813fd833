//! A store that forgets when the process ends: for tests, and the reference other stores are held to.

mod deliveries;
mod expected;
mod groups;
mod intake;
mod people;
mod repeats;
mod rows;
mod state;
mod succession;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;

use crate::{
    Arrival, Begin, Closed, Delivery, DeliveryId, DeliveryState, Done, Filling, Gatherings, Hash,
    Interrupted, Intervention, Kept, LateAnswer, Member, Message, MessageId, Note, Position, Processed, Ripe,
    Settlement, Sibling, Standing, Standstill, Store, StoreError, Taken, Told, Waiting,
};

pub use groups::{StoredGroup, StoredMember};
pub use rows::{Audited, Payload, Snapshot, StoredDelivery, StoredMessage, StoredPart};
use state::State;

/// Keeps messages as long as it lives: share it in an `Arc`, and a new channel on it is a restart.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
    messages: AtomicU64,
    deliveries: AtomicU64,
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything that is kept at this moment, for a test to look at.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    /// Does what opening a store does: whoever was owed an answer until now was told nothing that is known.
    pub fn reopen(&self) {
        let next = self.messages.load(Ordering::SeqCst) + 1;
        let mut state = self.lock();
        state.began = Some(MessageId(next));
        state.mark_who_is_inside();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Memory {
    fn next_message(&self) -> MessageId {
        MessageId(self.messages.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn next_delivery(&self) -> DeliveryId {
        DeliveryId(self.deliveries.fetch_add(1, Ordering::SeqCst) + 1)
    }

    async fn keep(&self, arrivals: Vec<Arrival>) -> Result<Vec<Kept>, StoreError> {
        self.lock().keep(arrivals)
    }

    async fn queue(&self, processed: Processed) -> Result<Vec<(DeliveryId, DeliveryState)>, StoreError> {
        self.lock().queue(processed)
    }

    async fn take(&self, arrival: Arrival, done: Done) -> Result<Taken, StoreError> {
        self.lock().take(arrival, done)
    }

    async fn close(&self, id: MessageId, closed: Closed) -> Result<(), StoreError> {
        self.lock().close(id, closed)
    }

    async fn begin(&self, id: DeliveryId, note: Option<Note>, doubts: u32) -> Result<(), StoreError> {
        self.lock().begin(id, note, doubts)
    }

    async fn settle(
        &self,
        id: DeliveryId,
        settlement: Settlement,
    ) -> Result<Vec<(String, Waiting)>, StoreError> {
        self.lock().settle(id, settlement)
    }

    async fn settle_and_begin(
        &self,
        (id, settlement): (DeliveryId, Settlement),
        next: Begin,
    ) -> Result<(Vec<(String, Waiting)>, bool), StoreError> {
        let mut state = self.lock();
        let taken = state.settle(id, settlement)?;
        Ok((taken, state.begin(next.id, next.note, next.doubts).is_ok()))
    }

    async fn answered_late(&self, answer: LateAnswer) -> Result<(), StoreError> {
        self.lock().answered_late(answer)
    }

    async fn fill(&self, id: DeliveryId, filling: Filling) -> Result<(), StoreError> {
        self.lock().fill(id, filling)
    }

    fn told(&self, id: MessageId, told: Told) {
        self.lock().told(id, told);
    }

    fn enters(&self, id: MessageId) {
        self.lock().inside.insert(id);
    }

    fn leaves(&self, id: MessageId) {
        self.lock().inside.remove(&id);
    }

    async fn interrupted(&self, channel: &str) -> Result<Vec<Interrupted>, StoreError> {
        Ok(self.lock().interrupted(channel))
    }

    async fn held(
        &self,
        channel: &str,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Standstill>, StoreError> {
        Ok(self.lock().held(channel, after, limit))
    }

    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        Ok(self.lock().messages.get(&id).map(|stored| stored.message.clone()))
    }

    async fn gatherings(&self, channel: &str, ripe: Ripe, limit: usize) -> Result<Gatherings, StoreError> {
        Ok(self.lock().gatherings(channel, ripe, limit))
    }

    async fn members(
        &self,
        channel: &str,
        mark: Hash,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        Ok(self.lock().members(channel, mark, after, limit))
    }

    async fn abandon(&self, id: MessageId, by: &str) -> Result<bool, StoreError> {
        Ok(self.lock().abandon(id, by))
    }

    async fn waiting(
        &self,
        channel: &str,
        destination: &str,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        Ok(self.lock().waiting(channel, destination, after, limit))
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        Ok(self.lock().delivery(id))
    }

    async fn sibling(&self, of: DeliveryId, destination: &str) -> Result<Option<Sibling>, StoreError> {
        Ok(self.lock().sibling(of, destination))
    }

    async fn came_back(&self, of: MessageId, destination: &str) -> Result<Option<Sibling>, StoreError> {
        Ok(self.lock().came_back(of, destination))
    }

    async fn standing(&self, id: MessageId) -> Result<Option<Standing>, StoreError> {
        Ok(self.lock().standing(id))
    }

    async fn intervene(&self, intervention: Intervention) -> Result<Option<Waiting>, StoreError> {
        let fresh = self.next_delivery();
        self.lock().intervene(intervention, fresh)
    }

    async fn excuse(&self, channel: &str, key: &str, by: &str) -> Result<(), StoreError> {
        self.lock().excuse(channel, key, by);
        Ok(())
    }

    async fn remember(&self, channel: &str, version: Hash, text: &str) -> Result<(), StoreError> {
        self.lock().remember(channel, version, text);
        Ok(())
    }

    async fn switch(&self, name: &str, value: Option<&str>, by: &str) -> Result<(), StoreError> {
        self.lock().switch(name, value, by);
        Ok(())
    }

    async fn switches(&self) -> Result<Vec<(String, String)>, StoreError> {
        Ok(self.lock().switches())
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}
