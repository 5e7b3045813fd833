//! A store whose writes fail when they are told to, before or after they took effect.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use engine::{
    Arrival, Begin, Closed, Delivery, DeliveryId, DeliveryState, Done, Filling, Gatherings, Hash,
    Interrupted, Intervention, Kept, LateAnswer, Member, Memory, Message, MessageId, Note, Position,
    Processed, ReadAhead, Ripe, Settlement, Sibling, Standing, Standstill, Store, StoreError, Taken, Told,
    Waiting,
};
use tokio::sync::watch;

use super::News;

/// Whether a write that fails took effect all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// Which writes fail, counted from 1.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Nothing,
    /// This one alone.
    Once(u32, When),
    /// This one and all that follow.
    From(u32, When),
    /// Every one of this name.
    Named(&'static str, When),
}

/// One process's hold on the memory. Once dead, nothing it does takes effect.
pub struct Flaky {
    memory: Arc<Memory>,
    news: News,
    state: Mutex<State>,
    /// A write that was caught waits until it is open.
    door: watch::Sender<bool>,
    ahead: Mutex<ReadAhead>,
}

struct State {
    writes: Vec<&'static str>,
    fault: Fault,
    caught: Option<&'static str>,
    dead: bool,
    in_one_write: bool,
    panics: Option<(&'static str, When)>,
    sight: Sight,
}

/// What can be read of the deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    Clear,
    Blind,
    /// Everything but their bytes.
    Hollow,
}

impl Flaky {
    pub fn new(memory: Arc<Memory>, news: News) -> Self {
        let state = Mutex::new(State {
            writes: Vec::new(),
            fault: Fault::Nothing,
            caught: None,
            dead: false,
            in_one_write: false,
            panics: None,
            sight: Sight::Clear,
        });
        Self { memory, news, state, door: watch::Sender::new(true), ahead: Mutex::default() }
    }

    /// Outlets have so much of their queues in memory, and take their time to read the rest.
    pub fn reads_ahead(&self, ahead: ReadAhead) {
        *self.ahead.lock().unwrap() = ahead;
    }

    /// From here on a message may be kept and queued in one write.
    pub fn keep_in_one_write(&self) {
        self.state.lock().unwrap().in_one_write = true;
    }

    pub fn set(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    /// The process has died: what its tasks still do is lost.
    pub fn die(&self) {
        self.state.lock().unwrap().dead = true;
    }

    pub fn is_dead(&self) -> bool {
        self.state.lock().unwrap().dead
    }

    /// Every write fails from here on, until [`Self::mend`].
    pub fn fail(&self, when: When) {
        let mut state = self.state.lock().unwrap();
        let next = state.writes.len() as u32 + 1;
        state.fault = Fault::From(next, when);
    }

    /// The next write of this name panics, before or after it took effect.
    pub fn panic_at(&self, write: &'static str, when: When) {
        self.state.lock().unwrap().panics = Some((write, when));
    }

    /// How deliveries and queues can be read from here on.
    pub fn sees(&self, sight: Sight) {
        self.state.lock().unwrap().sight = sight;
        self.news.tell();
    }

    fn sight(&self) -> Sight {
        self.state.lock().unwrap().sight
    }

    fn panics(&self, write: &'static str, when: When) {
        let is_told = {
            let mut state = self.state.lock().unwrap();
            state.panics.take_if(|panics| *panics == (write, when)).is_some()
        };
        assert!(!is_told, "the store was told to panic");
    }

    /// Every write of this name fails, until [`Self::mend`].
    pub fn fail_each(&self, write: &'static str, when: When) {
        self.state.lock().unwrap().fault = Fault::Named(write, when);
    }

    pub fn mend(&self) {
        self.state.lock().unwrap().fault = Fault::Nothing;
        self.news.tell();
    }

    /// The next write of this name waits until [`Self::let_go`]; those after it do not.
    pub fn catch(&self, write: &'static str) {
        self.state.lock().unwrap().caught = Some(write);
        self.door.send_replace(false);
    }

    /// Whether the write has come and waits.
    pub fn has_caught(&self) -> bool {
        self.state.lock().unwrap().caught.is_none() && !*self.door.borrow()
    }

    pub fn let_go(&self) {
        self.door.send_replace(true);
    }

    /// The names of the writes so far, those that failed with them.
    pub fn writes(&self) -> Vec<&'static str> {
        self.state.lock().unwrap().writes.clone()
    }

    async fn write<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let (fate, is_caught) = self.enter(name);
        self.news.tell();
        if is_caught {
            let _ = self.door.subscribe().wait_for(|open| *open).await;
        }
        if fate == Some(When::Before) || self.state.lock().unwrap().dead {
            return Err(broken());
        }
        self.panics(name, When::Before);
        let done = work.await;
        self.news.tell();
        self.panics(name, When::After);
        if fate == Some(When::After) { done.and(Err(broken())) } else { done }
    }

    async fn read<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if self.state.lock().unwrap().dead { Err(broken()) } else { work.await }
    }

    fn can_see(&self) -> Result<(), StoreError> {
        if self.sight() == Sight::Blind { Err(broken()) } else { Ok(()) }
    }

    fn enter(&self, name: &'static str) -> (Option<When>, bool) {
        let mut state = self.state.lock().unwrap();
        state.writes.push(name);
        let number = state.writes.len() as u32;
        let is_caught = state.caught == Some(name);
        if is_caught {
            state.caught = None;
        }
        let fate = match state.fault {
            Fault::Once(failing, when) if failing == number => Some(when),
            Fault::From(failing, when) if failing <= number => Some(when),
            Fault::Named(failing, when) if failing == name => Some(when),
            Fault::Nothing | Fault::Once(..) | Fault::From(..) | Fault::Named(..) => None,
        };
        (fate, is_caught)
    }
}

fn broken() -> StoreError {
    StoreError("no space left".to_owned())
}

#[async_trait]
impl Store for Flaky {
    fn next_message(&self) -> MessageId {
        self.memory.next_message()
    }

    fn next_delivery(&self) -> DeliveryId {
        self.memory.next_delivery()
    }

    async fn keep(&self, arrivals: Vec<Arrival>) -> Result<Vec<Kept>, StoreError> {
        self.write("keep", self.memory.keep(arrivals)).await
    }

    async fn queue(&self, processed: Processed) -> Result<Vec<(DeliveryId, DeliveryState)>, StoreError> {
        self.write("queue", self.memory.queue(processed)).await
    }

    fn keeps_first(&self) -> bool {
        !self.state.lock().unwrap().in_one_write
    }

    async fn take(&self, arrival: Arrival, done: Done) -> Result<Taken, StoreError> {
        self.write("take", self.memory.take(arrival, done)).await
    }

    async fn close(&self, id: MessageId, closed: Closed) -> Result<(), StoreError> {
        self.write("close", self.memory.close(id, closed)).await
    }

    async fn begin(&self, id: DeliveryId, note: Option<Note>, doubts: u32) -> Result<(), StoreError> {
        self.write("begin", self.memory.begin(id, note, doubts)).await
    }

    async fn settle(
        &self,
        id: DeliveryId,
        settlement: Settlement,
    ) -> Result<Vec<(String, Waiting)>, StoreError> {
        self.write("settle", self.memory.settle(id, settlement)).await
    }

    async fn settle_and_begin(
        &self,
        ended: (DeliveryId, Settlement),
        next: Begin,
    ) -> Result<(Vec<(String, Waiting)>, bool), StoreError> {
        self.write("settle_and_begin", self.memory.settle_and_begin(ended, next)).await
    }

    async fn answered_late(&self, answer: LateAnswer) -> Result<(), StoreError> {
        self.write("answered_late", self.memory.answered_late(answer)).await
    }

    async fn fill(&self, id: DeliveryId, filling: Filling) -> Result<(), StoreError> {
        self.write("fill", self.memory.fill(id, filling)).await
    }

    fn told(&self, id: MessageId, told: Told) {
        if !self.state.lock().unwrap().dead {
            self.memory.told(id, told);
            self.news.tell();
        }
    }

    fn enters(&self, id: MessageId) {
        if !self.state.lock().unwrap().dead {
            self.memory.enters(id);
        }
    }

    fn leaves(&self, id: MessageId) {
        if !self.state.lock().unwrap().dead {
            self.memory.leaves(id);
        }
    }

    async fn interrupted(&self, channel: &str) -> Result<Vec<Interrupted>, StoreError> {
        self.write("interrupted", self.memory.interrupted(channel)).await
    }

    async fn held(
        &self,
        channel: &str,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Standstill>, StoreError> {
        self.read(self.memory.held(channel, after, limit)).await
    }

    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.read(self.memory.message(id)).await
    }

    async fn gatherings(&self, channel: &str, ripe: Ripe, limit: usize) -> Result<Gatherings, StoreError> {
        self.read(self.memory.gatherings(channel, ripe, limit)).await
    }

    async fn members(
        &self,
        channel: &str,
        mark: Hash,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.read(self.memory.members(channel, mark, after, limit)).await
    }

    async fn abandon(&self, id: MessageId, by: &str) -> Result<bool, StoreError> {
        self.write("abandon", self.memory.abandon(id, by)).await
    }

    async fn waiting(
        &self,
        channel: &str,
        destination: &str,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.can_see()?;
        let is_slow = self.read_ahead() != ReadAhead::default();
        // As a real store does, it lets others go on meanwhile.
        if is_slow {
            tokio::task::yield_now().await;
        }
        let page = self.read(self.memory.waiting(channel, destination, after, limit)).await;
        if is_slow {
            tokio::task::yield_now().await;
        }
        page
    }

    fn read_ahead(&self) -> ReadAhead {
        *self.ahead.lock().unwrap()
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.can_see()?;
        let is_hollow = self.sight() == Sight::Hollow;
        let delivery = self.read(self.memory.delivery(id)).await?;
        Ok(delivery.map(|delivery| if is_hollow { Delivery { body: None, ..delivery } } else { delivery }))
    }

    async fn came_back(&self, of: MessageId, destination: &str) -> Result<Option<Sibling>, StoreError> {
        self.read(self.memory.came_back(of, destination)).await
    }

    async fn sibling(&self, of: DeliveryId, destination: &str) -> Result<Option<Sibling>, StoreError> {
        self.read(self.memory.sibling(of, destination)).await
    }

    async fn standing(&self, id: MessageId) -> Result<Option<Standing>, StoreError> {
        self.read(self.memory.standing(id)).await
    }

    async fn intervene(&self, intervention: Intervention) -> Result<Option<Waiting>, StoreError> {
        self.write("intervene", self.memory.intervene(intervention)).await
    }

    async fn excuse(&self, channel: &str, key: &str, by: &str) -> Result<(), StoreError> {
        self.write("excuse", self.memory.excuse(channel, key, by)).await
    }

    async fn remember(&self, channel: &str, version: Hash, text: &str) -> Result<(), StoreError> {
        self.write("remember", self.memory.remember(channel, version, text)).await
    }

    async fn switch(&self, name: &str, value: Option<&str>, by: &str) -> Result<(), StoreError> {
        self.write("switch", self.memory.switch(name, value, by)).await
    }

    async fn switches(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.read(self.memory.switches()).await
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}
