//! What a second copy of a message hears: what the first one did, or what became of it since.

use tokio::time::Instant;

use super::{Line, deliver::Sent};
use crate::{
    DeliveryState, Message, MessageId, MessageState, Outcome, Reply, ReplyBody, ReplyWhen, Sibling, Standing,
    outlet::Tried,
};

impl Line {
    /// What a second copy hears. `message` has the number of the first.
    pub(super) async fn answer_of(&self, message: &Message, deadline: Instant) -> Reply {
        let first = message.id;
        if let Some(told) = self.recovery.wait_for(first) {
            if self.reply.when == ReplyWhen::Stored {
                return self.answer_of_stored(first).await;
            }
            match tokio::time::timeout_at(deadline, told).await {
                Ok(Ok(reply)) => return reply,
                // It was taken up without a sender of its own: how it stands says how it ended.
                Ok(Err(_)) => {}
                Err(_) => {
                    let why = "the first copy of this message is still under way";
                    return Reply::because(Outcome::Unavailable, why);
                }
            }
        }
        match self.store.standing(first).await {
            Ok(Some(standing)) => self.answer_of_ended(message, standing).await,
            Ok(None) => Reply::because(Outcome::Unavailable, "the first copy of this message is gone"),
            Err(_) => unread(),
        }
    }

    /// What was told; where that was lost, it is made again of what is kept with the deliveries, or awaited.
    async fn answer_of_ended(&self, message: &Message, standing: Standing) -> Reply {
        if standing.reply.is_some() || standing.state != MessageState::Queued {
            return reply_of(standing);
        }
        match &self.reply.when {
            ReplyWhen::From(name) => match self.store.came_back(message.id, name).await {
                Ok(Some(delivery)) => came_back(name, delivery, reply_of(standing)),
                Ok(None) => reply_of(standing),
                Err(_) => unread(),
            },
            ReplyWhen::Delivered | ReplyWhen::Script => self.answer_of_deliveries(message, standing).await,
            ReplyWhen::Stored | ReplyWhen::Processed | ReplyWhen::Never => reply_of(standing),
        }
    }

    async fn answer_of_deliveries(&self, message: &Message, standing: Standing) -> Reply {
        let mut tried = Vec::with_capacity(self.outlets.len());
        for outlet in &self.outlets {
            let delivery = match self.store.came_back(message.id, outlet.name()).await {
                Ok(Some(delivery)) => delivery,
                Ok(None) => continue,
                Err(_) => return unread(),
            };
            let Some(ended) = ended(delivery) else {
                return Reply { why: Some(Reply::AWAITED.to_owned()), ..reply_of(standing) };
            };
            tried.push((outlet.name().to_owned(), ended));
        }
        let outcome = standing.outcome.unwrap_or(Outcome::Accepted);
        self.choose(&Sent::again(message.clone(), outcome, tried))
    }

    /// That the first copy is under way does not say that it was kept: the write that failed may have had no effect.
    async fn answer_of_stored(&self, first: MessageId) -> Reply {
        match self.store.standing(first).await {
            Ok(Some(_)) => Reply::of(Outcome::Accepted),
            Ok(None) => Reply::because(Outcome::Unavailable, "the first copy of this message is gone"),
            Err(_) => unread(),
        }
    }
}

fn unread() -> Reply {
    Reply::because(Outcome::Unavailable, "the message store cannot be read")
}

/// How a delivery ended; `None` while it has not.
fn ended(delivery: Sibling) -> Option<Tried> {
    match delivery.state {
        DeliveryState::Sent => Some(Tried::Sent(delivery.response.unwrap_or_default())),
        DeliveryState::GivenUp | DeliveryState::SetAside => {
            Some(Tried::GivenUp { code: None, response: delivery.response })
        }
        DeliveryState::Dropped => Some(Tried::Dropped),
        DeliveryState::Waiting | DeliveryState::Begun | DeliveryState::Unsure => None,
    }
}

/// The answer of a destination that has one by now.
fn came_back(name: &str, delivery: Sibling, otherwise: Reply) -> Reply {
    let body = delivery.response.and_then(|response| response.body).map(ReplyBody::From);
    match (delivery.state, body) {
        (DeliveryState::Sent, body) => Reply { body, ..otherwise },
        (DeliveryState::GivenUp, body @ Some(_)) => {
            Reply { body, ..Reply::because(Outcome::Refused, format!("{name} refused it")) }
        }
        (DeliveryState::GivenUp, None) => Reply::because(Outcome::Failed, format!("{name} did not take it")),
        (DeliveryState::Waiting | DeliveryState::Begun | DeliveryState::Unsure, _) => {
            Reply { why: Some(Reply::AWAITED.to_owned()), ..otherwise }
        }
        (DeliveryState::SetAside | DeliveryState::Dropped, _) => otherwise,
    }
}

/// The answer that a message which has ended would get.
pub(super) fn reply_of(standing: Standing) -> Reply {
    let Some(stored) = standing.reply else {
        return match standing.outcome {
            Some(outcome) => Reply::of(outcome),
            None => Reply::because(Outcome::Unavailable, "the first copy of this message is still under way"),
        };
    };
    let body = match (stored.from, stored.script) {
        (Some(from), _) => Some(ReplyBody::From(from.into())),
        (None, Some(script)) => Some(ReplyBody::Script(script.into())),
        (None, None) => None,
    };
    Reply { outcome: stored.outcome, why: stored.why, at: stored.at, code: stored.code, body }
}
