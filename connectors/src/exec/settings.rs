//! What a channel says of the program that its messages go to.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::{Checks, Destination, DestinationSettings, Doubt, OpenError, Opening};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{meaning::Meaning, sender::Sender};
use crate::{
    Examine,
    setting::{Period, Size},
};

/// Runs a program for each message. No shell reads its arguments; its exit code says how it went. `workers` says how
/// many run at once (1).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "run": ["php", "load.php"], "input": "stdin", "timeout": "60s", "answer": "stdout" }))]
pub(super) struct Settings {
    /// The program, then its arguments, one entry each. A program without `/` is looked for in `PATH`, one with `/` from
    /// the project's folder on. Arguments may be made of the message, the program may not. One that a message begins
    /// with `-` is refused, unless an argument `--` stands before it.
    #[schemars(length(min = 1))]
    pub(super) run: Vec<Text>,

    /// How the program gets the message: `stdin`, or as a `file` of its own whose path takes the place of the argument
    /// `{}`, else stands behind the last argument, and in `RELAIS_FILE`.
    #[serde(default)]
    pub(super) input: Input,

    /// What comes back to be the response: `none`; `stdout`; or a file that the program leaves: `{ dir, name }`, whose
    /// whole path it finds in `RELAIS_ANSWER`.
    #[serde(default)]
    #[schemars(schema_with = "answer")]
    pub(super) answer: Answer,

    /// What exit codes mean: `sent`; `retry`: it takes nothing now, and is tried again as long as that lasts; `refused`:
    /// this message; `unsure`: nobody can tell, and `when_unsure` decides. By default 0 is sent, 75, 126 and 127 are a
    /// retry, and all others refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({ "3": "sent", "75": "retry" }))]
    pub(super) exit: BTreeMap<String, Meaning>,

    /// How long a run may take. Then its whole process group is told to end (`SIGTERM`).
    #[serde(default = "timeout")]
    pub(super) timeout: Period,

    /// How long it may take to end when told so, before it is killed (`SIGKILL`).
    #[serde(default = "grace")]
    pub(super) grace: Period,

    /// The folder it works in, from the project's folder on. By default the project's folder itself.
    #[serde(default = "here")]
    #[schemars(length(min = 1))]
    pub(super) dir: String,

    /// The user it runs as: a name of `/etc/passwd`, or `UID:GID`. Needs an engine that runs as root. By default the
    /// engine's own user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1), example = &"loader")]
    pub(super) user: Option<String>,

    /// Variables for the program. Of the engine's own it gets `PATH`, `HOME`, `USER`, `LANG`, `LC_ALL` and `TZ` and no
    /// other; beside them `RELAIS_CHANNEL`, `RELAIS_MESSAGE`, `RELAIS_EFFECT`, `RELAIS_ATTEMPT`, and `RELAIS_FILE_NAME`
    /// where the source knows a name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) environment: BTreeMap<String, Text>,

    /// How much of what it writes to stdout and stderr is kept with the delivery, of each the beginning and the end.
    #[serde(default = "output")]
    pub(super) output: Size,

    /// The longest answer taken. Of a longer one the beginning is kept, and marked as cut.
    #[serde(default = "max_size")]
    pub(super) max_size: Size,
}

/// A text that may be made of the message.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("x-template" = true))]
pub(super) struct Text(pub(super) String);

/// How a program gets its message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Input {
    #[default]
    Stdin,
    File,
}

/// What becomes the response.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Word(AnswerWord),
    File(AnswerFile),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum AnswerWord {
    None,
    Stdout,
}

/// The file that a program leaves.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct AnswerFile {
    /// The folder, from the project's folder on. One inside the project is made when it is missing.
    #[schemars(length(min = 1))]
    pub(super) dir: String,
    /// The file's name. By default one of the delivery's own. What lies there before a run is removed, and what the
    /// program left is removed once it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("x-template" = true))]
    pub(super) name: Option<String>,
}

impl Default for Answer {
    fn default() -> Self {
        Self::Word(AnswerWord::None)
    }
}

/// A word, or a file.
fn answer(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "anyOf": [generator.subschema_for::<AnswerWord>(), generator.subschema_for::<AnswerFile>()],
    })
}

fn timeout() -> Period {
    Period::seconds(60)
}

fn grace() -> Period {
    Period::seconds(5)
}

fn here() -> String {
    ".".to_owned()
}

fn output() -> Size {
    Size(64_000)
}

fn max_size() -> Size {
    Size(16_000_000)
}

impl Examine for Settings {}

#[async_trait]
impl DestinationSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        match self.run.first() {
            Some(program) if program.0.is_empty() => {
                checks.error("wrong-value", "run.0", "the program has no name");
            }
            Some(program) if program.0.contains("${") => {
                let why = "the program itself cannot be made of the message: only its arguments can";
                checks.error("template-not-here", "run.0", why);
            }
            Some(_) => {}
            None => checks.error("missing-field", "run", "the program is missing"),
        }
        if self.timeout.0.is_zero() {
            checks.error("period-too-short", "timeout", "no run could end in time");
        }
        for code in self.exit.keys().filter(|code| code.parse::<u8>().is_err()) {
            checks.error("wrong-value", "exit", format!("`{code}` is no exit code: they go from 0 to 255"));
        }
        for name in self.environment.keys() {
            let is_ours = name.starts_with("RELAIS_");
            if is_ours || name.is_empty() || name.contains(['=', '\0']) {
                let why = if is_ours { "is given by the engine itself" } else { "is no name of a variable" };
                checks.error("wrong-value", "environment", format!("`{name}` {why}"));
            }
        }
    }

    /// Two runs are two effects, unless the program knows `RELAIS_EFFECT`: a person decides.
    fn doubt(&self) -> Doubt {
        Doubt::Hold
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(Sender::open(self.clone(), opening)?))
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        Sender::open(self.clone(), opening)?.reach().map_err(OpenError::new)
    }
}
