//! Intake: receive, store, ack. Ends when the message is durable.

use std::{sync::Arc, time::SystemTime};

use super::{Exit, Line, Seat};
use crate::{
    Again, Arrival, Clash, Closed, Content, Facts, Hash, Inbound, Kept, Message, MessageId, MessageState,
    Outcome, Owed, Reading, Reply, ReplyWhen, Silence, Why, WhyKind,
    caller::Caller,
    recovery::{IsKept, Stranded},
};

/// A message as it was read, about to be kept.
pub(super) struct Received {
    body: Content,
    facts: Arc<Facts>,
    effect: Option<Hash>,
    again: Option<Again>,
    reading: Reading,
    unreadable: Option<String>,
}

impl Line {
    /// Reads what the message says of itself. What cannot be read is kept all the same.
    pub(super) fn receive(&self, inbound: Inbound) -> Received {
        let read = match &inbound.unreadable {
            Some(why) => Err(why.clone()),
            None => match self.pace.run(|| self.script.read(&inbound)) {
                Ok(read) => read.map_err(|unreadable| unreadable.why),
                Err(panicked) => Err(panicked.0),
            },
        };
        let (reading, unreadable) = match read {
            Ok(reading) => {
                let control_id = reading.control_id.or(inbound.name);
                (Reading { control_id, ..reading }, None)
            }
            Err(why) => (Reading::default(), Some(why)),
        };
        Received {
            body: inbound.body,
            facts: inbound.facts,
            effect: inbound.effect,
            again: inbound.again,
            reading,
            unreadable,
        }
    }

    /// Gives a message its place in the order, and its identity.
    pub(super) fn enter(
        &self,
        received: Received,
        seat: Option<&Seat>,
        caller: &Caller,
    ) -> (Box<Arrival>, Option<String>) {
        let id = match seat {
            Some(seat) => seat.id,
            None => self.arrivals.enter(self.store.as_ref()),
        };
        caller.named(id);
        self.recovery.begin(id);
        let unreadable = received.unreadable.clone();
        (Box::new(self.arrival(id, received, seat)), unreadable)
    }

    /// Makes the message durable, or finds that it already is.
    pub(super) async fn store(
        &self,
        arrival: Box<Arrival>,
        unreadable: Option<String>,
        seat: Option<Seat>,
    ) -> Result<Message, Exit> {
        let message = arrival.message.clone();
        if let Some(first) = self.recovery.first_copy(message.identity) {
            if let Some(seat) = &seat {
                seat.pass(self.store.as_ref()).await;
            }
            return Box::pin(self.stand_for(first, arrival, unreadable)).await;
        }
        let kept = match &seat {
            Some(seat) => Box::pin(seat.keep(self.store.as_ref(), (*arrival).clone())).await,
            None => self.store.keep(vec![(*arrival).clone()]).await.map(|mut kept| kept.remove(0)),
        };
        match kept {
            Ok(Kept::New(flags)) => {
                self.says_kept(&message);
                self.is_readable(as_kept(message, &flags), unreadable)
            }
            Ok(Kept::Again(first)) => Box::pin(self.stand_for(first, arrival, unreadable)).await,
            Ok(Kept::Other(clash)) => Err(self.turned_away_for(clash, &message)),
            Err(error) => Err(Exit::Broken(Some(Box::new(message)), IsKept::Perhaps, error)),
        }
    }

    /// It contradicts what was taken before: it is kept, and refused.
    pub(super) fn turned_away_for(&self, clash: Clash, message: &Message) -> Exit {
        self.says_kept(message);
        self.has_closed(message.id, &clash.closed());
        Exit::Closed(Box::new(Reply::because(Outcome::Refused, clash.told())))
    }

    /// A second copy: it stands for the first if nobody has taken that one up, else hears what the first one did.
    pub(super) async fn stand_for(
        &self,
        first: MessageId,
        mut arrival: Box<Arrival>,
        unreadable: Option<String>,
    ) -> Result<Message, Exit> {
        let Some(stranded) = self.recovery.claim(first) else {
            self.arrivals.leave(arrival.message.id);
            return Err(again(*arrival, first));
        };
        arrival.supersedes = Some(first);
        let message = self.supersede(arrival, stranded).await?;
        self.is_readable(message, unreadable)
    }

    /// Closes the first copy and keeps the second, in one write.
    async fn supersede(&self, arrival: Box<Arrival>, first: Stranded) -> Result<Message, Exit> {
        let message = arrival.message.clone();
        let stands = |stranded: &Stranded| {
            self.arrivals.leave(stranded.message.id);
            self.recovery.forget(stranded.message.identity);
            self.recovery.open_gate();
        };
        match self.store.keep(vec![(*arrival).clone()]).await.map(|mut kept| kept.remove(0)) {
            Ok(Kept::New(flags)) => {
                self.says_kept(&message);
                stands(&first);
                Ok(as_kept(message, &flags))
            }
            Ok(Kept::Other(clash)) => {
                stands(&first);
                Err(self.turned_away_for(clash, &message))
            }
            // A write that seemed to fail had taken effect: the first copy has left `kept`, and goes its way.
            Ok(Kept::Again(standing)) => {
                self.recovery.strand(first);
                self.arrivals.leave(message.id);
                Err(again(*arrival, standing))
            }
            Err(error) => {
                self.recovery.strand(first);
                Err(Exit::Broken(Some(Box::new(message)), IsKept::Perhaps, error))
            }
        }
    }

    pub(super) fn ack(&self, caller: &mut Caller) {
        caller.kept();
        if self.reply.when == ReplyWhen::Stored {
            caller.answer(Reply::of(Outcome::Accepted));
        }
    }

    fn arrival(&self, id: MessageId, received: Received, seat: Option<&Seat>) -> Arrival {
        let Received { body, facts, effect, again, mut reading, unreadable } = received;
        let study = reading.study.take();
        let identity = effect.unwrap_or_else(|| identity(id, &reading, &body));
        let control_id = reading.control_id.clone();
        let received = SystemTime::now();
        let message = Message { id, body, facts, control_id, identity, received };
        let closed = unreadable.map(|why| {
            let why = Why::new(WhyKind::Unreadable, why);
            Closed::new(MessageState::Refused, Outcome::Unreadable, why)
        });
        let answer = if self.silence == Silence::Never { Owed::NotOwed } else { Owed::Owed };
        Arrival {
            channel: Arc::clone(&self.channel),
            message,
            reading,
            study,
            version: self.version,
            repeats: self.repeats,
            supersedes: None,
            again,
            closed,
            answer,
            batch: seat.map(|seat| seat.batch),
            effect,
            gathers: None,
        }
    }

    pub(super) fn says_kept(&self, message: &Message) {
        self.observer.kept(&self.channel, message.id, &message.facts);
    }

    fn is_readable(&self, message: Message, unreadable: Option<String>) -> Result<Message, Exit> {
        let Some(why) = unreadable else { return Ok(message) };
        self.arrivals.leave(message.id);
        Err(Exit::Unreadable(message.id, why))
    }
}

/// What was kept before stands for this one.
fn again(arrival: Arrival, first: MessageId) -> Exit {
    let effect = arrival.effect;
    Exit::Again { message: Box::new(Message { id: first, ..arrival.message }), effect }
}

/// The message under the identity that the store kept it by.
pub(super) fn as_kept(message: Message, flags: &[String]) -> Message {
    if !flags.iter().any(|flag| flag == "repeat") {
        return message;
    }
    Message { identity: Message::identity_of_repeat(message.identity, message.id), ..message }
}

/// What makes this message itself: its sender, its id there and its bytes. One without an id is like no other.
fn identity(id: MessageId, reading: &Reading, body: &Content) -> Hash {
    match &reading.control_id {
        Some(control_id) => Hash::of(&[reading.sender.as_bytes(), control_id.as_bytes(), &body.hash().0]),
        None => Hash::of(&[&body.hash().0, &id.0.to_be_bytes()]),
    }
}
