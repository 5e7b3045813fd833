//! Tells whoever listens what happens, as it happens, and counts it.

use std::{sync::Arc, time::Duration};

use engine::{Attempt, DeliveryOutcome, Facts, Failed, Hash, Message, MessageId, Observer, Outcome, Stepped};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::{
    alerts::{Change, Episode},
    api::Go,
    flow_log::FlowLogs,
    metrics::Metrics,
    traces::Traces,
    why,
};

/// How far a listener may fall behind before it misses events.
const BEHIND: usize = 4096;

/// Something that happened. No content of messages.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A channel or one of its destinations changed its state.
    State { channel: String },
    /// A message left its way, or its steps ended.
    Message { channel: String, id: Option<MessageId>, outcome: &'static str },
    /// A message waits for a code that a table lacks.
    Held { channel: String, id: MessageId },
    /// A message has no answer in the time in which its channel expects one.
    Overdue { channel: String, id: MessageId },
    /// One attempt at a delivery ended.
    Delivery { channel: String, destination: String, message: MessageId, outcome: &'static str },
    /// Something became of a file that a source takes.
    File { channel: String, file: String, words: String, message: Option<MessageId> },
    /// A state that needs a person began, moved or ended, or somebody took note of it.
    Episode { change: Change, channel: Option<String>, episode: Box<Episode> },
    /// Many messages are sent again: how far that is. For whoever began it, and who sees everything.
    Go { by: String, go: Box<Go> },
}

impl Event {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::State { .. } => "state",
            Self::Message { .. } => "message",
            Self::Held { .. } => "held",
            Self::Overdue { .. } => "overdue",
            Self::Delivery { .. } => "delivery",
            Self::File { .. } => "file",
            Self::Episode { .. } => "episode",
            Self::Go { .. } => "go",
        }
    }

    /// Whether it is of how something stands, and not of one message.
    pub(crate) fn is_state(&self) -> bool {
        matches!(self, Self::State { .. } | Self::Episode { .. } | Self::Go { .. })
    }

    /// The message that it is about.
    pub(crate) fn message(&self) -> Option<MessageId> {
        match self {
            Self::State { .. } | Self::Episode { .. } | Self::Go { .. } => None,
            Self::Message { id, .. } => *id,
            Self::Held { id, .. } | Self::Overdue { id, .. } => Some(*id),
            Self::Delivery { message, .. } => Some(*message),
            Self::File { message, .. } => *message,
        }
    }
}

impl Event {
    /// The channel that it happened in; none where it is of the whole server.
    pub(crate) fn channel(&self) -> Option<&str> {
        match self {
            Self::State { channel }
            | Self::Message { channel, .. }
            | Self::Held { channel, .. }
            | Self::Overdue { channel, .. }
            | Self::Delivery { channel, .. }
            | Self::File { channel, .. } => Some(channel),
            Self::Episode { channel, .. } => channel.as_deref(),
            Self::Go { .. } => None,
        }
    }
}

/// Hears the engine: counts, and passes on to listeners.
pub(crate) struct Events {
    metrics: Arc<Metrics>,
    logs: Arc<FlowLogs>,
    pub(crate) traces: Option<Arc<Traces>>,
    sender: broadcast::Sender<Arc<Event>>,
    /// Of states alone, for those who need not hear of each message.
    states: broadcast::Sender<Arc<Event>>,
}

impl Events {
    pub(crate) fn new(metrics: Arc<Metrics>, logs: Arc<FlowLogs>, traces: Option<Arc<Traces>>) -> Self {
        let sender = || broadcast::Sender::new(BEHIND);
        Self { metrics, logs, traces, sender: sender(), states: sender() }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }

    pub(crate) fn listen_to_states(&self) -> broadcast::Receiver<Arc<Event>> {
        self.states.subscribe()
    }

    /// The answer to a message did not come in time.
    pub(crate) fn overdue(&self, channel: &str, message: MessageId) {
        self.tell(|| Event::Overdue { channel: channel.to_owned(), id: message });
    }

    /// What became of an episode.
    pub(crate) fn episode(&self, change: Change, episode: &Episode) {
        if self.states.receiver_count() + self.sender.receiver_count() > 0 {
            let (channel, episode) = (episode.channel.clone(), Box::new(episode.clone()));
            self.tell_state(Event::Episode { change, channel, episode });
        }
    }

    /// How far a go is that sends many messages again.
    pub(crate) fn go(&self, go: &Go) {
        if self.states.receiver_count() + self.sender.receiver_count() > 0 {
            self.tell_state(go.event());
        }
    }

    /// States change seldom: those who listen for everything hear of them too.
    fn tell_state(&self, event: Event) {
        let event = Arc::new(event);
        // Where nobody listens, nobody misses it.
        let _ = self.states.send(Arc::clone(&event));
        let _ = self.sender.send(event);
    }

    /// Makes the event only if somebody listens: this is on the way of every message.
    fn tell(&self, event: impl FnOnce() -> Event) {
        if self.sender.receiver_count() > 0 {
            let _ = self.sender.send(Arc::new(event()));
        }
    }
}

impl Observer for Events {
    fn received(&self, channel: &str) {
        self.metrics.received(channel);
    }

    fn kept(&self, channel: &str, message: MessageId, facts: &Facts) {
        self.logs.kept(channel, message, facts);
    }

    fn skipped(&self, channel: &str, bytes: u64) {
        self.metrics.skipped(channel, bytes);
    }

    fn ended(&self, channel: &str, message: Option<MessageId>, outcome: Outcome) {
        self.metrics.ended(channel, outcome);
        self.tell(|| Event::Message { channel: channel.to_owned(), id: message, outcome: outcome.name() });
    }

    fn held(&self, channel: &str, message: MessageId) {
        self.tell(|| Event::Held { channel: channel.to_owned(), id: message });
    }

    fn replied(&self, channel: &str, waited: Duration) {
        self.metrics.replied(channel, waited);
    }

    fn attempted(&self, channel: &str, destination: &str, message: MessageId, came: DeliveryOutcome) {
        self.metrics.attempted(channel, destination, came);
        self.logs.attempted(channel, destination, message, came);
        self.tell(|| Event::Delivery {
            channel: channel.to_owned(),
            destination: destination.to_owned(),
            message,
            outcome: came.name(),
        });
    }

    fn arrived(&self, channel: &str, since: Duration) {
        self.metrics.arrived(channel, since);
    }

    fn story(&self, channel: &str, file: &str, words: &str, message: Option<MessageId>) {
        self.logs.story(channel, file, words);
        self.tell(|| Event::File {
            channel: channel.to_owned(),
            file: file.to_owned(),
            words: words.to_owned(),
            message,
        });
    }

    fn changed(&self, channel: &str) {
        self.tell_state(Event::State { channel: channel.to_owned() });
    }

    fn measures(&self) -> bool {
        self.traces.is_some()
    }

    fn stepped(&self, channel: &str, message: &Message, step: &Stepped<'_>) {
        if let Some(traces) = &self.traces {
            traces.step(channel, message, step);
        }
    }

    fn went(&self, channel: &str, message: &Message, outcome: Outcome) {
        if let Some(traces) = &self.traces {
            traces.way(channel, message, outcome);
        }
    }

    fn failed(&self, failed: &Failed<'_>) {
        let Failed { channel, destination, number: attempt, .. } = *failed;
        let (message_id, delivery, why) =
            (failed.message.0, failed.delivery.0, why::said(&failed.error.kind(), ""));
        tracing::warn!(channel, destination, message_id, delivery, attempt, why, "a delivery did not arrive");
    }

    fn tried(&self, attempt: &Attempt<'_>) {
        if let Some(traces) = &self.traces {
            traces.attempt(attempt);
        }
    }

    fn parent(&self, message: &Message, attempt: (&Hash, u32)) -> Option<String> {
        match &self.traces {
            Some(traces) => Some(traces.parent(message, attempt)),
            None => engine::Unobserved.parent(message, attempt),
        }
    }
}
