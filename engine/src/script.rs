//! What a channel does to its messages. Pure: nothing here has an effect on the outside.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    Content, Context, Held, Inbound, Joins, Message, Outcome, Piece, Reading, Response, SendError,
    Unreadable, Why, WhyKind,
};

/// A channel's own part of the way: how its messages are read, and what its steps make of them.
///
/// Every method is pure beside what [`Context`] records, so that a crash may run it again at will.
/// Outlets are named by their place in the channel file, from 0.
pub trait Script: Send + Sync {
    /// Reads what must be known before a message is kept, as cheaply as it can.
    fn read(&self, inbound: &Inbound) -> Result<Reading, Unreadable>;

    /// Cuts what a source took into messages, as the channel's format has them; or says why it cannot be.
    fn cut(&self, _whole: &Content, _by: &Cut) -> Result<Vec<Content>, String> {
        Err("this format has no parts".to_owned())
    }

    /// Runs the channel's steps: one piece, or the parts of a split. Where they hold the message, tells the keys of each
    /// destination ([`Self::keys`]) on what it was by then.
    fn transform(&self, message: &Message, context: &Context) -> Result<Vec<Piece>, Halt>;

    /// Decides whether an outlet gets this piece, and what it gets: its `when`, its own steps, its texts and key.
    fn route(&self, piece: &Piece, outlet: usize, context: &Context) -> Result<Route, Halt>;

    /// The keys that a piece would be ordered by at an outlet, before that one's own steps.
    fn keys(&self, piece: &Piece, outlet: usize, context: &Context) -> Result<Vec<String>, Halt>;

    /// Runs the own steps of an outlet that waited for another one (`after:`).
    fn complete(&self, piece: &Piece, outlet: usize, context: &Context) -> Result<Route, Halt>;

    /// Looks at what came back (`on_response:`) and may change what it means. `None`: no opinion.
    fn judge(
        &self,
        came_back: &CameBack<'_>,
        outlet: usize,
        context: &Context,
    ) -> Result<Option<Judged>, Halt>;

    /// The keys under which a message, as the channel's steps left it, asks for an answer (`expect:`).
    fn asks(&self, _piece: &Piece, _context: &Context) -> Result<Vec<String>, Halt> {
        Ok(Vec::new())
    }

    /// The keys under which a message of another channel answers, as that one's steps left it. `place`: of that channel
    /// in `answered_by`.
    fn answers(&self, _piece: &Piece, _place: usize, _context: &Context) -> Result<Vec<String>, Halt> {
        Ok(Vec::new())
    }

    /// Which group a message belongs to, and what it brings there (`group:`).
    fn joins(&self, _message: &Message, _context: &Context) -> Result<Joins, Halt> {
        let why = "nothing says which group it belongs to".to_owned();
        Err(Halt::Failed { step: "group".to_owned(), why, place: None })
    }

    /// Words the answer to the sender (`reply: { script: … }`).
    fn reply(&self, message: &Message, ended: &[Ended], context: &Context) -> Result<Bytes, Halt>;
}

/// By what a source's files are cut into messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// Each row of a CSV or of fixed width, with what stands before the rows.
    Records,
    /// The rows that have the same value in this column.
    Group(String),
    /// Each message of HPRIM.
    Messages,
}

/// A step that says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Halt {
    /// Not wanted here.
    Filtered { why: String },
    /// Wrong in itself. Both go to the sender.
    Refused { why: String, at: Option<String> },
    /// Something the step asks cannot answer now: the message waits, and its steps run again from the beginning.
    Unavailable { why: String },
    /// The step broke. `why` stays with the stored message; the sender hears `step` alone.
    Failed { step: String, why: String, place: Option<String> },
    /// A table lacks its code: it waits for a person, whole, whatever its parts are worth. The sender may forget it.
    Held(Held),
}

impl Halt {
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Filtered { .. } => Outcome::Filtered,
            Self::Refused { .. } => Outcome::Refused,
            Self::Unavailable { .. } => Outcome::Unavailable,
            Self::Failed { .. } => Outcome::Failed,
            Self::Held(_) => Outcome::Accepted,
        }
    }
}

impl From<&Halt> for Why {
    fn from(halt: &Halt) -> Self {
        let kind = match halt {
            Halt::Filtered { .. } => WhyKind::Filtered,
            Halt::Refused { at, .. } => WhyKind::StepRefused(at.clone()),
            Halt::Unavailable { .. } => WhyKind::Unavailable,
            Halt::Failed { .. } => WhyKind::StepFailed,
            Halt::Held(_) => WhyKind::Held,
        };
        Self::new(kind, halt.to_string())
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filtered { why } => write!(formatter, "filtered: {why}"),
            // The words often name the place themselves.
            Self::Refused { why, at: Some(at) } if !why.contains(at.as_str()) => {
                write!(formatter, "refused at {at}: {why}")
            }
            Self::Refused { why, .. } => write!(formatter, "refused: {why}"),
            Self::Unavailable { why } => write!(formatter, "unavailable: {why}"),
            Self::Failed { step, why, place: Some(place) } => {
                write!(formatter, "{step} failed at {place}: {why}")
            }
            Self::Failed { step, why, place: None } => write!(formatter, "{step} failed: {why}"),
            Self::Held(held) => write!(formatter, "held: {held}"),
        }
    }
}

/// What an outlet does with a piece.
#[derive(Debug, Clone)]
pub enum Route {
    /// Its `when` is false.
    Left,
    /// Its own steps filter the piece.
    Filtered,
    Goes(Leaving),
    /// It waits for another outlet; its own steps run when that one is sent. Carries its order keys.
    Later(Vec<String>),
}

/// What leaves for one destination.
#[derive(Debug, Clone, Default)]
pub struct Leaving {
    /// `None`: the piece as the channel's steps left it, kept once for all.
    pub body: Option<Content>,
    /// The templates of `to:` that read the message, worked out, by their path there.
    pub texts: Texts,
    /// The keys it is ordered by (`order: { key: … }`); more than one waits for all of them.
    pub keys: Vec<String>,
}

/// Texts of a destination's settings that were made of the message: `name` → `MSG001.hl7`.
pub type Texts = std::collections::BTreeMap<String, String>;

/// An attempt that ended with something to look at.
pub struct CameBack<'a> {
    pub payload: &'a Content,
    pub result: Result<&'a Response, &'a SendError>,
}

/// What `on_response` makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    Sent,
    Retry(String),
    Refused(String),
}

/// How one delivery stood when the sender's answer was made.
#[derive(Debug, Clone)]
pub struct Ended {
    pub destination: String,
    /// `sent`, `queued`, `given_up`…
    pub state: &'static str,
    pub response: Option<Response>,
}
