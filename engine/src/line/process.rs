//! Process: transform, route, queue. Ends when every delivery is durable.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Exit, Halted, Line};
use crate::{
    Context, DeliveryId, DeliveryState, Expected, Goes, Halt, Held, Inputs, Joins, Leaving, Message,
    MessageState, NewDelivery, Outcome, Part, Piece, Position, Processed, QueueMode, ReplyWhen, RoutedPiece,
    Tally, Waiting,
    caller::Caller,
    outlet::{Fresh, Outlet, Tried},
    recovery::IsKept,
    routing,
};

/// A message after the channel's steps.
pub(super) struct Transformed {
    message: Message,
    pieces: Vec<Piece>,
    /// Set where it is a member of a group: it has no pieces.
    joins: Option<Joins>,
    context: Context,
}

/// A message whose deliveries are known, and not durable yet.
pub(super) struct Routed {
    pub(super) message: Message,
    pub(super) processed: Processed,
    /// The outlet of each delivery, by the outlet's place in the file, with what it needs to send at once.
    pub(super) fresh: Vec<(usize, Waiting, Fresh)>,
}

/// A message whose deliveries are durable.
pub(super) struct Queued {
    pub(super) message: Message,
    pub(super) outcome: Outcome,
    pub(super) watched: Vec<Watched>,
}

/// A delivery whose end the sender waits for.
pub(super) struct Watched {
    pub(super) outlet: Arc<Outlet>,
    pub(super) position: Position,
    pub(super) tried: oneshot::Receiver<Tried>,
}

impl Watched {
    /// One that has ended already, undelivered.
    fn given_up(outlet: &Arc<Outlet>, position: Position) -> Self {
        let (ended, tried) = oneshot::channel();
        // The receiver is still here.
        let _ = ended.send(Tried::GivenUp { code: None, response: None });
        Self { outlet: Arc::clone(outlet), position, tried }
    }
}

impl Line {
    /// Runs the channel's steps, once no older message has to be taken up first.
    pub(super) async fn transform(&self, message: Message) -> Result<Transformed, Exit> {
        self.recovery.turn().await;
        self.transform_now(message)
    }

    pub(super) fn transform_now(&self, message: Message) -> Result<Transformed, Exit> {
        let context =
            Context::new(Arc::clone(&self.channel), message.id, Arc::clone(&message.facts), Inputs::Live)
                .looking_into(Arc::clone(&self.directory));
        let context = self.measured(&message, context);
        if self.is_member(&message) {
            return self.join(message, context);
        }
        let pieces = self
            .pace
            .run(|| self.script.transform(&message, &context))
            .unwrap_or_else(|panicked| Err(broke("the steps", panicked.0)));
        match pieces {
            Ok(pieces) => Ok(Transformed { message, pieces, joins: None, context }),
            Err(halt) => Err(halted(message, halt, &context)),
        }
    }

    /// Asks a member which group it belongs to. Steps and destinations are for the whole of that.
    fn join(&self, message: Message, context: Context) -> Result<Transformed, Exit> {
        let joins = self
            .pace
            .run(|| self.script.joins(&message, &context))
            .unwrap_or_else(|panicked| Err(broke("`group`", panicked.0)));
        match joins {
            Ok(joins) => Ok(Transformed { message, pieces: Vec::new(), joins: Some(joins), context }),
            Err(halt) => Err(halted(message, halt, &context)),
        }
    }

    /// Asks each outlet whether it wants each piece, and what would leave.
    pub(super) fn route(&self, transformed: Transformed) -> Result<Routed, Exit> {
        let Transformed { message, pieces, joins, context } = transformed;
        if joins.is_some() {
            return Ok(self.joined(message, joins, &context));
        }
        // Looked at once more where the message is held, to say what it holds back.
        let standing =
            if self.outlets.iter().any(|outlet| outlet.is_by_key()) { pieces.clone() } else { Vec::new() };
        let routed = self
            .pace
            .run(|| pieces.into_iter().map(|piece| self.route_piece(&message, piece, &context)).collect())
            .unwrap_or_else(|panicked| Err(broke("the destinations' steps", panicked.0)));
        let parts: Vec<RoutedPiece> = match routed {
            Ok(parts) => parts,
            Err(Halt::Held(held)) => {
                let halt = Halt::Held(Held { keys: self.keys_of(&standing, &context), ..held });
                return Err(halted(message, halt, &context));
            }
            Err(halt) => return Err(halted(message, halt, &context)),
        };
        match self.expected(&parts, &context) {
            Ok(expected) => Ok(self.gather(message, (parts, expected), &context)),
            Err(halt) => Err(halted(message, halt, &context)),
        }
    }

    /// Makes the deliveries durable, hands them to their outlets, and lets younger messages pass.
    pub(super) async fn queue(&self, routed: Routed, caller: &Caller) -> Result<Queued, Exit> {
        let Routed { message, processed, fresh } = routed;
        let outcome = processed.outcome;
        match self.store.queue(processed).await {
            Ok(done) => Ok(self.hand_over((message, outcome), fresh, &done, caller)),
            Err(error) => Err(Exit::Broken(Some(Box::new(message)), IsKept::Yes, error)),
        }
    }

    /// Hands deliveries that are durable to their outlets, all but those that are `done`, and lets younger messages pass.
    pub(super) fn hand_over(
        &self,
        (message, outcome): (Message, Outcome),
        fresh: Vec<(usize, Waiting, Fresh)>,
        done: &[(DeliveryId, DeliveryState)],
        caller: &Caller,
    ) -> Queued {
        let mut watched = Vec::new();
        for (index, waiting, fresh) in fresh {
            let outlet = &self.outlets[index];
            let position = waiting.position;
            let watch = caller.is_waiting() && self.awaits(outlet);
            if let Some((_, earlier)) = done.iter().find(|(id, _)| *id == position.delivery) {
                if watch && is_unsafe(*earlier, outlet) {
                    watched.push(Watched::given_up(outlet, position));
                }
                continue;
            }
            if let Some(tried) = outlet.enqueue(waiting, fresh, watch) {
                watched.push(Watched { outlet: Arc::clone(outlet), position, tried });
            }
        }
        if self.is_member(&message) {
            self.waking.joined();
        }
        self.arrivals.leave(message.id);
        self.observer.ended(&self.channel, Some(message.id), outcome);
        self.went(&message, outcome);
        Queued { message, outcome, watched }
    }

    /// Whether the sender's answer depends on this outlet.
    fn awaits(&self, outlet: &Outlet) -> bool {
        if outlet.queue_mode() == QueueMode::Always {
            return false;
        }
        match &self.reply.when {
            ReplyWhen::Delivered | ReplyWhen::Script => true,
            ReplyWhen::From(name) => name == outlet.name(),
            ReplyWhen::Stored | ReplyWhen::Processed | ReplyWhen::Never => false,
        }
    }

    fn route_piece(&self, message: &Message, piece: Piece, context: &Context) -> Result<RoutedPiece, Halt> {
        let routed = routing::route(self.script.as_ref(), piece, self.outlets.len(), context)?;
        tracing::trace!(message_id = message.id.0, deliveries = routed.goes.len(), "routed");
        Ok(routed)
    }

    fn gather(
        &self,
        message: Message,
        (parts, expected): (Vec<RoutedPiece>, Vec<Expected>),
        context: &Context,
    ) -> Routed {
        let outcome = routing::outcome(&parts, self.outlets.len());
        let mut fresh = Vec::new();
        let mut stored = Vec::with_capacity(parts.len());
        for (output, part) in (0..).zip(parts) {
            let RoutedPiece { piece, goes, .. } = part;
            let mut deliveries = Vec::with_capacity(goes.len());
            for Goes { outlet: index, leaving, keys } in goes {
                let delivery = self.delivery(&message, index, (leaving, keys), output);
                fresh.push((
                    index,
                    waiting(&message, &piece, &delivery),
                    fresh_of(&message, &piece, &delivery),
                ));
                deliveries.push(delivery);
            }
            let body = (piece.body != message.body).then(|| piece.body.clone());
            stored.push(Part {
                place: piece.place,
                control_id: piece.control_id,
                body,
                halt: piece.halt,
                deliveries,
            });
        }
        let inputs = (!context.is_untouched()).then(|| context.recorded());
        let processed = Processed {
            channel: Arc::clone(&self.channel),
            message: message.id,
            version: self.version,
            state: state(outcome),
            outcome,
            inputs,
            parts: stored,
            expected,
            joins: None,
            ran: Some(context.ran()),
        };
        Routed { message, processed, fresh }
    }

    /// A member is accepted, and goes nowhere by itself.
    fn joined(&self, message: Message, joins: Option<Joins>, context: &Context) -> Routed {
        let processed = Processed {
            channel: Arc::clone(&self.channel),
            message: message.id,
            version: self.version,
            state: MessageState::Queued,
            outcome: Outcome::Accepted,
            inputs: (!context.is_untouched()).then(|| context.recorded()),
            parts: Vec::new(),
            expected: Vec::new(),
            joins,
            ran: Some(context.ran()),
        };
        Routed { message, processed, fresh: Vec::new() }
    }

    fn delivery(
        &self,
        message: &Message,
        index: usize,
        (leaving, keys): (Option<Leaving>, Vec<String>),
        output: u32,
    ) -> NewDelivery {
        let outlet = &self.outlets[index];
        let after = leaving.is_none().then(|| outlet.after()).flatten();
        let Leaving { body, texts, keys } = leaving.unwrap_or_else(|| Leaving { keys, ..Leaving::default() });
        NewDelivery {
            id: self.store.next_delivery(),
            destination: outlet.name().to_owned(),
            effect: message.effect(&self.channel, 0, outlet.name(), output),
            keys,
            after,
            body,
            texts,
        }
    }
}

fn waiting(message: &Message, piece: &Piece, delivery: &NewDelivery) -> Waiting {
    Waiting {
        position: position(message, piece, delivery.id),
        keys: delivery.keys.clone(),
        after: delivery.after.clone(),
        state: DeliveryState::Waiting,
        tally: Tally::default(),
        received: message.received,
    }
}

/// What the outlet needs to send it at once, without reading it back.
fn fresh_of(message: &Message, piece: &Piece, delivery: &NewDelivery) -> Fresh {
    let body = match (&delivery.after, &delivery.body) {
        (Some(_), _) => None,
        (None, Some(body)) => Some(body.clone()),
        (None, None) => Some(piece.body.clone()),
    };
    Fresh {
        message: message.clone(),
        piece: Piece { view: None, ..piece.clone() },
        effect: delivery.effect,
        body,
        texts: delivery.texts.clone(),
    }
}

/// The state of a message whose steps have ended so.
fn state(outcome: Outcome) -> MessageState {
    match outcome {
        Outcome::Accepted => MessageState::Queued,
        Outcome::Filtered => MessageState::Filtered,
        Outcome::Unrouted => MessageState::Unrouted,
        Outcome::Refused => MessageState::Refused,
        Outcome::Failed | Outcome::Unreadable | Outcome::Unavailable => MessageState::Failed,
    }
}

/// Whether a delivery was left out for one of the first copy that may never arrive: one that a person has to look at,
/// or that has no queue to wait in. The sender must not hear that it is safe.
fn is_unsafe(earlier: DeliveryState, outlet: &Outlet) -> bool {
    match earlier {
        DeliveryState::Sent => false,
        DeliveryState::SetAside => true,
        _ => outlet.queue_mode() == QueueMode::Never,
    }
}

fn position(message: &Message, piece: &Piece, delivery: DeliveryId) -> Position {
    Position { message: message.id, part: piece.place.unwrap_or(0), delivery }
}

pub(super) fn broke(step: &str, why: String) -> Halt {
    Halt::Failed { step: step.to_owned(), why, place: None }
}

fn halted(message: Message, halt: Halt, context: &Context) -> Exit {
    let inputs = (!context.is_untouched()).then(|| context.recorded());
    Exit::Halted(Box::new(Halted { message, halt, inputs, ran: context.ran() }))
}
