//! Feeds another channel: delivered as soon as that one answers for the message.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{
    Destination, DestinationSettings, Doubt, Facts, Feeds, Inbound, OpenError, Opening, Outbound, Outcome,
    Reply, ReplyBody, Response, SendError,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Examine;

/// Hands the message to another channel, whose source is `channel: {}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "name": "lab-results" }))]
pub(super) struct Settings {
    /// The name of the channel to feed.
    #[schemars(length(min = 1), extend("x-template" = true))]
    name: String,
}

impl Examine for Settings {}

#[async_trait]
impl DestinationSettings for Settings {
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(Feeder {
            name: self.name.clone(),
            from: Arc::clone(&opening.channel),
            feeds: opening.feeds.clone(),
        }))
    }
}

struct Feeder {
    name: String,
    /// The channel that feeds.
    from: Arc<str>,
    feeds: Feeds,
}

#[async_trait]
impl Destination for Feeder {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let name = outbound.text("name", &self.name);
        let Some(inlet) = self.feeds.find(name) else {
            let why = format!("channel `{name}` does not run, or its source is not `channel: {{}}`");
            return Err(SendError::not_delivered(why));
        };
        // What was pieced together of another message's file is that channel's own from here on.
        let is_of_one_piece = outbound.body.bytes().is_some() || outbound.body.file().is_some();
        let body = if is_of_one_piece {
            outbound.body.clone()
        } else {
            inlet
                .spool()
                .of(&outbound.body)
                .await
                .map_err(|error| SendError::not_delivered(error.to_string()))?
        };
        // The same effect is never taken twice, so a second try after doubt is safe.
        let inbound = Inbound {
            body,
            facts: self.facts(outbound).into(),
            effect: Some(outbound.effect),
            ..Inbound::default()
        };
        let answer = inlet.receive(inbound).await;
        let reply = answer.reply.clone();
        answer.told();
        came_back(name, reply)
    }
}

impl Feeder {
    fn facts(&self, outbound: &Outbound) -> Facts {
        let mut facts = Facts::new();
        facts.insert("connector".to_owned(), "channel".into());
        facts.insert("channel".to_owned(), (*self.from).into());
        facts.insert("message".to_owned(), outbound.message.0.into());
        facts
    }
}

/// What the other channel's answer means for this delivery.
fn came_back(name: &str, reply: Reply) -> Result<Response, SendError> {
    let body = reply.body.map(|(ReplyBody::From(bytes) | ReplyBody::Script(bytes))| bytes);
    match reply.outcome {
        Outcome::Accepted | Outcome::Filtered | Outcome::Unrouted => {
            let mut facts = Facts::new();
            facts.insert("channel".to_owned(), name.into());
            facts.insert("outcome".to_owned(), reply.outcome.name().into());
            Ok(Response { body, facts })
        }
        Outcome::Unavailable => {
            Err(SendError::not_delivered(format!("channel `{name}` cannot take anything now")))
        }
        Outcome::Unreadable | Outcome::Refused | Outcome::Failed => Err(SendError::Refused {
            why: format!("channel `{name}` says: {}", reply.outcome.name()),
            code: reply.code,
            response: body,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_of_the_fed_channel_says_what_the_next_send_may_do() {
        for outcome in Outcome::ALL {
            let result = came_back("next", Reply::of(outcome));
            let fits = match outcome {
                outcome if outcome.is_positive() => result.is_ok(),
                Outcome::Unavailable => matches!(result, Err(SendError::NotDelivered { .. })),
                _ => matches!(result, Err(SendError::Refused { .. })),
            };
            assert!(fits, "{outcome:?}");
        }
    }
}
