//! The way of one message.

mod again;
mod broken;
mod deliver;
mod expect;
mod group;
mod held;
mod intake;
mod process;
mod resume;
mod take;
mod together;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub(crate) use resume::tend;
use take::Way;
pub(crate) use together::Seat;

use crate::{
    AnswerState, Closed, Content, Context, Cut, Directory, Expect, Expectations, Group, Halt, Hash, Inbound,
    Message, MessageId, MessageState, Observer, Outcome, Ran, Repeats, Reply, ReplyPolicy, Script, Silence,
    Store, StoreError, Told, Why,
    arrivals::Arrivals,
    caller::Caller,
    group::Waking,
    held::Holding,
    observer::Measured,
    outlet::Outlet,
    pace::{self, Pace},
    recovery::{IsKept, Recovery, Stranded},
};

/// One channel's way from its source to its destinations, in one version of its file.
pub(crate) struct Line {
    pub(crate) channel: Arc<str>,
    pub(crate) version: Hash,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) script: Arc<dyn Script>,
    pub(crate) expect: Option<Expect>,
    pub(crate) expectations: Expectations,
    pub(crate) group: Option<Group>,
    pub(crate) waking: Arc<Waking>,
    /// In the order of the file.
    pub(crate) outlets: Vec<Arc<Outlet>>,
    pub(crate) reply: ReplyPolicy,
    pub(crate) repeats: Repeats,
    pub(crate) silence: Silence,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) holding: Arc<Holding>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) pace: Pace,
    pub(crate) tasks: TaskTracker,
}

/// What is rare on the way is boxed: a message's task is as large as the largest of what it may wait for.
impl Line {
    /// Carries one message from its sender's bytes to its sender's answer.
    async fn carry(&self, inbound: Inbound, seat: Option<Seat>, caller: &mut Caller) -> Result<(), Exit> {
        let received = self.receive(inbound);
        let queued = match self.take(received, seat, caller).await? {
            Way::Taken(queued) => queued,
            Way::Kept(message) => {
                self.ack(caller);
                let transformed = self.transform(message).await?;
                let routed = self.route(transformed)?;
                self.queue(routed, caller).await?
            }
        };

        let tried = self.send(queued, caller).await;
        self.respond(&tried, caller);
        Ok(())
    }

    /// Carries one message, and takes it off its way where a step says so.
    pub(crate) async fn run(&self, inbound: Inbound, seat: Option<Seat>, mut caller: Caller) {
        self.observer.received(&self.channel);
        let carried = async {
            if let Err(exit) = self.carry(inbound, seat, &mut caller).await {
                Box::pin(self.leave(exit, &mut caller)).await;
            }
        };
        if let Err(panic) = AssertUnwindSafe(carried).catch_unwind().await {
            Box::pin(self.mend(&pace::words(panic.as_ref()), &mut caller)).await;
        }
        if let Some(id) = caller.message() {
            self.recovery.end(id, caller.answered());
        }
    }

    /// Answers and records a message that leaves early. No other place does.
    async fn leave(&self, exit: Exit, caller: &mut Caller) {
        let reply = match exit {
            Exit::Again { message, effect } => {
                if effect.is_some() {
                    caller.stands_for_it(message.id);
                }
                self.answer_of(&message, caller.deadline).await
            }
            Exit::Unreadable(id, why) => {
                self.observer.ended(&self.channel, Some(id), Outcome::Unreadable);
                Reply::because(Outcome::Unreadable, why)
            }
            Exit::Halted(halted) => match halted.unavailable() {
                Some(why) => self.wait_for(halted.message, why),
                None => self.close(*halted).await,
            },
            Exit::Closed(reply) => *reply,
            Exit::Broken(message, is_kept, error) => self.strand(message.map(|kept| *kept), is_kept, &error),
        };
        caller.answer(reply);
    }

    /// Ends a message that a step turned away, and words its answer.
    async fn close(&self, halted: Halted) -> Reply {
        let id = halted.message.id;
        let reply = reply_to(&halted.halt);
        let message = halted.message.clone();
        self.went(&message, halted.halt.outcome());
        let closed = halted.closed();
        if let Err(error) = self.store.close(id, closed.clone()).await {
            return self.strand(Some(message), IsKept::Yes, &error);
        }
        self.has_closed(id, &closed);
        reply
    }

    /// Leaves a message to be taken up when the store writes again. It stays open until then.
    fn strand(&self, message: Option<Message>, kept: IsKept, error: &StoreError) -> Reply {
        tracing::warn!(channel = %self.channel, %error, "cannot write; what is kept goes on when the store does");
        self.observer.ended(&self.channel, message.as_ref().map(|message| message.id), Outcome::Unavailable);
        if let Some(message) = message {
            self.recovery.disappoint(&message);
            self.recovery.strand(Stranded { message, starts: 0, marks: 0, kept });
        }
        Reply::because(Outcome::Unavailable, "the message store cannot write")
    }

    /// Leaves a message whose steps ask what cannot answer now, to be taken up when it does. It stays open until then.
    fn wait_for(&self, message: Message, why: String) -> Reply {
        tracing::warn!(channel = %self.channel, why, "the steps wait for what they ask; what is kept goes on when it answers");
        self.observer.ended(&self.channel, Some(message.id), Outcome::Unavailable);
        self.recovery.disappoint(&message);
        self.recovery.strand(Stranded { message, starts: 0, marks: 0, kept: IsKept::Yes });
        Reply::because(Outcome::Unavailable, why)
    }

    /// Places for the messages of one batch.
    pub(crate) fn seats(&self, whole: Option<(Hash, u32)>, seats: usize) -> Vec<Seat> {
        let ids: Vec<MessageId> = (0..seats).map(|_| self.arrivals.enter(self.store.as_ref())).collect();
        Seat::row(whole, &ids)
    }

    pub(crate) fn within(&self) -> Duration {
        self.reply.within
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Has each step told to whoever measures.
    pub(super) fn measured(&self, message: &Message, context: Context) -> Context {
        if !self.observer.measures() {
            return context;
        }
        context.watched(Measured::of(&self.channel, &self.observer, message))
    }

    /// The message is queued, or has left its way.
    pub(super) fn went(&self, message: &Message, outcome: Outcome) {
        if self.observer.measures() {
            self.observer.went(&self.channel, message, outcome);
        }
    }

    /// A message was not even taken: too many are under way.
    pub(crate) fn turned_away(&self) {
        self.observer.received(&self.channel);
        self.observer.ended(&self.channel, None, Outcome::Unavailable);
    }

    pub(crate) fn longest_queue(&self) -> Option<(String, u64)> {
        let queues = self.outlets.iter().map(|outlet| (outlet.name().to_owned(), outlet.depth()));
        queues.max_by_key(|(_, depth)| *depth)
    }

    pub(crate) fn skipped(&self, bytes: u64) {
        self.observer.skipped(&self.channel, bytes);
    }

    pub(crate) fn cut(&self, whole: &Content, by: &Cut) -> Result<Vec<Content>, String> {
        self.pace.run(|| self.script.cut(whole, by)).unwrap_or_else(|panicked| Err(panicked.0))
    }

    pub(crate) fn story(&self, file: &str, words: &str, message: Option<MessageId>) {
        self.observer.story(&self.channel, file, words, message);
    }

    pub(crate) fn observe_reply(&self, since: Instant) {
        self.observer.replied(&self.channel, since.elapsed());
    }

    pub(crate) fn told(&self, id: MessageId, mut told: Told) {
        if self.silence == Silence::Never && told.state != AnswerState::Unavailable {
            told.state = AnswerState::NotOwed;
        }
        self.store.told(id, told);
    }
}

/// Why a message leaves its way before the end, by whose doing it is.
pub(crate) enum Exit {
    /// The sender sent it again: it hears what the first one heard, under whose number it stands here.
    Again { message: Box<Message>, effect: Option<Hash> },
    /// The bytes are not a message; they are kept.
    Unreadable(MessageId, String),
    /// A step said no: filtered, refused or failed.
    Halted(Box<Halted>),
    /// The same, and written down already: this is its answer.
    Closed(Box<Reply>),
    /// We failed. What is kept stays open, and is taken up as soon as the store writes again.
    Broken(Option<Box<Message>>, IsKept, StoreError),
}

pub(crate) struct Halted {
    message: Message,
    halt: Halt,
    inputs: Option<serde_json::Value>,
    ran: Ran,
}

impl Halted {
    /// Why what its steps ask cannot answer now, where that is what stopped them.
    fn unavailable(&self) -> Option<String> {
        match &self.halt {
            Halt::Unavailable { why } => Some(why.clone()),
            Halt::Filtered { .. } | Halt::Refused { .. } | Halt::Failed { .. } | Halt::Held(_) => None,
        }
    }

    /// What its sender hears, and what is written down.
    fn told_and_closed(self) -> (Reply, Closed) {
        (reply_to(&self.halt), self.closed())
    }

    fn closed(self) -> Closed {
        let outcome = self.halt.outcome();
        let state = match outcome {
            Outcome::Filtered => MessageState::Filtered,
            Outcome::Refused => MessageState::Refused,
            _ if matches!(self.halt, Halt::Held(_)) => MessageState::Held,
            _ => MessageState::Failed,
        };
        let why = Why::from(&self.halt);
        Closed { state, outcome, why, halt: Some(self.halt), inputs: self.inputs, ran: Some(self.ran) }
    }
}

/// What the sender hears of it: a refusal in its own words, of a failure the step's name alone.
fn reply_to(halt: &Halt) -> Reply {
    match halt {
        Halt::Filtered { .. } => Reply::of(Outcome::Filtered),
        Halt::Refused { why, at } => {
            Reply { at: at.clone(), ..Reply::because(Outcome::Refused, why.clone()) }
        }
        Halt::Unavailable { why } => Reply::because(Outcome::Unavailable, why.clone()),
        Halt::Failed { step, .. } => Reply::because(Outcome::Failed, format!("{step} failed")),
        Halt::Held(_) => Reply::of(Outcome::Accepted),
    }
}
