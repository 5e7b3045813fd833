//! What a person does to a channel's destinations and deliveries. Each is in the audit log.

use std::sync::Arc;

use super::{Channel, hold_switch};
use crate::{
    Act, Content, Context, DeliveryId, Directory, Filling, Inputs, Intervention, Leaving, Looked, MessageId,
    Outcome, Position, Route, StoreError, Why,
    outlet::{Outlet, Withdrawn, position_of},
};

/// Why a person's wish could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such destination: {0}")]
    NoDestination(String),
    #[error("there is no such delivery: {0}")]
    NoDelivery(u64),
    #[error("message {0} does not wait for a code")]
    NotHeld(MessageId),
    #[error("it is being sent at this moment; hold the destination, then try again")]
    UnderWay,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A waiting delivery that was not made again, and why. The words may be those of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAsItWas {
    pub delivery: DeliveryId,
    pub message: Option<MessageId>,
    pub destination: String,
    pub why: Why,
}

impl Channel {
    /// Sends nothing to a destination until it is released. Durable.
    pub async fn hold(&self, destination: &str, by: &str) -> Result<(), Refusal> {
        self.switch_hold(destination, Some("held"), by).await
    }

    pub async fn release(&self, destination: &str, by: &str) -> Result<(), Refusal> {
        self.switch_hold(destination, None, by).await
    }

    async fn switch_hold(&self, destination: &str, value: Option<&str>, by: &str) -> Result<(), Refusal> {
        let outlet =
            self.outlet(destination).ok_or_else(|| Refusal::NoDestination(destination.to_owned()))?;
        self.around.store.switch(&hold_switch(&self.name, destination), value, by).await?;
        outlet.set_held(value.is_some());
        self.around.observer.changed(&self.name);
        Ok(())
    }

    /// Sets the head of a destination's queue aside, so that those behind it go on.
    pub async fn park(&self, destination: &str, by: &str) -> Result<Option<DeliveryId>, Refusal> {
        let outlet =
            self.outlet(destination).ok_or_else(|| Refusal::NoDestination(destination.to_owned()))?;
        outlet.park(by).await
    }

    /// Sends a delivery again: as it is, edited, or to another destination.
    pub async fn resend(
        &self,
        delivery: DeliveryId,
        to: Option<String>,
        body: Option<Content>,
        by: &str,
    ) -> Result<DeliveryId, Refusal> {
        let found = self.around.store.delivery(delivery).await?.ok_or(Refusal::NoDelivery(delivery.0))?;
        let from = self.outlet(&found.destination);
        let target = to.as_deref().unwrap_or(&found.destination);
        let target = self.outlet(target).ok_or_else(|| Refusal::NoDestination(target.to_owned()))?;
        let withdrawn = match &from {
            Some(outlet) => Some(outlet.withdraw(position_of(&found)).await?),
            None => None,
        };
        let what = Act::Resend { to, body };
        let again = self.around.store.intervene(Intervention { delivery, what, by: by.to_owned() }).await;
        let Ok(Some(waiting)) = again else {
            if let Some(withdrawn) = withdrawn {
                withdrawn.restore();
            }
            return Err(again.err().map_or(Refusal::NoDelivery(delivery.0), Refusal::Store));
        };
        let id = waiting.position.delivery;
        match withdrawn {
            Some(withdrawn) if id == delivery => withdrawn.revive(waiting),
            withdrawn => {
                target.take_made(waiting);
                // The new one goes in the place of one that waits.
                if let Some(withdrawn) = withdrawn.filter(Withdrawn::waits) {
                    self.drop_withdrawn(delivery, withdrawn, by).await?;
                }
            }
        }
        Ok(id)
    }

    /// Gives a delivery up for good.
    pub async fn drop_delivery(&self, delivery: DeliveryId, by: &str) -> Result<(), Refusal> {
        let found = self.around.store.delivery(delivery).await?.ok_or(Refusal::NoDelivery(delivery.0))?;
        let Some(outlet) = self.outlet(&found.destination) else {
            let what = Act::Drop;
            self.around.store.intervene(Intervention { delivery, what, by: by.to_owned() }).await?;
            return Ok(());
        };
        let withdrawn = outlet.withdraw(position_of(&found)).await?;
        self.drop_withdrawn(delivery, withdrawn, by).await
    }

    async fn drop_withdrawn(
        &self,
        delivery: DeliveryId,
        withdrawn: Withdrawn<'_>,
        by: &str,
    ) -> Result<(), Refusal> {
        let dropped = Intervention { delivery, what: Act::Drop, by: by.to_owned() };
        if let Err(error) = self.around.store.intervene(dropped).await {
            withdrawn.restore();
            return Err(error.into());
        }
        withdrawn.gone();
        Ok(())
    }

    /// Runs the steps of a message that waits for a code once more. It goes on at its place, or waits as before.
    pub async fn look_again(&self, message: MessageId) -> Result<Looked, Refusal> {
        Ok(self.line().look_at(message, &self.all_outlets()).await?)
    }

    /// Gives up a message that waits for a code: it is never carried any further.
    pub async fn abandon(&self, message: MessageId, by: &str) -> Result<(), Refusal> {
        let line = self.line();
        let _alone = self.holding.looking.lock().await;
        if !self.around.store.abandon(message, by).await? {
            return Err(Refusal::NotHeld(message));
        }
        line.let_pass(message, &self.all_outlets());
        self.around.observer.ended(&self.name, Some(message), Outcome::Filtered);
        Ok(())
    }

    /// A message that waited for a code was run again as another one: what it held back may go.
    pub fn let_pass(&self, message: MessageId) {
        self.line().let_pass(message, &self.all_outlets());
    }

    /// Makes the payloads of waiting deliveries again from the raw messages, with the steps now in force.
    /// Returns how many were made, and those that are left as they are.
    pub async fn rerun_waiting(&self) -> Result<(u64, Vec<LeftAsItWas>), Refusal> {
        let mut made = 0;
        let mut left = Vec::new();
        for outlet in self.all_outlets() {
            // What comes from here on is made with the steps now in force.
            let Some(last) = outlet.last_waiting().await? else { continue };
            let mut after = None;
            loop {
                let waiting = outlet.waiting_behind(after, last).await?;
                let Some(end) = waiting.last() else { break };
                after = Some(*end);
                for position in waiting {
                    match self.rerun_one(&outlet, position).await? {
                        Ok(()) => made += 1,
                        Err(why) => left.push(left_as_it_was(position, outlet.name(), why)),
                    }
                }
            }
        }
        Ok((made, left))
    }

    async fn rerun_one(&self, outlet: &Outlet, position: Position) -> Result<Result<(), Why>, Refusal> {
        let withdrawn = match outlet.withdraw(position).await {
            Ok(withdrawn) => withdrawn,
            Err(Refusal::UnderWay) => return Ok(Err(Why::ours("it is being sent"))),
            Err(refusal) => return Err(refusal),
        };
        withdrawn.forget_fresh();
        let again = self.rerun(position.delivery, outlet.name()).await;
        withdrawn.restore();
        again
    }

    /// Makes one payload again; else says why it is left as it was.
    async fn rerun(&self, id: DeliveryId, destination: &str) -> Result<Result<(), Why>, Refusal> {
        let left = |why: &str| Ok(Err(Why::ours(why)));
        let Some(delivery) = self.around.store.delivery(id).await? else {
            return left("it is not kept any more");
        };
        if delivery.body.is_none() {
            return left("it waits for another destination: its steps run when that one is sent");
        }
        let plan = self.plan();
        let Some(index) = plan.outlets.iter().position(|outlet| outlet.name == destination) else {
            return left("the file no longer names its destination");
        };
        let message = delivery.message;
        let context =
            Context::new(Arc::clone(&self.name), message.id, Arc::clone(&message.facts), Inputs::Live)
                .looking_into(Arc::clone(&self.around.directory) as Arc<dyn Directory>);
        let place = delivery.piece.place;
        let line = self.line();
        let leaving = line.pace.run(|| {
            let pieces = plan.script.transform(&message, &context).map_err(|halt| Why::from(&halt))?;
            let piece = pieces.into_iter().find(|piece| piece.place == place);
            let piece = piece.ok_or_else(|| Why::ours("the steps no longer make this part"))?;
            if let Some(halt) = &piece.halt {
                return Err(Why::from(halt));
            }
            match plan.script.route(&piece, index, &context) {
                Ok(Route::Goes(leaving)) => Ok((piece, leaving)),
                Ok(Route::Left) => Err(Why::ours("its `when` is false now")),
                Ok(Route::Filtered) => Err(Why::ours("the destination's steps filter it now")),
                Ok(Route::Later(_)) => Err(Why::ours("it waits for another destination now")),
                Err(halt) => Err(Why::from(&halt)),
            }
        });
        let (piece, Leaving { body, texts, .. }) = match leaving {
            Ok(Ok(leaving)) => leaving,
            Ok(Err(why)) => return Ok(Err(why)),
            Err(_) => return left("its steps broke"),
        };
        let inputs = (!context.is_untouched()).then(|| context.recorded());
        let filling = Filling { body: Some(body.unwrap_or(piece.body)), texts, inputs };
        self.around.store.fill(id, filling).await?;
        Ok(Ok(()))
    }
}

fn left_as_it_was(position: Position, destination: &str, why: Why) -> LeftAsItWas {
    let Position { message, delivery, .. } = position;
    LeftAsItWas { delivery, message: Some(message), destination: destination.to_owned(), why }
}
