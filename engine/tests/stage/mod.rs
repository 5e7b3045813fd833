//! A stage to play the way of a message on: peers, steps and a store that do as they are told.

// Each test file plays with a part of it.
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used)]

mod flaky;
mod peer;
mod steps;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use engine::{
    Channel, DeliveryId, DeliveryState, Doubt, EmptyDirectory, Feeds, Hash, Inbound, Inlet, Jitter, Memory,
    MessageState, OnResponse, OpenError, Opening, Order, OtherBytes, Outcome, OutletPlan, Past, Plan, Ports,
    QueueMode, RepeatPolicy, Repeats, Reply, ReplyPolicy, ReplyWhen, ReplyWords, Retry, Shares, Source,
    SourceSettings, Spots, Stop, Store, Surroundings, Unobserved,
    memory::{Snapshot, StoredDelivery, StoredMessage},
};
use tokio::{sync::Notify, task::JoinHandle};

pub use flaky::{Fault, Flaky, Sight, When};
pub use peer::{Answer, Peer, PeerSettings, Sent, text};
pub use steps::Steps;

/// Longer than anything a test waits for; the clock is paused, so it passes at once.
const PATIENCE: Duration = Duration::from_hours(12);

/// Wakes whoever waits for something to happen on the stage, and knows the process that runs now.
#[derive(Clone, Default)]
pub struct News(Arc<(Notify, Mutex<Option<Arc<Flaky>>>)>);

impl News {
    pub fn tell(&self) {
        self.0.0.notify_waiters();
    }

    /// The process that runs now dies.
    pub fn kill(&self) {
        if let Some(store) = &*self.0.1.lock().unwrap() {
            store.die();
        }
        self.tell();
    }

    fn runs(&self, store: &Arc<Flaky>) {
        *self.0.1.lock().unwrap() = Some(Arc::clone(store));
    }

    /// Waits until `holds`, looking again at each event.
    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let watch = async {
            loop {
                let news = self.0.0.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if holds() {
                    return;
                }
                news.await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, watch).await;
        assert!(seen.is_ok(), "it never came to this: {what}");
    }
}

/// A channel that runs, and everything around it.
pub struct Stage {
    pub news: News,
    pub memory: Arc<Memory>,
    pub store: Arc<Flaky>,
    pub channel: Arc<Channel>,
    pub plan: Plan,
}

impl Stage {
    /// Starts a channel on an empty store.
    pub async fn start(news: &News, plan: Plan) -> Self {
        Self::start_with(news, plan, |_| {}).await
    }

    /// Starts a channel on an empty store that was told how to behave before.
    pub async fn start_with(news: &News, plan: Plan, prepare: impl FnOnce(&Flaky)) -> Self {
        let memory = Arc::new(Memory::new());
        let store = Arc::new(Flaky::new(Arc::clone(&memory), news.clone()));
        prepare(&store);
        news.runs(&store);
        let channel = start(&plan, &store, &memory).await;
        Self { news: news.clone(), memory, store, channel, plan }
    }

    /// Sends a message and tells the sender: what it heard.
    pub async fn receive(&self, message: &str) -> Reply {
        receive(self.channel.inlet(), message).await
    }

    /// The process dies at this instant, and another one starts on the same store. Says what was begun and not settled.
    pub async fn crash(&mut self) -> Vec<DeliveryId> {
        self.crash_with(|_| {}).await
    }

    /// The same; the next process finds a store that was told how to behave.
    pub async fn crash_with(&mut self, prepare: impl FnOnce(&Flaky)) -> Vec<DeliveryId> {
        self.store.die();
        let begun = self.deliveries(DeliveryState::Begun);
        self.channel.stop(Duration::ZERO).await;
        self.start_again(prepare).await;
        begun
    }

    /// Stops as an operator would, and starts again. Says what was cut because it took too long.
    pub async fn restart(&mut self) -> Vec<DeliveryId> {
        self.restart_with(|_| {}).await
    }

    /// The same; the next process finds a store that was told how to behave.
    pub async fn restart_with(&mut self, prepare: impl FnOnce(&Flaky)) -> Vec<DeliveryId> {
        self.channel.stop(Duration::from_secs(10)).await;
        self.store.die();
        let begun = self.deliveries(DeliveryState::Begun);
        self.start_again(prepare).await;
        begun
    }

    async fn start_again(&mut self, prepare: impl FnOnce(&Flaky)) {
        self.memory.reopen();
        self.store = Arc::new(Flaky::new(Arc::clone(&self.memory), self.news.clone()));
        prepare(&self.store);
        self.news.runs(&self.store);
        self.channel = start(&self.plan, &self.store, &self.memory).await;
    }

    /// Sends a message in a task of its own: its answer comes later.
    pub fn send(&self, message: &str) -> JoinHandle<Reply> {
        let inlet = self.channel.inlet();
        let message = message.to_owned();
        tokio::spawn(async move { receive(inlet, &message).await })
    }

    pub async fn until(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) {
        self.news.until(what, || holds(&self.memory.snapshot())).await;
    }

    /// Waits until nothing is open and nothing is in a queue.
    pub async fn quiet(&self) {
        self.until("everything has ended", is_quiet).await;
    }

    pub fn message(&self, control_id: &str) -> StoredMessage {
        let found = self.messages(control_id);
        assert_eq!(found.len(), 1, "there is one message {control_id}");
        found.into_iter().next().unwrap()
    }

    /// All copies, in the order of arrival.
    pub fn messages(&self, control_id: &str) -> Vec<StoredMessage> {
        let all = self.memory.snapshot().messages.into_iter();
        all.filter(|stored| stored.message.control_id.as_deref() == Some(control_id)).collect()
    }

    /// The only delivery of a message to a destination.
    pub fn delivery(&self, control_id: &str, destination: &str) -> StoredDelivery {
        let message = self.message(control_id).message.id;
        let all = self.memory.snapshot().deliveries.into_iter();
        let mut found: Vec<_> =
            all.filter(|stored| stored.message == message && stored.destination == destination).collect();
        assert_eq!(found.len(), 1, "there is one delivery of {control_id} to {destination}");
        found.remove(0)
    }

    /// The deliveries in a state.
    pub fn deliveries(&self, state: DeliveryState) -> Vec<DeliveryId> {
        let all = self.memory.snapshot().deliveries.into_iter();
        all.filter(|stored| stored.state == state).map(|stored| stored.id).collect()
    }
}

/// Nothing is open and nothing is in a queue.
pub fn is_quiet(snapshot: &Snapshot) -> bool {
    let open = snapshot.messages.iter().any(|stored| stored.state == MessageState::Kept);
    let queued = snapshot
        .deliveries
        .iter()
        .any(|stored| matches!(stored.state, DeliveryState::Waiting | DeliveryState::Begun));
    !open && !queued
}

pub async fn receive(inlet: Inlet, message: &str) -> Reply {
    let answer = inlet.receive(inbound(message)).await;
    let reply = answer.reply.clone();
    answer.told();
    reply
}

pub fn inbound(message: &str) -> Inbound {
    Inbound::new(message.as_bytes().to_vec())
}

async fn start(plan: &Plan, store: &Arc<Flaky>, memory: &Memory) -> Arc<Channel> {
    let snapshot = memory.snapshot();
    let waiting = snapshot
        .deliveries
        .iter()
        .filter(|stored| matches!(stored.state, DeliveryState::Waiting | DeliveryState::Begun));
    let past = Past {
        switches: snapshot.switches.clone().into_iter().collect(),
        destinations: waiting.map(|stored| stored.destination.clone()).collect(),
    };
    let around = Surroundings {
        store: Arc::clone(store) as Arc<dyn Store>,
        ports: Ports::default(),
        expectations: engine::Expectations::default(),
        feeds: Feeds::default(),
        shares: Shares::default(),
        observer: Arc::new(Unobserved),
        root: std::env::temp_dir(),
        notes: std::env::temp_dir(),
        spots: Spots::new(1),
        directory: Arc::new(EmptyDirectory),
    };
    Channel::start(plan.clone(), around, &past).await
}

/// A destination with the usual settings.
pub fn outlet(peer: &Arc<Peer>) -> OutletPlan {
    OutletPlan {
        name: peer.name.to_owned(),
        settings: Arc::new(PeerSettings { peer: Arc::clone(peer), doubt: Doubt::Resend }),
        version: Hash::of(&[peer.name.as_bytes()]),
        queue: QueueMode::OnFailure,
        retry: Retry { jitter: Jitter::None, ..Retry::default() },
        order: Order::Arrival,
        workers: 1,
        when_unsure: None,
        nack: BTreeMap::new(),
        after: None,
        on_response: OnResponse::Nothing,
        rate: None,
        hours: None,
    }
}

/// A channel with the usual settings.
pub fn plan(outlets: Vec<OutletPlan>) -> Plan {
    let version = Hash::of(&[b"version 1"]);
    Plan {
        name: Arc::from("lab"),
        version,
        text: Arc::from("name: lab"),
        source: Arc::new(Silent),
        source_version: version,
        charset: None,
        reply: ReplyPolicy { when: ReplyWhen::Processed, within: Duration::from_secs(30) },
        words: ReplyWords::default(),
        repeats: Repeats {
            policy: RepeatPolicy::Accept,
            window: Duration::from_hours(24),
            others: OtherBytes::Flag,
        },
        script: Arc::new(Steps::new(&outlets)),
        expect: None,
        group: None,
        outlets,
    }
}

pub fn replying(when: ReplyWhen, plan: Plan) -> Plan {
    Plan { reply: ReplyPolicy { when, ..plan.reply.clone() }, ..plan }
}

pub fn answering_again(plan: Plan) -> Plan {
    Plan { repeats: Repeats { policy: RepeatPolicy::AnswerAgain, ..plan.repeats }, ..plan }
}

/// Another version of a channel, whose payloads bear a mark.
pub fn marked(mark: &'static str, plan: Plan) -> Plan {
    let steps = Steps::new(&plan.outlets).marked(mark);
    Plan { version: Hash::of(&[mark.as_bytes()]), script: Arc::new(steps), ..plan }
}

/// Another version of a channel, whose tables have these codes.
pub fn knowing(known: &[&'static str], plan: Plan) -> Plan {
    let steps = Steps::new(&plan.outlets).knowing(known);
    Plan { version: Hash::of(&[known.join(" ").as_bytes()]), script: Arc::new(steps), ..plan }
}

/// A source that takes nothing: the test feeds the channel by hand.
struct Silent;

#[async_trait]
impl SourceSettings for Silent {
    fn usual_format(&self) -> &'static str {
        "text"
    }

    async fn open(&self, _opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl Source for Silent {
    async fn run(self: Box<Self>, _inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        stop.requested().await;
        Ok(())
    }
}
