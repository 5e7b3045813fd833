//! What may stand under `destinations:` of a channel file.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    file::{self, ScriptStep, StepFile},
    schema,
    values::{PartOfDay, PerTime, Period},
};

/// One place that messages go to.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the schema is made of it; the fields are read one by one, so that one hides no other"
)]
pub(crate) struct DestinationFile {
    /// Names it within the channel.
    #[schemars(schema_with = "file::name")]
    name: String,
    /// An expression: where it is false this destination is left out.
    #[serde(default)]
    #[schemars(extend("x-code" = true))]
    when: Option<String>,
    /// What is done to what leaves here, and to nothing else.
    #[serde(default)]
    steps: Vec<StepFile>,
    /// Where it goes: one protocol with its settings.
    #[schemars(schema_with = "schema::destination")]
    to: Map<String, Value>,
    /// Whether deliveries wait in a queue.
    #[serde(default)]
    queue: QueueFile,
    /// How a delivery is tried again.
    #[serde(default)]
    retry: Option<RetryFile>,
    /// What may overtake what.
    #[serde(default)]
    order: Option<OrderFile>,
    /// How many deliveries are sent at once (1). Needs `order: none` or a key.
    #[serde(default)]
    #[schemars(range(min = 1, max = 256))]
    workers: Option<u32>,
    /// What to do with a delivery that may have arrived; the connector's own by default.
    #[serde(default)]
    when_unsure: Option<WhenUnsureFile>,
    /// What a receiver's negative code means.
    #[serde(default)]
    nack: Option<NackFile>,
    /// The destination that this one waits for; its steps may read `responses["NAME"]`.
    #[serde(default)]
    after: Option<String>,
    /// Steps on what came back: they may turn it into sent, a retry or a refusal.
    #[serde(default)]
    on_response: Vec<ScriptStep>,
    /// At most so many sends in so much time.
    #[serde(default)]
    rate: Option<PerTime>,
    /// The part of the day in which it sends, in the channel's zone.
    #[serde(default)]
    hours: Option<PartOfDay>,
}

/// Whether deliveries wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueFile {
    /// Tried at once, and from the queue when that fails.
    #[default]
    OnFailure,
    /// Always from the queue.
    Always,
    /// Tried at once, and given up when that fails.
    Never,
}

/// How a delivery is tried again.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryFile {
    /// The first pause (`1s`).
    pub(crate) first: Option<Period>,
    /// The longest pause (`5m`).
    pub(crate) longest: Option<Period>,
    /// By how much a pause is longer than the one before (2).
    #[schemars(range(min = 1, max = 100))]
    pub(crate) factor: Option<f64>,
    /// With `false` every pause is exact; with `true` (the default) it is up to half shorter, so that many do not
    /// come at once.
    pub(crate) jitter: Option<bool>,
    /// How many attempts (`unlimited`). The time in which the endpoint takes nothing does not count.
    pub(crate) attempts: Option<Attempts>,
    /// For how long (`unlimited`), from its own first attempt.
    #[serde(rename = "for")]
    pub(crate) lasting: Option<Lasting>,
}

/// A number, or `unlimited`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Attempts {
    Number(#[schemars(range(min = 1))] u32),
    Unlimited(Unlimited),
}

/// A length of time, or `unlimited`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Lasting {
    Period(Period),
    Unlimited(Unlimited),
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unlimited {
    /// Until it is sent.
    Unlimited,
}

/// `order:`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OrderFile {
    Short(OrderWord),
    Long(OrderKey),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderWord {
    /// One after the other, as they came.
    Arrival,
    /// Any may overtake any.
    None,
}

/// Strict within a key, parallel across.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderKey {
    /// A path, several paths, or an expression.
    pub(crate) key: KeyFile,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum KeyFile {
    One(#[schemars(extend("x-code" = true))] String),
    Several(#[schemars(length(min = 1))] Vec<String>),
}

impl KeyFile {
    /// Each of its texts at its place.
    pub(crate) fn at(self, path: &engine::Path) -> Vec<scripts::At<String>> {
        match self {
            Self::One(code) => vec![scripts::At::new(path.clone(), code)],
            Self::Several(paths) => {
                paths.into_iter().enumerate().map(|(n, text)| scripts::At::new(path.join(n), text)).collect()
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenUnsureFile {
    /// Sent again.
    Resend,
    /// Set aside for a person; those behind go on.
    Hold,
    /// The lane waits for a person.
    Stop,
}

/// What a receiver's negative code means.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NackFile {
    #[serde(rename = "AE")]
    pub(crate) error: Option<OnNackFile>,
    #[serde(rename = "AR")]
    pub(crate) reject: Option<OnNackFile>,
    #[serde(rename = "CE")]
    pub(crate) commit_error: Option<OnNackFile>,
    #[serde(rename = "CR")]
    pub(crate) commit_reject: Option<OnNackFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnNackFile {
    /// This message stands given up; the next goes on.
    GiveUp,
    /// Tried again.
    Retry,
    /// The lane waits for a person.
    Stop,
}
