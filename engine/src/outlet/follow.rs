//! Outlets that wait for one another (`after:`).

use std::sync::{Arc, PoisonError};

use super::{Conduct, Outlet, STORE_PAUSE, Tried};
use crate::{
    Answered, AttemptEnd, Context, Delivery, DeliveryState, Filling, Halt, Inputs, Leaving, Position, Route,
    Sibling, Stop, Waiting, Why, observer::Measured,
};

impl Outlet {
    /// The delivery with its payload. One that follows another outlet gets it now, or goes on waiting.
    pub(super) async fn completed(
        &self,
        position: Position,
        delivery: Delivery,
        conduct: &Conduct,
        stop: &Stop,
    ) -> Option<Delivery> {
        let Some(after) = delivery.after.clone().filter(|_| delivery.body.is_none()) else {
            return Some(delivery);
        };
        let Ok(sibling) = self.store.sibling(delivery.id, &after).await else {
            self.rest_for(position, STORE_PAUSE);
            return None;
        };
        match sibling {
            Some(Sibling { state: DeliveryState::Sent, response }) => {
                let answered = response.map(|response| Answered {
                    body: response.body.and_then(|body| String::from_utf8(body.to_vec()).ok()),
                    facts: response.facts,
                });
                self.fill(position, delivery, (after, answered.unwrap_or_default()), (conduct, stop)).await
            }
            Some(Sibling {
                state: DeliveryState::GivenUp | DeliveryState::Dropped | DeliveryState::SetAside,
                ..
            }) => {
                self.set_aside(position, &delivery, &after, stop).await;
                None
            }
            Some(_) => {
                self.lanes().follow(position);
                self.wake.notify_one();
                None
            }
            // It was not chosen: there is nothing to wait for.
            None => {
                self.fill(position, delivery, (String::new(), Answered::default()), (conduct, stop)).await
            }
        }
    }

    /// Runs the outlet's own steps, once, and keeps what they made.
    async fn fill(
        &self,
        position: Position,
        mut delivery: Delivery,
        (after, answered): (String, Answered),
        (conduct, stop): (&Conduct, &Stop),
    ) -> Option<Delivery> {
        let facts = Arc::clone(&delivery.message.facts);
        let mut context = Context::new(Arc::clone(&self.channel), delivery.message.id, facts, Inputs::Live)
            .looking_into(Arc::clone(&self.directory));
        if self.observer.measures() {
            context = context.watched(Measured::of(&self.channel, &self.observer, &delivery.message));
        }
        if !after.is_empty() {
            context.responses.insert(after, answered);
        }
        let route = conduct
            .pace
            .run(|| conduct.script.complete(&delivery.piece, conduct.index, &context))
            .unwrap_or_else(|panicked| {
                Err(Halt::Failed { step: "the steps".to_owned(), why: panicked.0, place: None })
            });
        let inputs = (!context.is_untouched()).then(|| context.recorded());
        match route {
            Ok(Route::Goes(Leaving { body, texts, .. })) => {
                let body = body.unwrap_or_else(|| delivery.piece.body.clone());
                let filling = Filling { body: Some(body.clone()), texts: texts.clone(), inputs };
                if self.store.fill(delivery.id, filling).await.is_err() {
                    self.rest_for(position, STORE_PAUSE);
                    return None;
                }
                delivery.body = Some(body);
                delivery.texts = texts;
                Some(delivery)
            }
            Ok(Route::Filtered | Route::Left | Route::Later(_)) => {
                let end = AttemptEnd::Dropped { why: Why::ours("filtered by its own steps") };
                self.end_with(position, &delivery, (end, Tried::Dropped), stop).await;
                None
            }
            // Its message has gone on elsewhere: this delivery alone waits for a person.
            Err(halt @ Halt::Held(_)) => {
                let end = AttemptEnd::SetAside { why: Why::from(&halt) };
                self.end_with(position, &delivery, (end, Tried::Queued), stop).await;
                None
            }
            Err(Halt::Unavailable { why }) => {
                tracing::warn!(channel = %self.channel, destination = %self.name, why, "the steps wait for what they ask");
                self.rest_for(position, STORE_PAUSE);
                None
            }
            Err(halt) => {
                let end = AttemptEnd::GivenUp { why: Why::from(&halt), response: None };
                let tried = Tried::GivenUp { code: None, response: None };
                self.end_with(position, &delivery, (end, tried), stop).await;
                None
            }
        }
    }

    async fn set_aside(&self, position: Position, delivery: &Delivery, after: &str, stop: &Stop) {
        let end = AttemptEnd::SetAside { why: Why::ours(format!("{after} given up")) };
        let tried = Tried::GivenUp { code: None, response: None };
        self.end_with(position, delivery, (end, tried), stop).await;
    }

    async fn end_with(
        &self,
        position: Position,
        delivery: &Delivery,
        (end, tried): (AttemptEnd, Tried),
        stop: &Stop,
    ) {
        let mut tally = delivery.tally.clone();
        if let AttemptEnd::SetAside { why } | AttemptEnd::GivenUp { why, .. } | AttemptEnd::Dropped { why } =
            &end
        {
            tally.why = Some(why.clone());
        }
        if self.write_end(position, (end, tally), stop).await {
            self.ended(position, tried);
        }
    }

    /// Lets those that wait for this outlet look again.
    pub(super) fn tell_followers(&self, position: Position) {
        for follower in self.all_followers() {
            follower.lanes().nudge(position.message, position.part);
            follower.wake.notify_one();
        }
    }

    /// This one waits for its next try: whoever waits for its followers hears that they are queued.
    pub(super) fn tell_followers_to_wait(&self, position: Position) {
        for follower in self.all_followers() {
            follower.lanes().leader_waits(position.message, position.part);
        }
    }

    pub(super) fn all_followers(&self) -> Vec<Arc<Outlet>> {
        let followers = self.followers.read().unwrap_or_else(PoisonError::into_inner);
        followers.iter().filter_map(std::sync::Weak::upgrade).collect()
    }
}

/// Puts what a leader's end brought back into the queues of those that follow it.
pub(super) fn take_back(followers: &[Arc<Outlet>], taken: Vec<(String, Waiting)>) {
    for (name, waiting) in taken {
        for follower in followers.iter().filter(|follower| follower.name == name) {
            follower.lanes().insert(waiting.clone(), None, None);
        }
    }
}
