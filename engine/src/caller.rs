//! A sender that waits for its answer, and the one chance to give it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use crate::{MessageId, Outcome, Reply};

/// The engine's end of the wait.
///
/// Dropped unanswered, it answers *unavailable*: a bug must never tell a hospital that a message is safe.
pub(crate) struct Caller {
    answer: Option<oneshot::Sender<Reply>>,
    kept: Option<oneshot::Sender<()>>,
    progress: Arc<Progress>,
    answered: Option<Reply>,
    /// Whether it wants to hear that the message is durable before its steps have run.
    pub(crate) wants: Wants,
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
}

/// What the sender's end listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// The answer alone.
    Answer,
    /// That it is kept, as soon as it is.
    Kept,
}

/// The sender's end of the wait.
pub(crate) struct Waiting {
    answer: oneshot::Receiver<Reply>,
    kept: oneshot::Receiver<()>,
    progress: Arc<Progress>,
    deadline: Instant,
}

/// How far a message has come, seen from its sender.
#[derive(Default)]
struct Progress(Mutex<Place>);

/// The message, the one that stands for it where it was kept before, and how far it has come.
#[derive(Default)]
struct Place {
    id: Option<MessageId>,
    first: Option<MessageId>,
    stage: Stage,
}

/// A message, and the one that stands for it.
pub(crate) type Named = (Option<MessageId>, Option<MessageId>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Running,
    /// The steps have ended: an answer comes within the deadline.
    Processed,
    /// The sender was told that we cannot take it now.
    Abandoned,
}

impl Caller {
    pub(crate) fn new(within: Duration, wants: Wants) -> (Self, Waiting) {
        let (answer, answered) = oneshot::channel();
        let (kept, is_kept) = oneshot::channel();
        let progress = Arc::new(Progress::default());
        let since = Instant::now();
        let deadline = since + within;
        let caller = Self {
            answer: Some(answer),
            kept: Some(kept),
            progress: Arc::clone(&progress),
            answered: None,
            wants,
            since,
            deadline,
        };
        (caller, Waiting { answer: answered, kept: is_kept, progress, deadline })
    }

    /// Nobody waits: the message was taken up again after a crash.
    pub(crate) fn nobody() -> Self {
        Self {
            answer: None,
            kept: None,
            progress: Arc::default(),
            answered: None,
            wants: Wants::Answer,
            since: Instant::now(),
            deadline: Instant::now(),
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| !answer.is_closed())
    }

    /// The message has its place in the order, though it may not be kept yet.
    pub(crate) fn named(&self, id: MessageId) {
        self.progress.lock().id = Some(id);
    }

    /// It was kept before: this one stands for it.
    pub(crate) fn stands_for_it(&self, first: MessageId) {
        self.progress.lock().first = Some(first);
    }

    pub(crate) fn message(&self) -> Option<MessageId> {
        self.progress.lock().id
    }

    /// What the sender was answered: what a second copy hears too.
    pub(crate) fn answered(&self) -> Option<&Reply> {
        self.answered.as_ref()
    }

    /// Whether its sender was told meanwhile that we cannot take it now.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.progress.lock().stage == Stage::Abandoned
    }

    pub(crate) fn kept(&mut self) {
        if let Some(kept) = self.kept.take() {
            // Only a sender in enhanced mode listens.
            let _ = kept.send(());
        }
    }

    /// From here on the answer keeps the deadline by itself.
    pub(crate) fn processed(&self) {
        let mut progress = self.progress.lock();
        if progress.stage == Stage::Running {
            progress.stage = Stage::Processed;
        }
    }

    /// Answers, once. Later words are not heard.
    pub(crate) fn answer(&mut self, reply: Reply) {
        self.processed();
        if self.answered.is_none() {
            self.answered = Some(reply.clone());
        }
        if let Some(answer) = self.answer.take() {
            // A sender that has gone is the source's business: it says `untold`.
            let _ = answer.send(reply);
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.answer(unfinished());
    }
}

impl Waiting {
    /// Waits until the message is durable, or until it is answered because it is not.
    pub(crate) async fn kept(mut self) -> Result<Self, (Reply, Named)> {
        let deadline = self.deadline;
        tokio::select! {
            biased;
            Ok(()) = &mut self.kept => return Ok(self),
            reply = &mut self.answer => return Err((reply.unwrap_or_else(|_| unfinished()), self.message())),
            () = tokio::time::sleep_until(deadline) => {}
        }
        Err((self.abandon(), self.message()))
    }

    /// Waits for the answer, at most until the deadline.
    pub(crate) async fn answer(mut self) -> (Reply, Named) {
        let deadline = self.deadline;
        tokio::select! {
            biased;
            reply = &mut self.answer => return (reply.unwrap_or_else(|_| unfinished()), self.message()),
            () = tokio::time::sleep_until(deadline) => {}
        }
        let reply = if self.is_processed() {
            (&mut self.answer).await.unwrap_or_else(|_| unfinished())
        } else {
            self.abandon()
        };
        (reply, self.message())
    }

    fn is_processed(&self) -> bool {
        self.progress.lock().stage == Stage::Processed
    }

    fn abandon(&self) -> Reply {
        self.progress.lock().stage = Stage::Abandoned;
        Reply::because(Outcome::Unavailable, "the message was not processed in time; it goes on")
    }

    fn message(&self) -> Named {
        let progress = self.progress.lock();
        (progress.id, progress.first)
    }
}

impl Progress {
    fn lock(&self) -> std::sync::MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unfinished() -> Reply {
    Reply::because(Outcome::Unavailable, "the message was left unfinished")
}
