//! A bug on the way of a message: how the store has it says how it ends, and it holds nobody up.

use std::time::Duration;

use super::{Line, again::reply_of};
use crate::{Closed, MessageId, MessageState, Outcome, Reply, StoreError, Why, WhyKind, caller::Caller};

/// How long to wait before asking a broken store again.
const PAUSE: Duration = Duration::from_millis(200);

impl Line {
    /// Ends a message whose task panicked. Where the store cannot say how it stands, its sender hears *unavailable*.
    pub(super) async fn mend(&self, why: &str, caller: &mut Caller) {
        let Some(id) = caller.message() else {
            tracing::error!(channel = %self.channel, why, "a bug cut a message before it was taken");
            return;
        };
        loop {
            match self.end_broken(id, why).await {
                Ok(reply) => return caller.answer(reply),
                Err(error) => {
                    tracing::warn!(channel = %self.channel, message_id = id.0, %error, "cannot end a message that a bug cut; will try again");
                    caller.answer(Reply::because(Outcome::Unavailable, "the message store cannot write"));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Ends it as the store has it: what is only kept as failed, for a person; what is queued goes its way.
    pub(super) async fn end_broken(&self, id: MessageId, why: &str) -> Result<Reply, StoreError> {
        tracing::error!(channel = %self.channel, message_id = id.0, why, "a bug cut a message on its way");
        let reply = match self.store.standing(id).await? {
            None => Reply::because(Outcome::Unavailable, "the message was left unfinished"),
            Some(standing) if standing.state == MessageState::Kept => {
                self.store.close(id, failed(why)).await?;
                self.observer.ended(&self.channel, Some(id), Outcome::Failed);
                Reply::because(Outcome::Failed, "the engine failed")
            }
            Some(standing) => {
                for outlet in &self.outlets {
                    outlet.take_up(id).await?;
                }
                reply_of(standing)
            }
        };
        self.arrivals.leave(id);
        Ok(reply)
    }
}

fn failed(why: &str) -> Closed {
    let why = Why::new(WhyKind::Bug, format!("a bug of the engine cut it: {why}"));
    Closed::new(MessageState::Failed, Outcome::Failed, why)
}
