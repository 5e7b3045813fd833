//! What a message has to do with questions: those that it asks, and those of other channels that it answers.

use super::{Line, process::broke};
use crate::{Context, Expected, Halt, Outcome, RoutedPiece, routing};

impl Line {
    /// The questions and answers of a message that was accepted.
    pub(super) fn expected(&self, parts: &[RoutedPiece], context: &Context) -> Result<Vec<Expected>, Halt> {
        let has_any = self.expect.is_some() || self.expectations.concern(&self.channel);
        if !has_any || routing::outcome(parts, self.outlets.len()) != Outcome::Accepted {
            return Ok(Vec::new());
        }
        let own = (&self.channel, &*self.script);
        let work = || self.expectations.expected(own, self.expect.as_ref(), parts, context);
        self.pace.run(work).unwrap_or_else(|panicked| Err(broke("`expect`", panicked.0)))
    }
}
