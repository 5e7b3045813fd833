//! Intake, and processing with it where one write is enough for both.
//!
//! Steps are pure: what they make of a message is the same before it is kept and after. So where the answer waits for them
//! anyway, the message is kept and queued in one write. It is kept first where somebody wants to hear of that, where a copy
//! or an older message has to be looked after, and as long as the store asks for it: after an end that was not in order, a
//! message that ends the process must be known.

use super::{
    Exit, Line, Seat,
    intake::{Received, as_kept},
    process::{Queued, Routed},
};
use crate::{
    AnswerState, Arrival, Closed, DeliveryId, DeliveryState, Done, Kept, Message, Outcome, Reply, ReplyWhen,
    Taken, Told,
    caller::{Caller, Wants},
    recovery::IsKept,
};

/// How far a message has come.
pub(super) enum Way {
    /// Durable, its steps ahead of it.
    Kept(Message),
    /// Durable with its deliveries.
    Taken(Queued),
}

impl Line {
    /// Makes a message durable, together with what its steps make of it where that may be.
    pub(super) async fn take(
        &self,
        received: Received,
        seat: Option<Seat>,
        caller: &mut Caller,
    ) -> Result<Way, Exit> {
        let (arrival, unreadable) = self.enter(received, seat.as_ref(), caller);
        if seat.is_none() && unreadable.is_none() && self.is_enough(&arrival, caller) {
            return self.take_in_one_write(arrival, caller).await;
        }
        self.store(arrival, unreadable, seat).await.map(Way::Kept)
    }

    /// Whether one write is enough.
    fn is_enough(&self, arrival: &Arrival, caller: &Caller) -> bool {
        self.reply.when != ReplyWhen::Stored
            && caller.wants == Wants::Answer
            && arrival.again.is_none()
            && !self.recovery.is_shut()
            && self.recovery.first_copy(arrival.message.identity).is_none()
            && !self.store.keeps_first()
    }

    async fn take_in_one_write(&self, arrival: Box<Arrival>, caller: &mut Caller) -> Result<Way, Exit> {
        let message = arrival.message.clone();
        match self.transform_now(message.clone()).and_then(|transformed| self.route(transformed)) {
            Ok(routed) => self.take_routed(arrival, routed, caller).await,
            // It is kept first: its steps run again once what they ask answers.
            Err(Exit::Halted(halted)) if halted.unavailable().is_some() => {
                self.store(arrival, None, None).await.map(Way::Kept)
            }
            Err(Exit::Halted(halted)) => {
                self.went(&message, halted.halt.outcome());
                let (reply, closed) = halted.told_and_closed();
                Box::pin(self.take_closed(arrival, (reply, closed), caller)).await
            }
            Err(exit) => Err(exit),
        }
    }

    async fn take_routed(
        &self,
        arrival: Box<Arrival>,
        routed: Routed,
        caller: &mut Caller,
    ) -> Result<Way, Exit> {
        let Routed { message, processed, fresh } = routed;
        let outcome = processed.outcome;
        match self.taken(arrival, Done::Queue(processed), caller).await? {
            Ok(done) => Ok(Way::Taken(self.hand_over((message, outcome), fresh, &done, caller))),
            Err(kept) => Ok(Way::Kept(kept)),
        }
    }

    async fn take_closed(
        &self,
        arrival: Box<Arrival>,
        (reply, closed): (Reply, Closed),
        caller: &mut Caller,
    ) -> Result<Way, Exit> {
        let id = arrival.message.id;
        match self.taken(arrival, Done::Close(closed.clone()), caller).await? {
            Ok(_) => {
                self.has_closed(id, &closed);
                Err(Exit::Closed(Box::new(reply)))
            }
            Err(kept) => Ok(Way::Kept(kept)),
        }
    }

    /// Returns what [`crate::Store::queue`] does, or the message where it is only kept.
    async fn taken(
        &self,
        arrival: Box<Arrival>,
        done: Done,
        caller: &mut Caller,
    ) -> Result<Result<Vec<(DeliveryId, DeliveryState)>, Message>, Exit> {
        let message = arrival.message.clone();
        let taken = match self.store.take((*arrival).clone(), done).await {
            Ok(taken) => taken,
            Err(error) => return Err(Exit::Broken(Some(Box::new(message)), IsKept::Perhaps, error)),
        };
        if caller.is_abandoned() {
            // What its source noted of that came before the message was kept.
            let reply = Reply::of(Outcome::Unavailable);
            self.told(message.id, Told { state: AnswerState::Unavailable, reply });
        }
        if matches!(taken.kept, Kept::New(_)) {
            self.says_kept(&message);
        }
        match taken {
            Taken { kept: Kept::New(_), done: Some(done) } => {
                caller.kept();
                Ok(Ok(done))
            }
            Taken { kept: Kept::New(flags), done: None } => Ok(Err(as_kept(message, &flags))),
            Taken { kept: Kept::Other(clash), .. } => Err(self.turned_away_for(clash, &message)),
            Taken { kept: Kept::Again(first), .. } => {
                Box::pin(self.stand_for(first, arrival, None)).await.map(Err)
            }
        }
    }
}
