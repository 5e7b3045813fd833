//! What may stand in a file of `alerts/`: its fields, with their documentation and schema.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    schema,
    values::{PartOfDay, Period, Zone},
};

/// Who is told of which states that need a person, and from when on.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A rule of alerts of a Relais project")]
#[expect(dead_code, reason = "the schema is made of it; the fields are read one by one")]
pub(crate) struct RuleFile {
    /// What it is for, in a sentence.
    #[serde(default)]
    description: Option<String>,
    /// Which states are told, and from when on. Without it every state is, from when it opens by itself.
    #[serde(default)]
    when: Option<WhenFile>,
    /// The channels it is about, by name; `*` stands for any letters. Without it and without `tags`, all of them and the server.
    #[serde(default)]
    channels: Vec<String>,
    /// Channels that have one of these tags.
    #[serde(default)]
    tags: Vec<String>,
    /// Whom it tells. `[]`: nobody; its limits count all the same, in the console and in metrics.
    #[schemars(schema_with = "routes")]
    tell: Vec<Map<String, Value>>,
    /// Tells again after this time what is still so; not what somebody acknowledged. Without it, once.
    #[serde(default)]
    repeat: Option<Period>,
}

/// States, each with the limit from which on it is told. An earlier limit than the usual one makes the state open earlier.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct WhenFile {
    /// Nothing gets to a destination (10 s).
    pub(crate) destination_down: Option<LastingFile>,
    /// A destination waits for a person.
    pub(crate) destination_stopped: Option<AnyFile>,
    /// A channel that runs takes nothing (10 s).
    pub(crate) source_down: Option<LastingFile>,
    /// The file of a channel has faults, and it does not run.
    pub(crate) channel_broken: Option<AnyFile>,
    /// An edited file has faults and is not in force.
    pub(crate) edit_not_in_force: Option<AnyFile>,
    /// The oldest message of a queue came so long ago (15 min).
    pub(crate) queue_old: Option<LastingFile>,
    /// Deliveries were given up.
    pub(crate) given_up: Option<CountFile>,
    /// Deliveries were set aside for a person.
    pub(crate) set_aside: Option<CountFile>,
    /// Deliveries may have arrived or not.
    pub(crate) unsure: Option<CountFile>,
    /// Messages failed in a step within a day.
    pub(crate) failed: Option<CountFile>,
    /// Messages wait for a code that a table lacks.
    pub(crate) unmapped: Option<CountFile>,
    /// Expected answers are overdue.
    pub(crate) overdue: Option<CountFile>,
    /// A part of a channel's messages, and at least 10, were refused or failed within a quarter of an hour: percent (25).
    pub(crate) error_share: Option<CountFile>,
    /// A certificate ends within this time (30 days).
    pub(crate) certificate: Option<WithinFile>,
    /// New messages will be refused for want of room within this time (7 days).
    pub(crate) disk: Option<WithinFile>,
    /// New messages are refused for want of room.
    pub(crate) store_refuses: Option<AnyFile>,
    /// The store cannot write.
    pub(crate) store_trouble: Option<AnyFile>,
    /// Nothing comes in: longer than the channel's own rhythm explains, or, with `for`, for so long.
    pub(crate) silent: Option<SilentFile>,
}

/// A state without a number.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct AnyFile {}

/// A state that lasts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct LastingFile {
    /// From so long on.
    #[serde(rename = "for", default)]
    pub(crate) lasting: Option<Period>,
}

/// A state that is counted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct CountFile {
    /// From so many on.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(crate) from: Option<u32>,
}

/// A state that comes near.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct WithinFile {
    /// So long before.
    #[serde(default)]
    pub(crate) within: Option<Period>,
}

/// A feed that stands still.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct SilentFile {
    /// Nothing for so long. Without it, longer than the channel's own rhythm explains.
    #[serde(rename = "for", default)]
    pub(crate) lasting: Option<Period>,
    /// Only this part of the day counts.
    #[serde(default)]
    pub(crate) hours: Option<PartOfDay>,
    /// Only these days count.
    #[serde(default)]
    pub(crate) days: Vec<DayFile>,
    /// Whose hours and days; else the zone of `relais.yaml`, else the machine's.
    #[serde(default)]
    pub(crate) zone: Option<Zone>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum DayFile {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

fn routes(generator: &mut SchemaGenerator) -> Schema {
    schema::routes(generator)
}
