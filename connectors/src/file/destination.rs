//! Writes each message to a file of its own, or adds it to one.

use async_trait::async_trait;
use engine::{Checks, Destination, DestinationSettings, Doubt, OpenError, Opening};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Examine;

/// Writes messages to files. A file counts as sent once it is durable and in place.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "dir": "out", "name": "${msg[\"MSH-10\"]}.hl7" }))]
pub(super) struct Settings {
    /// The folder, from the project's folder on. One inside the project is made when it is missing.
    #[schemars(length(min = 1))]
    dir: String,

    /// The name of the file; with `/`, in a folder below. It never leads out of `dir`. By default the
    /// message's number and its own mark, with `.msg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("x-template" = true))]
    name: Option<String>,

    /// Adds each message at the end of the file instead of making a new one.
    #[serde(default)]
    append: bool,

    /// What to do when a file of this name holds something else: `number` adds a number to the name, `replace`
    /// puts the new file in its place, `refuse` gives the message up.
    #[serde(default)]
    existing: Existing,
}

/// What to do when the name is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Existing {
    #[default]
    Number,
    Replace,
    Refuse,
}

impl Examine for Settings {}

#[async_trait]
impl DestinationSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        if self.append && self.name.is_none() {
            checks.error("missing-field", "", "`append` needs the `name` of the file to add to");
        }
    }

    /// The same bytes under the same name are one file; an appended text is looked for where it would stand.
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, _opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Err(OpenError::new("file is being written"))
    }
}
