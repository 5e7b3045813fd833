//! The steps of a message run once more for somebody who looks: nothing is kept, sent or asked.

use std::sync::Arc;

use serde_json::Value;

use super::Channel;
use crate::{Context, Halt, Input, Inputs, Message, Watch, routing};

/// What came of running the steps once more.
pub struct Retraced {
    /// Where they stopped the message.
    pub halt: Option<Halt>,
    /// What they asked beside the message, in order: the same as then, or it was another run.
    pub recorded: Value,
}

impl Channel {
    /// Runs the steps of the plan in force, and those of its destinations, with what was answered to them then.
    pub fn look(
        &self,
        message: &Message,
        inputs: Vec<Input>,
        watch: Arc<dyn Watch>,
    ) -> Result<Retraced, String> {
        let (plan, line) = (self.plan(), self.line());
        let facts = Arc::clone(&message.facts);
        let context =
            Context::new(Arc::clone(&self.name), message.id, facts, Inputs::Again(inputs)).watched(watch);
        let script = plan.script.as_ref();
        let run = || {
            let pieces = script.transform(message, &context)?;
            let mut routed =
                pieces.into_iter().map(|piece| routing::route(script, piece, plan.outlets.len(), &context));
            routed.try_for_each(|routed| routed.map(drop))
        };
        let came = line.pace.run(run).map_err(|panicked| panicked.0)?;
        Ok(Retraced { halt: came.err(), recorded: context.recorded() })
    }
}
