//! Where messages enter the engine.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::{sync::Semaphore, time::Instant};

use crate::{
    AnswerState, Content, Cut, Hash, Inbound, MessageId, Outcome, Reply, Spool, Told,
    caller::{Caller, Waiting, Wants},
    line::{Line, Seat},
};

/// How many messages of one channel may be under way at once.
const ROOM: usize = 1024;

/// A source's way in. Cheap to clone: give one to each connection. Survives a reload of the channel's steps.
#[derive(Clone)]
pub struct Inlet(Arc<Mouth>);

struct Mouth {
    channel: Arc<str>,
    line: RwLock<Arc<Line>>,
    room: Arc<Semaphore>,
}

/// What to tell the sender, and the slip to hand back once it was told.
///
/// Dropped without a word it counts as not told.
#[must_use = "write the reply, then say whether the sender was told"]
pub struct Answer {
    pub reply: Reply,
    receipt: Option<Receipt>,
}

struct Receipt {
    line: Arc<Line>,
    id: Option<MessageId>,
    /// The message that stands for it, where it was kept before.
    first: Option<MessageId>,
    since: Instant,
}

/// The application's answer to a message that is durable already (enhanced mode).
#[must_use]
pub struct Pending {
    waiting: Waiting,
    line: Arc<Line>,
    since: Instant,
}

impl Inlet {
    pub(crate) fn new(channel: Arc<str>, line: Arc<Line>) -> Self {
        Self(Arc::new(Mouth { channel, line: RwLock::new(line), room: Arc::new(Semaphore::new(ROOM)) }))
    }

    /// Takes a message and returns what to tell its sender. Waits while the channel is full, so a slow
    /// channel slows its senders; never longer than `within`.
    pub async fn receive(&self, inbound: Inbound) -> Answer {
        match self.enter(inbound, Wants::Answer).await {
            Ok(pending) => pending.answer().await,
            Err(answer) => answer,
        }
    }

    /// Takes the messages of one batch: kept in one write, each answered for itself, in order.
    pub async fn receive_batch(&self, inbounds: Vec<Inbound>) -> Vec<Answer> {
        self.receive_part_of(None, inbounds).await
    }

    /// The same for a row of a larger whole that comes in several writes: what it is known by, and how many came before.
    pub async fn receive_part_of(&self, whole: Option<(Hash, u32)>, inbounds: Vec<Inbound>) -> Vec<Answer> {
        let seats = self.line().seats(whole, inbounds.len());
        let pending: Vec<Pending> = inbounds
            .into_iter()
            .zip(seats)
            .map(|(inbound, seat)| self.begin(inbound, Wants::Answer, (Some(seat), None)))
            .collect();
        let mut answers = Vec::with_capacity(pending.len());
        for one in pending {
            answers.push(one.answer().await);
        }
        answers
    }

    /// Takes a message and returns as soon as it is durable: `Ok`, and the application's answer follows;
    /// `Err`, where it was not taken.
    pub async fn accept(&self, inbound: Inbound) -> Result<Pending, Answer> {
        let Pending { waiting, line, since } = self.enter(inbound, Wants::Kept).await?;
        match waiting.kept().await {
            Ok(waiting) => Ok(Pending { waiting, line, since }),
            Err((reply, (id, first))) => Err(Answer::new(reply, Receipt { line, id, first, since })),
        }
    }

    /// The destination that most deliveries of the channel wait for, and how many: for a source that can wait itself.
    pub fn longest_queue(&self) -> Option<(String, u64)> {
        self.line().longest_queue()
    }

    /// Counts bytes of a sender that belonged to no message.
    pub fn skipped(&self, bytes: u64) {
        self.line().skipped(bytes);
    }

    /// Says what became of a file that the source takes, for whoever follows the files of this channel.
    pub fn story(&self, file: &str, words: &str, message: Option<MessageId>) {
        self.line().story(file, words, message);
    }

    /// Cuts a file into messages, as the channel's format has them.
    pub fn cut(&self, whole: &Content, by: &Cut) -> Result<Vec<Content>, String> {
        self.line().cut(whole, by)
    }

    /// Begins a body that comes in pieces and may be long: it is not in memory as a whole.
    pub fn spool(&self) -> Spool {
        Spool::new(Arc::clone(&self.line().store))
    }

    /// The name of the channel.
    pub fn channel(&self) -> &str {
        &self.0.channel
    }

    pub(crate) fn is(&self, other: &Inlet) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// New messages take the new way; those under way end on the old one.
    pub(crate) fn switch(&self, line: Arc<Line>) {
        *self.0.line.write().unwrap_or_else(PoisonError::into_inner) = line;
    }

    async fn enter(&self, inbound: Inbound, wants: Wants) -> Result<Pending, Answer> {
        let within = self.line().within();
        let room = tokio::time::timeout(within, Arc::clone(&self.0.room).acquire_owned()).await;
        if let Ok(Ok(room)) = room {
            return Ok(self.begin(inbound, wants, (None, Some(room))));
        }
        self.line().turned_away();
        let reply = Reply::because(Outcome::Unavailable, "too many messages are under way");
        Err(Answer { reply, receipt: None })
    }

    /// Starts a message on its way. The task ends by itself: every wait on the way is bounded or recovers. It is not its
    /// sender's: a step that hangs must not keep that one from hearing in time.
    fn begin(
        &self,
        inbound: Inbound,
        wants: Wants,
        (seat, room): (Option<Seat>, Option<tokio::sync::OwnedSemaphorePermit>),
    ) -> Pending {
        let line = self.line();
        let (caller, waiting) = Caller::new(line.within(), wants);
        let since = caller.since;
        let way = Arc::clone(&line);
        line.tasks().spawn(async move {
            way.run(inbound, seat, caller).await;
            drop(room);
        });
        Pending { waiting, line, since }
    }

    fn line(&self) -> Arc<Line> {
        Arc::clone(&self.0.line.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pending {
    pub async fn answer(self) -> Answer {
        let (reply, (id, first)) = self.waiting.answer().await;
        Answer::new(reply, Receipt { line: self.line, id, first, since: self.since })
    }
}

impl Answer {
    fn new(reply: Reply, receipt: Receipt) -> Self {
        receipt.line.observe_reply(receipt.since);
        Self { reply, receipt: Some(receipt) }
    }

    /// The message, where it was kept, or the one that stands for it.
    pub fn message(&self) -> Option<MessageId> {
        self.receipt.as_ref().and_then(|receipt| receipt.first.or(receipt.id))
    }

    /// The sender has its answer.
    pub fn told(mut self) {
        let state = match self.reply.outcome {
            Outcome::Unavailable => AnswerState::Unavailable,
            _ => AnswerState::Told,
        };
        if let Some(receipt) = &mut self.receipt
            && self.reply.why.as_deref() != Some(Reply::AWAITED)
        {
            // What stands for it has been answered with it.
            receipt.id = receipt.first.or(receipt.id);
        }
        self.record(state);
    }

    /// The sender is answered later, when there is more to say: it is asked for again.
    pub fn later(mut self) {
        self.receipt = None;
    }

    /// The sender went away first.
    pub fn untold(mut self) {
        self.record(AnswerState::Untold);
    }

    fn record(&mut self, state: AnswerState) {
        if let Some(Receipt { line, id: Some(id), .. }) = self.receipt.take() {
            line.told(id, Told { state, reply: self.reply.clone() });
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.record(AnswerState::Untold);
    }
}
