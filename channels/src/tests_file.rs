//! What may stand under `tests:` of a channel file.

use std::collections::BTreeMap;

use engine::GivenRows;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::values::{Instant, Period};

/// A message, and what shall become of it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestFile {
    /// What is shown by it, in a sentence.
    pub(crate) name: String,
    /// The file with the message, from the project's folder. Where the source takes batches, each message of a batch
    /// runs, in order.
    pub(crate) message: String,
    /// Where the channel has `group:`, the files of the other members of the group: the steps run once for all of them.
    #[serde(default)]
    pub(crate) members: Vec<String>,
    /// Pins the time, the ids and the random numbers.
    pub(crate) at: Option<Instant>,
    /// The code that the sender hears: `AA`; of a batch one for all, or each in order: `AA, AE`.
    pub(crate) reply: Option<String>,
    /// How the message fares, for any source.
    pub(crate) outcome: Option<OutcomeFile>,
    /// What each destination gets; one that is not named is not looked at.
    #[serde(default)]
    pub(crate) expect: BTreeMap<String, ExpectFile>,
    /// What each destination answers; sent, with no answer, by default.
    #[serde(default)]
    pub(crate) responses: BTreeMap<String, ResponseFile>,
    /// What tables of servers hold, by table, by key (several with ` / ` between) and by column: none is asked in a test.
    #[serde(default)]
    pub(crate) tables: GivenRows,
    /// What the source knows beside the message: `{ name: a.hl7 }`.
    #[serde(default)]
    pub(crate) source: Map<String, Value>,
    /// What else comes, before the message or after it, in this channel or another: answers, and what asks again.
    #[serde(default)]
    pub(crate) others: Vec<OtherFile>,
    /// How the answers that the channel expects stand some time after the message came: one look, or several.
    pub(crate) answers: Option<LooksFile>,
}

/// Another message of a test.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherFile {
    /// The channel that it comes to; this one by default.
    pub(crate) channel: Option<String>,
    /// The file with the message, from the project's folder.
    pub(crate) message: String,
    /// How long after the test's message it comes; at the same time by default.
    pub(crate) after: Option<Period>,
    /// In place of `after`: how long before the test's message it comes.
    pub(crate) before: Option<Period>,
    /// What its source knows beside the message.
    #[serde(default)]
    pub(crate) source: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum LooksFile {
    One(LookFile),
    Several(#[schemars(length(min = 1))] Vec<LookFile>),
}

impl LooksFile {
    pub(crate) fn list(&self) -> &[LookFile] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

/// How the answers stand at one time. A list names all keys that stand so; what is not said is not looked at.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookFile {
    /// How long after the receipt of the test's message (`4h`).
    pub(crate) after: Period,
    /// The keys without an answer whose time is over.
    pub(crate) overdue: Option<Vec<String>>,
    /// The keys without an answer that still have time.
    pub(crate) open: Option<Vec<String>>,
    /// The keys that were asked for and answered.
    pub(crate) met: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeFile {
    Accepted,
    Filtered,
    Unrouted,
    Unreadable,
    Refused,
    Failed,
    /// A table lacks its code, and says `on_missing: hold`.
    Held,
}

/// What a destination gets.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ExpectFile {
    Nothing(NothingWord),
    Several(Vec<ExpectedPayload>),
    One(ExpectedPayload),
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NothingWord {
    /// It is left out.
    Nothing,
}

/// One payload.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedPayload {
    /// The file that it is equal to, byte for byte; `relais test --update` writes it.
    pub(crate) file: Option<String>,
    /// What stands at some paths of it.
    #[serde(default)]
    pub(crate) paths: BTreeMap<String, String>,
    /// `message`: the file of `message:`, byte for byte.
    pub(crate) same_as: Option<SameAs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SameAs {
    /// The file of `message:`.
    Message,
}

/// What a destination answers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResponseFile {
    /// How the attempt ended (`sent`).
    #[serde(default)]
    pub(crate) state: ResponseState,
    /// The receiver's own code: `AE`.
    pub(crate) code: Option<String>,
    /// Why it was not sent.
    pub(crate) why: Option<String>,
    /// The answer, as text.
    pub(crate) body: Option<String>,
    /// The file with the answer, from the project's folder.
    pub(crate) file: Option<String>,
    /// What the connector tells beside it: a status, headers.
    #[serde(default)]
    pub(crate) facts: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResponseState {
    /// It was taken.
    #[default]
    Sent,
    /// This message was refused.
    Refused,
    /// The endpoint takes nothing now.
    NotDelivered,
    /// Nobody can tell.
    Unknown,
}
