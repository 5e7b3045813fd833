//! What may stand in a channel file: its fields, with their documentation, defaults and schema.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    destination_file::{DestinationFile, KeyFile},
    format_file::FormatFile,
    schema,
    tests_file::TestFile,
    values::{Period, Zone},
};

/// One way for messages: where they come from, what is done to them, where they go.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A Relais channel")]
#[expect(
    dead_code,
    reason = "the schema is made of it; the fields are read one by one, so that one hides no other"
)]
pub(crate) struct ChannelFile {
    /// Names the channel: in the console, in metrics, on the command line. No other channel has it.
    #[schemars(schema_with = "name")]
    name: String,
    /// What it is for, in a sentence.
    #[serde(default)]
    description: Option<String>,
    /// Words to find it by.
    #[serde(default)]
    tags: Vec<String>,
    /// With `false` it is checked and not started.
    #[serde(default = "yes")]
    enabled: bool,
    /// Where messages come from: one protocol with its settings, or `use: NAME` for `sources/NAME.yaml`.
    #[schemars(schema_with = "schema::source")]
    source: Map<String, Value>,
    /// What the messages are; the source's usual format by default.
    #[serde(default)]
    format: Option<FormatFile>,
    /// The charset of messages that do not say: `windows-1252`, `iso-8859-15`, `utf-8`.
    #[serde(default)]
    charset: Option<String>,
    /// For times without an offset; else the zone of `relais.yaml`, else the machine's.
    #[serde(default)]
    zone: Option<Zone>,
    /// A file for the story of each file that the source takes: seen, taken, stored, delivered, answered, archived, a line
    /// each. From the project's folder on; `${ctx.channel}` stands for the channel's name.
    #[serde(default)]
    #[schemars(extend("x-template" = true))]
    log_file: Option<String>,
    /// When the sender is answered, and with what.
    #[serde(default)]
    reply: Option<ReplyFile>,
    /// What a second copy of a message means: same sender, same control id, same bytes.
    #[serde(default)]
    repeats: Option<RepeatsFile>,
    /// What is done to every message, in order.
    #[serde(default)]
    steps: Vec<StepFile>,
    /// Where messages go. `[]`: the message is kept and answered.
    destinations: Vec<DestinationFile>,
    /// Answers that its messages are to have: an order is answered by a result of the same number within some hours.
    /// What is not answered by then is overdue: `relais overdue`.
    #[serde(default)]
    expect: Option<ExpectFile>,
    /// Its messages are run together, in groups: each is kept and answered when it comes, and when no more of a group come
    /// the steps and destinations run once for all of them.
    #[serde(default)]
    group: Option<GroupFile>,
    /// How long what is kept.
    #[serde(default)]
    keep: Option<KeepFile>,
    /// More search keys than the usual ones: a name, and a path into the message.
    #[serde(default)]
    index: BTreeMap<String, String>,
    /// Messages with what shall become of them, run by `relais test`.
    #[serde(default)]
    tests: Vec<TestFile>,
}

/// `reply:`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ReplyFile {
    Short(ReplyWord),
    Long(Box<LongReply>),
}

/// When the sender is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplyWord {
    /// As soon as the message is durable.
    Stored,
    /// When the steps have run and the deliveries are durable.
    Processed,
    /// When the deliveries have been tried.
    Delivered,
    /// Not at all.
    Never,
}

/// When the sender is answered, and with what.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LongReply {
    /// When the answer is written (`processed`).
    pub(crate) when: Option<ReplyWord>,
    /// In place of `when`: the answer of this destination is passed back.
    pub(crate) from: Option<String>,
    /// In place of `when`: a script makes the answer, when the deliveries have been tried.
    #[schemars(extend("x-code" = true))]
    pub(crate) script: Option<String>,
    /// Bounds every wait of the sender (`30s`).
    pub(crate) within: Option<Period>,
    /// What is heard of a message that was filtered, or that no destination wanted.
    #[serde(default)]
    pub(crate) filtered: FilteredFile,
    /// HL7: which acknowledgement mode.
    #[serde(default)]
    pub(crate) mode: ModeFile,
    /// Codes that differ from the usual ones, by outcome: `codes: { failed: AR }`.
    #[serde(default)]
    pub(crate) codes: CodesFile,
}

/// What is heard of a filtered message.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FilteredFile {
    /// A positive answer: the message was not wanted, which is nobody's fault.
    #[default]
    Accept,
    /// A negative one, as Mirth does.
    Refuse,
}

/// Which acknowledgements a sender of HL7 hears.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModeFile {
    /// As MSH-15 and MSH-16 ask, and never silent.
    #[default]
    Auto,
    /// The standard's enhanced mode to the letter, with a second message for the application's answer.
    Enhanced,
    /// Always AA, AE or AR.
    Original,
}

/// The code of each outcome.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodesFile {
    pub(crate) accepted: Option<String>,
    pub(crate) filtered: Option<String>,
    pub(crate) unrouted: Option<String>,
    pub(crate) unreadable: Option<String>,
    pub(crate) refused: Option<String>,
    pub(crate) failed: Option<String>,
    pub(crate) unavailable: Option<String>,
}

/// `repeats:`
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RepeatsFile {
    Short(RepeatsWord),
    Long(LongRepeats),
}

/// What becomes of a second copy.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RepeatsWord {
    /// It is processed as a message of its own, and flagged.
    #[default]
    Accept,
    /// It gets the answer of the first, and has no second effect.
    AnswerAgain,
}

/// What becomes of a second copy, and for how long copies are known.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LongRepeats {
    /// What becomes of a second copy.
    #[serde(default, rename = "do")]
    pub(crate) what: RepeatsWord,
    /// How long a copy counts as one (`24h`).
    #[serde(default)]
    pub(crate) window: Option<Period>,
}

/// One step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum StepFile {
    Filter(FilterStep),
    Require(RequireStep),
    Set(SetStep),
    Script(ScriptStep),
    Deidentify(DeidentifyStep),
    Split(SplitStep),
}

/// Lets a message go on, or filters it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterStep {
    /// An expression; where it is false the message is filtered, and the steps that follow do not run.
    #[schemars(extend("x-code" = true))]
    pub(crate) filter: String,
}

/// Refuses a message that lacks something.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequireStep {
    /// Paths; the first that is missing refuses the message.
    pub(crate) require: Vec<String>,
}

/// Writes into a message.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetStep {
    /// What is written at each path, in order: a text, in which `${…}` is an expression. `''` empties, `'""'` is
    /// the null of HL7.
    #[schemars(schema_with = "texts")]
    pub(crate) set: Map<String, Value>,
}

/// Runs a script on a message.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScriptStep {
    /// `relais/NAME`, a path that ends in `.rhai`, or code. Its last value goes on.
    #[schemars(extend("x-code" = true))]
    pub(crate) script: String,
    /// Lets a text go on that is not HL7 again.
    #[serde(default, rename = "as")]
    pub(crate) kind: Option<AsText>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AsText {
    /// The script's text is the message from here on.
    Text,
}

/// Takes away whose DICOM instance it is, by the basic profile of the standard (PS3.15, annex E). Pixels are not looked
/// at: what is burned into them stays.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeidentifyStep {
    pub(crate) deidentify: DeidentifyFile,
}

/// Nothing prints the key.
impl std::fmt::Debug for DeidentifyStep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DeidentifyStep")
    }
}

/// How an instance is de-identified.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeidentifyFile {
    /// A secret of 16 characters at least. Under the same key the same UIDs, patients and days come out the same.
    #[schemars(extend("examples" = ["${file:secrets/deidentify}"]))]
    pub(crate) key: String,
    /// What becomes of dates.
    #[serde(default)]
    pub(crate) dates: DatesWord,
    /// What becomes of UIDs.
    #[serde(default)]
    pub(crate) uids: UidsWord,
    /// What stands where the patient's name and number stood.
    #[serde(default)]
    pub(crate) patient: PatientWord,
    /// Elements that are left as they are, whatever the profile says: `PatientSex`, `(0018,1000)`.
    #[serde(default)]
    pub(crate) keep: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DatesWord {
    /// They are emptied, taken away or replaced, as the profile says.
    #[default]
    Remove,
    /// All of a patient's go back by the same number of days, up to ten years; times of day stay, dates of birth go.
    Shift,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UidsWord {
    /// Each becomes another one, always the same.
    #[default]
    Map,
    /// They stay.
    Keep,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PatientWord {
    /// Nothing.
    #[default]
    Empty,
    /// A word made of the patient's number and its issuer under the key, always the same.
    Pseudonym,
}

/// Makes several messages of one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitStep {
    /// An expression that gives the list of messages.
    #[schemars(extend("x-code" = true))]
    pub(crate) split: String,
    /// With `true` a part that fails lets the others go; with `false` it fails the message. `true` by default where
    /// the source reads files.
    #[serde(default)]
    pub(crate) each: Option<bool>,
    /// What each part is called in MSH-10.
    #[serde(default)]
    pub(crate) control_id: ControlId,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ControlId {
    /// `<MSH-10>.<n>`, the same whenever it is run again.
    #[default]
    Number,
    /// What stands there.
    Keep,
}

/// `expect:`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectFile {
    /// An expression: messages for which it is false expect nothing. On the message as the channel's steps left it.
    #[schemars(extend("x-code" = true))]
    pub(crate) when: Option<String>,
    /// By what a message and its answer know each other: a path, several, or an expression; a list asks under each. An
    /// empty key expects nothing.
    pub(crate) key: KeyFile,
    /// Where the answer comes in: one channel, or several of which any may answer.
    pub(crate) answered_by: AnswersFile,
    /// For how long an answer is in time (`4h`), from the receipt of the message.
    pub(crate) within: Period,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum AnswersFile {
    One(AnswerFile),
    Several(#[schemars(length(min = 1))] Vec<AnswerFile>),
}

/// What answers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerFile {
    /// The channel whose accepted messages answer; it may be this one.
    pub(crate) channel: String,
    /// An expression: messages for which it is false answer nothing. On the message as that channel's steps left it.
    #[schemars(extend("x-code" = true))]
    pub(crate) when: Option<String>,
    /// A path, several, or an expression on that channel's message.
    pub(crate) key: KeyFile,
}

/// `group:`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupFile {
    /// Which group a message belongs to: a path, several, or an expression. One for which it is empty is refused.
    #[schemars(extend("examples" = ["StudyInstanceUID"]))]
    pub(crate) by: KeyFile,
    /// So long after its last member a group is run (`30s`). A member that comes later has it run again, with all.
    pub(crate) quiet: Period,
    /// How many members a group has: a number, or a path or an expression on each member. With as many it is run at once.
    #[serde(default)]
    pub(crate) count: Option<CountFile>,
    /// So long after the first member that no run has had a group is run, though it is not quiet.
    #[serde(default)]
    pub(crate) at_most: Option<Period>,
    /// What the group has of each member: a path, several, or an expression. Without it, what is usual for the format: of
    /// `dicom` the header's main elements, of `json` the document, of `binary` nothing, of others the text. At most 1 MB.
    #[serde(default)]
    pub(crate) member: Option<KeyFile>,
}

/// `count:`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum CountFile {
    Number(#[schemars(range(min = 1))] u32),
    Read(KeyFile),
}

/// How long what is kept.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeepFile {
    /// Messages, payloads and answers, with their search keys (`30d`).
    pub(crate) content: Option<Period>,
    /// The same of what failed or was given up (`90d`).
    pub(crate) errors: Option<Period>,
    /// That there was a message, without anything of a patient (`1y`).
    pub(crate) metadata: Option<Period>,
}

fn yes() -> bool {
    true
}

/// Names stand in addresses and on the command line: no `/`, no blank at an end.
pub(crate) fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "title": "a name: no `/`, and no blank at its ends",
        "pattern": "^[^\\s/]([^/\\x00-\\x1f]{0,98}[^\\s/])?$",
        "examples": ["lab-results"],
    })
}

fn texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "x-template": "always" },
        "examples": [{ "PID-3.4": "HOP" }],
    })
}
