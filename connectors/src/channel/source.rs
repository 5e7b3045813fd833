//! Lets other channels feed this one.

use async_trait::async_trait;
use engine::{Feeds, Inlet, OpenError, Opening, Source, SourceSettings, Stop};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Examine;

/// Takes what other channels send to this one: `to: { channel: { name: this-one } }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({}))]
pub(super) struct Settings {}

impl Examine for Settings {}

#[async_trait]
impl SourceSettings for Settings {
    fn usual_format(&self) -> &'static str {
        "hl7"
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        Ok(Box::new(Fed { feeds: opening.feeds.clone() }))
    }
}

struct Fed {
    feeds: Feeds,
}

#[async_trait]
impl Source for Fed {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let channel = inlet.channel().to_owned();
        let _offer = self.feeds.offer(&channel, inlet);
        stop.requested().await;
        Ok(())
    }
}
