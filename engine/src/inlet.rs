//! Where messages enter the engine.

use std::sync::Arc;

use crate::{Inbound, Reply};

/// A source's way in. Cheap to clone: give one to each connection. Survives a reload of the channel's steps.
#[derive(Clone)]
pub struct Inlet(Arc<()>);

/// What to tell the sender, and the slip to hand back once it was told.
#[must_use = "write the reply, then say whether the sender was told"]
pub struct Answer {
    pub reply: Reply,
}

/// The application's answer to a message that is durable already (enhanced mode).
#[must_use]
pub struct Pending(());

impl Inlet {
    /// Takes a message and returns what to tell its sender. Waits while the channel is full, so a slow
    /// channel slows its senders; never longer than `within`.
    pub async fn receive(&self, inbound: Inbound) -> Answer {
        let _ = inbound;
        unimplemented!("being written")
    }

    /// Takes the messages of one batch: kept in one write, each answered for itself, in order.
    pub async fn receive_batch(&self, inbounds: Vec<Inbound>) -> Vec<Answer> {
        let _ = inbounds;
        unimplemented!("being written")
    }

    /// Takes a message and returns as soon as it is durable: `Ok`, and the application's answer follows;
    /// `Err`, where it was not taken.
    pub async fn accept(&self, inbound: Inbound) -> Result<Pending, Answer> {
        let _ = inbound;
        unimplemented!("being written")
    }

    /// The name of the channel.
    pub fn channel(&self) -> &str {
        unimplemented!("being written")
    }

    pub(crate) fn is(&self, other: &Inlet) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Answer {
    /// The sender has its answer.
    pub fn told(self) {}

    /// The sender went away first.
    pub fn untold(self) {}
}

impl Pending {
    pub async fn answer(self) -> Answer {
        unimplemented!("being written")
    }
}
