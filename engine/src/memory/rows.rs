//! What is kept of a message and of a delivery, in the open.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use serde_json::Value;

use crate::{
    AnswerState, Arrival, AttemptEnd, Awaited, Bond, Closed, Content, Delivery, DeliveryId, DeliveryState,
    Halt, Hash, Message, MessageId, MessageState, NewDelivery, Note, Outcome, Owed, Part, Piece, Position,
    Reading, Reply, Response, Study, Tally, Texts, Waiting, Why,
};

/// Everything a [`super::Memory`] holds, in order.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub messages: Vec<StoredMessage>,
    pub deliveries: Vec<StoredDelivery>,
    /// By channel and key.
    pub questions: BTreeMap<(String, String), Awaited>,
    pub groups: Vec<super::StoredGroup>,
    pub switches: BTreeMap<String, String>,
    /// The texts of the channels' versions.
    pub versions: BTreeMap<Hash, String>,
    pub audit: Vec<Audited>,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    pub by: String,
    /// `resend 7`, `hold lab-results/record`.
    pub what: String,
}

/// One message and how it stands.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    pub channel: Arc<str>,
    pub message: Message,
    pub reading: Reading,
    pub study: Option<Study>,
    /// The version of the channel that received it, and after its steps the one whose steps they were.
    pub version: Hash,
    pub effect: Option<Hash>,
    pub flags: Vec<String>,
    pub batch: Option<(Hash, u32)>,
    pub state: MessageState,
    pub outcome: Option<Outcome>,
    pub answer: AnswerState,
    pub reply: Option<Reply>,
    pub why: Option<Why>,
    pub halt: Option<Halt>,
    pub inputs: Option<Value>,
    pub parts: Vec<StoredPart>,
    pub starts: u32,
    pub marks: u32,
    /// An earlier copy failed, and this one has the same effects.
    pub(super) is_anew: bool,
    /// Stands for this one since it is superseded.
    pub successor: Option<MessageId>,
}

/// One piece as the channel's steps left it.
#[derive(Debug, Clone)]
pub struct StoredPart {
    pub place: Option<u32>,
    pub control_id: Option<String>,
    pub body: Option<Content>,
    pub halt: Option<Halt>,
}

/// One delivery and how it stands.
#[derive(Debug, Clone)]
pub struct StoredDelivery {
    pub id: DeliveryId,
    pub message: MessageId,
    pub part: Option<u32>,
    pub destination: String,
    pub effect: Hash,
    pub keys: Vec<String>,
    pub after: Option<String>,
    pub payload: Payload,
    pub texts: Texts,
    pub inputs: Option<Value>,
    pub state: DeliveryState,
    pub note: Option<Note>,
    pub tally: Tally,
    /// Why it ended as it did.
    pub why: Option<Why>,
    pub response: Option<Response>,
    /// What came after its attempts had ended.
    pub late: Vec<Response>,
    /// A person took it out of its lane: only a person puts it back.
    pub is_parked: bool,
}

/// Where the bytes of a delivery are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// It waits for another delivery.
    Pending,
    /// The part's own body.
    OfPart,
    Own(Content),
}

impl StoredMessage {
    pub(super) fn new(arrival: Arrival, flags: Vec<String>) -> Self {
        let Arrival { channel, message, reading, study, version, closed, answer, effect, batch, .. } =
            arrival;
        let answer = match answer {
            Owed::Owed => AnswerState::Owed,
            Owed::NotOwed => AnswerState::NotOwed,
        };
        let mut stored = Self {
            channel,
            message,
            reading,
            study,
            version,
            effect,
            flags,
            batch,
            state: MessageState::Kept,
            outcome: None,
            answer,
            reply: None,
            why: None,
            halt: None,
            inputs: None,
            parts: Vec::new(),
            starts: 0,
            marks: 0,
            is_anew: false,
            successor: None,
        };
        if let Some(closed) = closed {
            stored.close(closed);
        }
        stored
    }

    pub(super) fn close(&mut self, closed: Closed) {
        self.state = closed.state;
        self.outcome = Some(closed.outcome);
        self.why = Some(closed.why);
        self.halt = closed.halt;
        self.inputs = closed.inputs;
        self.marks = 0;
    }

    fn piece(&self, part: Option<u32>) -> Piece {
        let whole = Piece::whole(&self.message);
        let Some(part) = self.parts.iter().find(|stored| stored.place == part) else { return whole };
        Piece {
            body: part.body.clone().unwrap_or(whole.body),
            place: part.place,
            control_id: part.control_id.clone(),
            halt: part.halt.clone(),
            bond: Bond::Together,
            view: None,
        }
    }
}

impl StoredPart {
    pub(super) fn new(part: &Part) -> Self {
        Self {
            place: part.place,
            control_id: part.control_id.clone(),
            body: part.body.clone(),
            halt: part.halt.clone(),
        }
    }
}

impl StoredDelivery {
    pub(super) fn new(message: MessageId, part: Option<u32>, new: NewDelivery) -> Self {
        let payload = match (&new.after, new.body) {
            (_, Some(body)) => Payload::Own(body),
            (Some(_), None) => Payload::Pending,
            (None, None) => Payload::OfPart,
        };
        Self {
            id: new.id,
            message,
            part,
            destination: new.destination,
            effect: new.effect,
            keys: new.keys,
            after: new.after,
            payload,
            texts: new.texts,
            inputs: None,
            state: DeliveryState::Waiting,
            note: None,
            tally: Tally::default(),
            why: None,
            response: None,
            late: Vec::new(),
            is_parked: false,
        }
    }

    pub(super) fn position(&self) -> Position {
        Position { message: self.message, part: self.part.unwrap_or(0), delivery: self.id }
    }

    /// How an attempt ended it, or left it waiting.
    pub(super) fn end(&mut self, end: AttemptEnd, tally: Tally) {
        self.tally = tally;
        (self.state, self.why) = match end {
            AttemptEnd::Sent(response) => {
                self.response = Some(response);
                (DeliveryState::Sent, None)
            }
            AttemptEnd::Waits { .. } => (DeliveryState::Waiting, None),
            AttemptEnd::GivenUp { why, response } => {
                self.response = response;
                (DeliveryState::GivenUp, Some(why))
            }
            AttemptEnd::SetAside { why } => (DeliveryState::SetAside, Some(why)),
            AttemptEnd::Dropped { why } => (DeliveryState::Dropped, Some(why)),
        };
    }

    /// Whether it has no payload until this one is sent.
    pub(super) fn waits_for(&self, leader: &Self) -> bool {
        self.message == leader.message
            && self.part == leader.part
            && self.after.as_ref() == Some(&leader.destination)
            && self.payload == Payload::Pending
    }

    /// Whether it was set aside because this one was given up: one with a payload was for its own sake.
    pub(super) fn is_set_aside_with(&self, leader: &Self) -> bool {
        self.waits_for(leader) && self.state == DeliveryState::SetAside && !self.is_parked
    }

    /// Whether it stands in its lane.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self.state, DeliveryState::Waiting | DeliveryState::Begun)
    }

    pub(super) fn waiting(&self, received: SystemTime) -> Waiting {
        Waiting {
            position: self.position(),
            keys: self.keys.clone(),
            after: self.after.clone(),
            state: self.state,
            tally: self.tally.clone(),
            received,
        }
    }

    pub(super) fn whole(&self, of: &StoredMessage) -> Delivery {
        let piece = of.piece(self.part);
        let body = match &self.payload {
            Payload::Pending => None,
            Payload::OfPart => Some(piece.body.clone()),
            Payload::Own(body) => Some(body.clone()),
        };
        Delivery {
            id: self.id,
            message: of.message.clone(),
            piece,
            destination: self.destination.clone(),
            effect: self.effect,
            after: self.after.clone(),
            body,
            texts: self.texts.clone(),
            note: self.note.clone(),
            tally: self.tally.clone(),
        }
    }
}
