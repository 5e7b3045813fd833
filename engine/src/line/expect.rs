//! What a message has to do with questions: those that it asks, and those of other channels that it answers.

use std::sync::Arc;

use super::{Line, process::broke};
use crate::{Context, Expected, Halt, Outcome, Piece, RoutedPiece, expect::Asker, routing};

impl Line {
    /// The questions and answers of a message that was accepted. Code that says what it asks fails the message as any
    /// other step does; what it may answer is another channel's affair, and never holds it up.
    pub(super) fn expected(&self, parts: &[RoutedPiece], context: &Context) -> Result<Vec<Expected>, Halt> {
        let askers = self.expectations.of(&self.channel);
        let has_any = !askers.is_empty() || self.expect.is_some();
        if !has_any || routing::outcome(parts, self.outlets.len()) != Outcome::Accepted {
            return Ok(Vec::new());
        }
        let work = || {
            let mut expected = Vec::new();
            for piece in parts.iter().map(|part| &part.piece).filter(|piece| piece.halt.is_none()) {
                expected.extend(self.asked(piece, context)?);
                expected.extend(askers.iter().flat_map(|asker| self.answered(asker, piece, context)));
            }
            Ok(expected)
        };
        self.pace.run(work).unwrap_or_else(|panicked| Err(broke("`expect`", panicked.0)))
    }

    fn asked(&self, piece: &Piece, context: &Context) -> Result<Vec<Expected>, Halt> {
        let Some(expect) = &self.expect else { return Ok(Vec::new()) };
        let within = expect.within;
        Ok(known(self.script.asks(piece, context)?).map(|key| Expected::Asked { key, within }).collect())
    }

    fn answered(&self, asker: &Asker, piece: &Piece, context: &Context) -> Vec<Expected> {
        let Ok(keys) = asker.script.answers(piece, asker.place, context) else {
            tracing::warn!(channel = %self.channel, asking = %asker.channel, message_id = context.message.0, "`expect` of the asking channel cannot say what this message answers: it counts as no answer");
            return Vec::new();
        };
        known(keys).map(|key| Expected::Answered { of: Arc::clone(&asker.channel), key }).collect()
    }
}

/// An empty key asks and answers nothing.
fn known(keys: Vec<String>) -> impl Iterator<Item = String> {
    keys.into_iter().filter(|key| !key.is_empty())
}
