//! One attempt at one delivery. Retry exists here and nowhere else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{
    Conduct, Fresh, Outlet, STORE_PAUSE, Tried,
    follow::take_back,
    verdict::{RETRY, TOO_LATE, Verdict, verdict},
};
use crate::{
    Attempt, AttemptEnd, Begin, CameBack, Content, Context, Delivery, DeliveryOutcome, DeliveryState,
    Destination, Failed, Inputs, Judged, OnResponse, Outbound, PastAttempt, Position, Response, SendError,
    Settlement, Stop, Tally, Why, pace,
};

/// An attempt that is about to be made, or under way.
pub(super) struct Going {
    pub(super) position: Position,
    delivery: Delivery,
    body: Content,
    pub(super) outbound: Outbound,
    /// When it began, by both clocks.
    began: (SystemTime, Instant),
}

impl Outlet {
    /// Sends one delivery once, and writes down how it went; then, with the same writes, those that stand behind it.
    pub(super) async fn attempt(&self, position: Position, conduct: &Conduct, stop: &Stop) {
        let mut next = self.guarded(position, stop, pin!(self.begin(position, conduct, stop))).await;
        while let Some(mut going) = next {
            let position = going.position;
            // It stood ready until the one before it was written.
            going.began = (SystemTime::now(), Instant::now());
            let (result, ahead) =
                tokio::join!(self.send(&going.outbound, conduct), self.read_ahead(position));
            let concluded = pin!(self.conclude(going, (result, ahead), (conduct, stop)));
            let concluded = self.guarded(position, stop, concluded);
            // Together, so that one commit takes both.
            (next, ()) = tokio::join!(concluded, self.keep_late(conduct));
        }
    }

    /// Notes durably that an attempt begins.
    async fn begin(&self, position: Position, conduct: &Conduct, stop: &Stop) -> Option<Going> {
        let delivery = self.load(position).await?;
        if self.was_cut(position) {
            self.settle_cut(position, delivery, (conduct, stop)).await;
            return None;
        }
        // Its sender has heard that it failed, and the attempt that was to be its last never began.
        if self.is_last_try(position) {
            self.give_up_too_late(position, stop).await;
            return None;
        }
        let delivery = self.completed(position, delivery, conduct, stop).await?;
        let Some((outbound, body)) = self.outbound(&delivery) else {
            self.give_up_hollow(position, &delivery, stop).await;
            return None;
        };
        let mut going = Going::new(position, delivery, (outbound, body));
        if let Err(error) = self.prepare(&mut going, conduct).await {
            return self.conclude(going, (Err(error), None), (conduct, stop)).await;
        }
        let Outbound { id, note, .. } = &going.outbound;
        let doubts = going.delivery.tally.doubts;
        if self.store.begin(*id, note.clone(), doubts).await.is_err() {
            self.look_again(position).await;
            return None;
        }
        Some(going)
    }

    /// Asks the destination what it wants to be noted with the attempt.
    async fn prepare(&self, going: &mut Going, conduct: &Conduct) -> Result<(), SendError> {
        let prepared =
            async { Ok::<_, SendError>(conduct.destination().await?.prepare(&going.outbound).await) };
        let note = match AssertUnwindSafe(prepared).catch_unwind().await {
            Ok(prepared) => prepared?,
            Err(panic) => return Err(SendError::not_delivered(pace::words(panic.as_ref()))),
        };
        going.outbound.note = note;
        Ok(())
    }

    async fn send(&self, outbound: &Outbound, conduct: &Conduct) -> Result<Response, SendError> {
        let sent = async { conduct.destination().await?.send(outbound).await };
        let sent = AssertUnwindSafe(sent).catch_unwind().await;
        sent.unwrap_or_else(|panic| Err(SendError::unknown(pace::words(panic.as_ref()))))
    }

    /// Reads what stands behind while this one is sent, where nobody else sends meanwhile: of a long queue only the front is
    /// in memory, and without its bytes.
    async fn read_ahead(&self, position: Position) -> Option<Delivery> {
        let next = self.lanes().unread_behind(&position)?;
        let read = AssertUnwindSafe(self.store.delivery(next.delivery)).catch_unwind().await;
        // What cannot be read is read again when its turn comes, and spoken of then.
        read.ok()?.ok()?
    }

    /// What may be sent once this one is, ready to be begun: so one write ends the one and begins the other.
    async fn behind(
        &self,
        position: Position,
        ahead: Option<Delivery>,
        (conduct, stop): (&Conduct, &Stop),
    ) -> Option<Going> {
        let next = self.take_behind(position, conduct, stop)?;
        let delivery = match ahead.filter(|ahead| ahead.id == next.delivery) {
            Some(ahead) => {
                self.has_loaded(next);
                ahead
            }
            None => self.load(next).await?,
        };
        let Some((outbound, body)) = self.outbound(&delivery) else {
            self.put_back(next);
            return None;
        };
        let mut going = Going::new(next, delivery, (outbound, body));
        if self.prepare(&mut going, conduct).await.is_err() {
            self.put_back(next);
            return None;
        }
        Some(going)
    }

    fn take_behind(&self, position: Position, conduct: &Conduct, stop: &Stop) -> Option<Position> {
        let is_in_force = self.conducted().is_some_and(|now| std::ptr::eq(&raw const *now, conduct));
        let now = Instant::now();
        let may_go =
            is_in_force && self.may_send() && !stop.is_requested() && conduct.next_turn(now).is_none();
        let next =
            may_go.then(|| self.lanes().take_behind(position, self.arrivals.first(), now)).flatten()?;
        conduct.take_turn(now);
        Some(next)
    }

    /// Nobody sends it now: it is ready again.
    fn put_back(&self, position: Position) {
        self.lanes().back(position);
        self.wake.notify_one();
    }

    /// Keeps what came for deliveries whose attempts had ended, each with its own. A store that cannot write costs
    /// the note, and nothing else.
    async fn keep_late(&self, conduct: &Conduct) {
        let heard = || conduct.opened().map(Destination::overheard).unwrap_or_default();
        let heard = catch_unwind(AssertUnwindSafe(heard)).unwrap_or_else(|panic| {
            let why = pace::words(panic.as_ref());
            tracing::error!(channel = %self.channel, destination = %self.name, why, "a bug cut a look for late answers");
            Vec::new()
        });
        for answer in heard {
            let delivery = answer.delivery.0;
            if answer.response.body.is_some() {
                tracing::info!(channel = %self.channel, destination = %self.name, delivery, "a late answer came");
            }
            if let Err(error) = self.store.answered_late(answer).await {
                tracing::warn!(channel = %self.channel, destination = %self.name, delivery, %error, "cannot keep a late answer");
            }
        }
    }

    /// Reads what came back, lets the channel's `on_response` look at it, and settles.
    async fn conclude(
        &self,
        going: Going,
        (result, ahead): (Result<Response, SendError>, Option<Delivery>),
        (conduct, stop): (&Conduct, &Stop),
    ) -> Option<Going> {
        let Going { position, delivery, body, began, .. } = going;
        let result = self.judged(&delivery, &body, result, conduct);
        let mut tally = delivery.tally.clone();
        tally.attempts += 1;
        tally.not_before = None;
        tally.why = result.as_ref().err().map(SendError::kept);
        if let Err(error) = &result
            && (tally.attempts == 1 || !matches!(error, SendError::NotDelivered { .. }))
        {
            self.observer.failed(&Failed {
                channel: &self.channel,
                destination: &self.name,
                message: position.message,
                delivery: position.delivery,
                number: tally.attempts,
                error,
            });
        }
        let verdict = verdict(result, &mut tally, conduct);
        let verdict = if self.is_last_try(position) { verdict.without_another() } else { verdict };
        let made = past((&verdict, &tally), began);
        self.tell_of_attempt(&delivery, &made);
        let next = match &verdict {
            Verdict::Sent(_) => self.behind(position, ahead, (conduct, stop)).await,
            _ => None,
        };
        let (received, behind) = (delivery.message.received, next.as_ref().map(|next| next.position));
        let settled = pin!(self.settle(position, (verdict, tally, made), (next, received), (conduct, stop)));
        self.guarded_with(behind, stop, settled).await
    }

    fn judged(
        &self,
        delivery: &Delivery,
        body: &Content,
        result: Result<Response, SendError>,
        conduct: &Conduct,
    ) -> Result<Response, SendError> {
        if conduct.plan.on_response == OnResponse::Nothing {
            return result;
        }
        let facts = std::sync::Arc::clone(&delivery.message.facts);
        let context =
            Context::new(std::sync::Arc::clone(&self.channel), delivery.message.id, facts, Inputs::Live)
                .looking_into(std::sync::Arc::clone(&self.directory));
        let came_back = CameBack { payload: body, result: result.as_ref() };
        match conduct.pace.run(|| conduct.script.judge(&came_back, conduct.index, &context)) {
            Ok(Ok(None)) => result,
            Ok(Ok(Some(Judged::Sent))) => Ok(result.unwrap_or_default()),
            Ok(Ok(Some(Judged::Retry(why)))) => {
                Err(SendError::Refused { why, code: Some(RETRY.to_owned()), response: body_of(result) })
            }
            Ok(Ok(Some(Judged::Refused(why)))) => {
                Err(SendError::Refused { why, code: None, response: body_of(result) })
            }
            // What came back is what counts: a broken look at it neither loses nor repeats the delivery.
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(channel = %self.channel, destination = %self.name, "the on_response step failed");
                result
            }
        }
    }

    /// Writes how it went, however long that takes: while it is not written, the delivery is nobody else's.
    async fn settle(
        &self,
        position: Position,
        (verdict, tally, made): (Verdict, Tally, PastAttempt),
        (next, received): (Option<Going>, SystemTime),
        (conduct, stop): (&Conduct, &Stop),
    ) -> Option<Going> {
        let attempt = (!made.arrived_at_once()).then_some(made);
        let settlement = Settlement { attempt, ..self.settlement(verdict.end(), tally.clone()) };
        let next = match next {
            Some(next) => self.write_both(position, &settlement, next).await,
            None => Err(()),
        };
        // Where there is a next one, this one is written.
        if next.is_err() && !self.write_settlement(position, &settlement, stop).await {
            return None;
        }
        self.observe(position, &verdict, received);
        match verdict {
            Verdict::Sent(response) => self.ended(position, Tried::Sent(response)),
            Verdict::GivenUp { code, response, .. } => {
                self.ended(position, Tried::GivenUp { code, response });
            }
            Verdict::SetAside { .. } => {
                self.ended(position, Tried::GivenUp { code: None, response: None });
            }
            Verdict::Waits { pause, .. } => {
                let mut lanes = self.lanes();
                lanes.note(&position, tally);
                lanes.rest(position, Instant::now() + pause);
                drop(lanes);
                self.tell_followers_to_wait(position);
            }
            Verdict::Stops { .. } => {
                let mut lanes = self.lanes();
                lanes.note(&position, tally);
                lanes.stop(position);
                drop(lanes);
                self.tell_followers_to_wait(position);
            }
        }
        tracing::trace!(channel = %self.channel, outlet = conduct.index, "settled");
        self.wake.notify_one();
        next.ok().flatten()
    }

    /// Writes the end of one and the beginning of the next. `Ok`: the end is written; `None`: that alone.
    async fn write_both(
        &self,
        position: Position,
        settlement: &Settlement,
        next: Going,
    ) -> Result<Option<Going>, ()> {
        let Outbound { id, note, .. } = &next.outbound;
        let begin = Begin { id: *id, note: note.clone(), doubts: next.delivery.tally.doubts };
        let written = self.store.settle_and_begin((position.delivery, settlement.clone()), begin).await;
        let Ok((taken, has_begun)) = written else {
            self.put_back(next.position);
            return Err(());
        };
        take_back(&self.all_followers(), taken);
        if has_begun {
            return Ok(Some(next));
        }
        self.look_again(next.position).await;
        Ok(None)
    }

    fn settlement(&self, end: AttemptEnd, tally: Tally) -> Settlement {
        let followers = self.all_followers().iter().map(|follower| follower.name.clone()).collect();
        Settlement { end, tally, followers, attempt: None }
    }

    /// Writes the end, and puts what it took back from being set aside into its queue.
    pub(super) async fn write_end(
        &self,
        position: Position,
        (end, tally): (AttemptEnd, Tally),
        stop: &Stop,
    ) -> bool {
        let settlement = self.settlement(end, tally);
        self.write_settlement(position, &settlement, stop).await
    }

    async fn write_settlement(&self, position: Position, settlement: &Settlement, stop: &Stop) -> bool {
        loop {
            let error = match self.store.settle(position.delivery, settlement.clone()).await {
                Ok(taken) => {
                    take_back(&self.all_followers(), taken);
                    return true;
                }
                Err(error) => error,
            };
            tracing::warn!(channel = %self.channel, destination = %self.name, %error, "cannot write how a delivery went; will try again");
            tokio::select! {
                () = tokio::time::sleep(STORE_PAUSE) => {}
                () = stop.requested() => return false,
            }
        }
    }

    /// Takes a delivery whose answer did not come in time out of the queue (`queue: never`).
    pub(crate) async fn expire(&self, position: Position) {
        {
            let mut lanes = self.lanes();
            if !lanes.seize(position) {
                return lanes.let_it_be_the_last(&position);
            }
        }
        self.give_up_too_late(position, &Stop::default()).await;
    }

    async fn give_up_too_late(&self, position: Position, stop: &Stop) {
        let tally = self.lanes().get(&position).map(|entry| entry.waiting.tally.clone()).unwrap_or_default();
        let end = AttemptEnd::GivenUp { why: Why::ours(TOO_LATE), response: None };
        if self.write_end(position, (end, tally), stop).await {
            self.ended(position, Tried::GivenUp { code: None, response: None });
        }
    }

    /// There is nothing to send: its message's bytes are not there. A person may send it again with others.
    async fn give_up_hollow(&self, position: Position, delivery: &Delivery, stop: &Stop) {
        let why = Why::ours("the bytes of its message are no longer kept");
        let mut tally = delivery.tally.clone();
        tally.why = Some(why.clone());
        let end = AttemptEnd::GivenUp { why, response: None };
        if self.write_end(position, (end, tally), stop).await {
            self.ended(position, Tried::GivenUp { code: None, response: None });
        }
    }

    /// The delivery is over: its lanes go on, and so do those that waited for it.
    pub(super) fn ended(&self, position: Position, tried: Tried) {
        self.lanes().end(position, tried);
        self.read_if_wanted();
        self.tell_followers(position);
        self.wake.notify_one();
    }

    /// A crash cut the attempt before: it ended in doubt, like one whose answer never came. That is written down
    /// before the next one, so that a delivery that ends the process each time comes to its bound.
    async fn settle_cut(&self, position: Position, delivery: Delivery, (conduct, stop): (&Conduct, &Stop)) {
        let cut = SendError::unknown("a crash cut the last attempt; it may have arrived");
        let mut tally = delivery.tally;
        tally.attempts += 1;
        tally.why = Some(cut.kept());
        let verdict = verdict(Err(cut), &mut tally, conduct);
        let made = past((&verdict, &tally), (SystemTime::now(), Instant::now()));
        self.settle(position, (verdict, tally, made), (None, delivery.message.received), (conduct, stop))
            .await;
    }

    fn is_last_try(&self, position: Position) -> bool {
        self.lanes().get(&position).is_some_and(super::lanes::Entry::is_last_try)
    }

    /// Whether the attempt before was begun and never settled.
    fn was_cut(&self, position: Position) -> bool {
        let lanes = self.lanes();
        lanes
            .get(&position)
            .is_some_and(|entry| matches!(entry.waiting.state, DeliveryState::Begun | DeliveryState::Unsure))
    }

    /// The delivery as it was queued, from memory while it is young.
    async fn load(&self, position: Position) -> Option<Delivery> {
        let (waiting, fresh) = {
            let mut lanes = self.lanes();
            let waiting = lanes.get(&position)?.waiting.clone();
            (waiting, lanes.take_fresh(&position))
        };
        if let Some(fresh) = fresh {
            return Some(delivery_of(&self.name, waiting, fresh));
        }
        match self.store.delivery(position.delivery).await {
            Ok(Some(delivery)) => {
                self.has_loaded(position);
                Some(delivery)
            }
            Ok(None) => {
                tracing::warn!(channel = %self.channel, destination = %self.name, "a waiting delivery is not in the store");
                self.ended(position, Tried::Dropped);
                None
            }
            Err(error) => {
                self.cannot_load(position, &error);
                None
            }
        }
    }

    pub(super) fn rest_for(&self, position: Position, pause: Duration) {
        self.lanes().rest(position, Instant::now() + pause);
        self.wake.notify_one();
    }

    fn observe(&self, position: Position, verdict: &Verdict, received: SystemTime) {
        let outcome = verdict.outcome();
        self.observer.attempted(&self.channel, &self.name, position.message, outcome);
        if outcome == DeliveryOutcome::Sent {
            self.observer.arrived(&self.channel, received.elapsed().unwrap_or_default());
        }
    }

    fn tell_of_attempt(&self, delivery: &Delivery, made: &PastAttempt) {
        self.observer.tried(&Attempt {
            channel: &self.channel,
            destination: &self.name,
            message: &delivery.message,
            delivery: delivery.id,
            effect: delivery.effect,
            made,
        });
    }
}

impl Outlet {
    fn outbound(&self, delivery: &Delivery) -> Option<(Outbound, Content)> {
        let body = delivery.body.clone()?;
        let attempt = delivery.tally.attempts + 1;
        let outbound = Outbound {
            id: delivery.id,
            message: delivery.message.id,
            effect: delivery.effect,
            body: body.clone(),
            source: std::sync::Arc::clone(&delivery.message.facts),
            texts: delivery.texts.clone(),
            attempt,
            doubts: delivery.tally.doubts,
            note: None,
            previous: delivery.note.clone(),
            trace: self.observer.parent(&delivery.message, (&delivery.effect, attempt)),
        };
        Some((outbound, body))
    }
}

impl Going {
    fn new(position: Position, delivery: Delivery, (outbound, body): (Outbound, Content)) -> Self {
        Self { position, delivery, body, outbound, began: (SystemTime::now(), Instant::now()) }
    }
}

/// The attempt as it is kept by itself.
fn past((verdict, tally): (&Verdict, &Tally), (began, since): (SystemTime, Instant)) -> PastAttempt {
    let next = match verdict {
        Verdict::Waits { pause, .. } => Some(*pause),
        _ => None,
    };
    PastAttempt {
        number: tally.attempts,
        began,
        took: since.elapsed(),
        outcome: verdict.outcome(),
        why: tally.why.clone(),
        next,
    }
}

fn delivery_of(destination: &str, waiting: crate::Waiting, fresh: Fresh) -> Delivery {
    Delivery {
        id: waiting.position.delivery,
        message: fresh.message,
        piece: fresh.piece,
        destination: destination.to_owned(),
        effect: fresh.effect,
        after: waiting.after,
        body: fresh.body,
        texts: fresh.texts,
        note: None,
        tally: waiting.tally,
    }
}

fn body_of(result: Result<Response, SendError>) -> Option<bytes::Bytes> {
    match result {
        Ok(response) => response.body,
        Err(SendError::Refused { response, .. }) => response,
        Err(SendError::NotDelivered { .. } | SendError::Unknown { .. }) => None,
    }
}
