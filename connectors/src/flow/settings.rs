//! Which files are taken, when, and where they go: the settings that all sources of files share.

use std::time::Duration;

use engine::{Checks, Diagnostic, Path, glob::fits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    answer::AnswerFile,
    place::{LONGEST, Location},
};
use crate::setting::{Period, Size};

/// Which files are taken, and what becomes of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Taking {
    /// Which names are taken: `*` stands for anything, `?` for one byte, `[a-z]` for one of these. Names that begin with
    /// `.` or end in `.tmp`, `.part` or `.filepart` never are.
    #[serde(default = "pattern")]
    pub(crate) pattern: Patterns,

    /// Takes the files of folders below too. Links are not followed.
    #[serde(default)]
    recursive: bool,

    /// How a file shows that it is whole. `stable`: size and time stayed the same over two looks. `renamed`: it has its
    /// name only when it is whole. `companion`: a second file of this ending stands beside it (`a.hl7.ok` or `a.ok`), and
    /// goes when the file is taken.
    #[serde(default)]
    pub(crate) complete: Complete,

    /// How often to look into the folder. A folder of this machine is also looked into as soon as something comes.
    #[serde(default = "every")]
    pub(crate) every: Period,

    /// Which of several files goes first: the `oldest`, the `newest`, or by `name`.
    #[serde(default)]
    pub(crate) sort: Sort,

    /// Files smaller than this are left alone.
    #[serde(default = "smallest")]
    min_size: Size,

    /// The longest file taken. A longer one is not read and goes where refused files go.
    #[serde(default = "largest")]
    pub(crate) max_size: Size,

    /// Files younger than this are left alone for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    min_age: Option<Period>,

    /// Files older than this are left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    max_age: Option<Period>,

    /// What a file holds: `none`, one message; `hl7`, one HL7 message or a batch of them (FHS, BHS, or messages in a row);
    /// `hprim`, several messages of HPRIM; `records`, rows of CSV or of fixed width; `{ group: IPP }`, rows that belong
    /// together by a column. Each of them is a message that goes its own way, and the file is put away when all have ended,
    /// by the worst of them. Rows are read as `format` says.
    #[serde(default)]
    pub(crate) split: Split,

    /// Where files go whose messages were accepted. Without this and `delete` they stay, are noted, and are not read
    /// again; then no second engine may read the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    done: Option<String>,

    /// Deletes files whose messages were accepted. Either this or `done`.
    #[serde(default)]
    delete: bool,

    /// Where files go that were refused or cannot be read as a message. Without this they stay, and are not read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    refused: Option<String>,

    /// Where files go whose steps or deliveries failed. Without this they stay, and are not read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    failed: Option<String>,

    /// Writes what the file's sender would hear into a file of its own, once: the words that `reply: { from: NAME }` or
    /// `reply: { script: … }` chose. A file is put away when its answer is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AnswerFile")]
    pub(crate) answer: Option<AnswerFile>,

    /// Puts files away in a folder of the `day` (`done/2026-03-01`) or of the `month`.
    #[serde(default)]
    pub(crate) dated: Dated,
}

/// One pattern, or several of which one must fit.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Patterns {
    One(String),
    Any(Vec<String>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Complete {
    #[default]
    Stable,
    Renamed,
    Companion(#[schemars(description = "The ending of the second file, with its dot: `.ok`.")] String),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Sort {
    #[default]
    Oldest,
    Newest,
    Name,
}

/// A word, or the column that the rows are gathered by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Split {
    Word(SplitWord),
    Group(SplitGroup),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum SplitWord {
    #[default]
    None,
    Hl7,
    Hprim,
    Records,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct SplitGroup {
    /// The name of a column: rows with the same value there are one message.
    #[schemars(length(min = 1))]
    pub(crate) group: String,
}

impl Default for Split {
    fn default() -> Self {
        Self::Word(SplitWord::None)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Dated {
    #[default]
    None,
    Day,
    Month,
}

fn pattern() -> Patterns {
    Patterns::One("*".to_owned())
}

fn every() -> Period {
    Period::seconds(2)
}

fn smallest() -> Size {
    Size(0)
}

fn largest() -> Size {
    Size(64_000_000)
}

/// Where files lie and where they go.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) dir: Location,
    pub(crate) done: Option<Location>,
    pub(crate) refused: Option<Location>,
    pub(crate) failed: Option<Location>,
    pub(crate) answers: Option<Location>,
}

impl Folders {
    /// The folders that files are put away in, by their settings.
    pub(crate) fn beside(&self) -> impl Iterator<Item = (&'static str, &Location)> {
        let all = [
            ("done", &self.done),
            ("refused", &self.refused),
            ("failed", &self.failed),
            ("answer.dir", &self.answers),
        ];
        all.into_iter().filter_map(|(name, folder)| Some((name, folder.as_ref()?)))
    }

    /// Whether files are put away in this folder: it is never read, wherever it lies.
    pub(crate) fn are_put_away_in(&self, folder: &Location) -> bool {
        let path = folder.to_string();
        let same =
            |other: &Location| other.to_string().trim_start_matches("./") == path.trim_start_matches("./");
        self.beside().any(|(_, folder)| same(folder))
    }
}

/// What to do when the name is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Existing {
    #[default]
    Number,
    Replace,
    Refuse,
}

/// Endings of files that are still being written.
const UNFINISHED: [&[u8]; 3] = [b".tmp", b".part", b".filepart"];

impl Taking {
    pub(crate) fn check(&self, checks: &mut Checks<'_>) {
        if self.delete && self.done.is_some() {
            checks.error(
                "conflicting-fields",
                "delete",
                "`delete` and `done` exclude each other: a file goes one way",
            );
        }
        if self.every.0 < Duration::from_millis(100) {
            checks.error(
                "period-too-short",
                "every",
                "looking more often than every 100ms finds nothing sooner",
            );
        }
        if self.max_size.0 < self.min_size.0.max(1) {
            checks.error(
                "size-too-small",
                "max_size",
                "no file is longer than `min_size` and no longer than this",
            );
        }
        if let Complete::Companion(ending) = &self.complete
            && (!ending.starts_with('.') || ending.len() < 2 || ending.contains('/'))
        {
            let message = format!("`{ending}` is no ending of a name, such as `.ok`");
            checks.error("wrong-value", "complete", message);
        }
        self.check_answer(checks);
        self.note_leaving(checks);
        if let (Some(least), Some(most)) = (self.min_age, self.max_age)
            && least >= most
        {
            checks.error(
                "period-too-short",
                "max_age",
                "no file is older than `min_age` and younger than this",
            );
        }
    }

    fn note_leaving(&self, checks: &mut Checks<'_>) {
        if self.leaves() {
            let message = "files stay in this folder, known by this engine's own notes: a second engine on it would take each again";
            let help = "with `done` or `delete` each file is claimed by a rename, and several engines may read one folder";
            checks.add(Diagnostic::note("one-engine", Path::default(), message).help(help));
        }
    }

    fn check_answer(&self, checks: &mut Checks<'_>) {
        let Some(answer) = &self.answer else { return };
        if self.leaves() {
            checks.error(
                "missing-field",
                "answer",
                "a file that stays where it is has no place to note that it was answered: say `done` or `delete`",
            );
        }
        if answer.name_for(b"x").len() > LONGEST {
            checks.error("wrong-value", "answer.name", "a name has at most 255 bytes");
        }
        if answer.name.contains('/') {
            checks.error("wrong-value", "answer.name", "a name holds no `/`: the folder is `answer.dir`");
        }
        let taken = ["x", "x.hl7", "x.txt", "x.csv"]
            .iter()
            .any(|file| self.wants_name(&answer.name_for(file.as_bytes())));
        if answer.dir.is_none() && taken {
            let message =
                "the answers would be taken as files themselves: say `answer.dir`, or another `pattern`";
            checks.error("wrong-value", "answer", message);
        }
    }

    /// `folder` says where a folder of the settings lies, beside `dir` itself.
    pub(crate) fn folders(&self, dir: &str, folder: impl Fn(&str) -> Location) -> Folders {
        let at = |written: &Option<String>| written.as_deref().map(&folder);
        Folders {
            dir: Location::new(dir),
            done: at(&self.done),
            refused: at(&self.refused),
            failed: at(&self.failed),
            answers: self.answer.as_ref().and_then(|answer| at(&answer.dir)),
        }
    }

    /// Whether files stay where they are unless something is wrong with them.
    pub(crate) fn leaves(&self) -> bool {
        self.done.is_none() && !self.delete
    }

    pub(crate) fn deletes(&self) -> bool {
        self.delete
    }

    pub(crate) fn is_recursive(&self) -> bool {
        self.recursive
    }

    /// The patterns of names that are taken.
    pub(crate) fn names(&self) -> &[String] {
        match &self.pattern {
            Patterns::One(pattern) => std::slice::from_ref(pattern),
            Patterns::Any(patterns) => patterns,
        }
    }

    /// Whether a file of this name may be taken.
    pub(crate) fn wants_name(&self, name: &[u8]) -> bool {
        self.names().iter().any(|pattern| fits(pattern, name))
            && !is_unfinished(name)
            && !self.is_companion(name)
    }

    pub(crate) fn is_companion(&self, name: &[u8]) -> bool {
        matches!(&self.complete, Complete::Companion(ending) if name.ends_with(ending.as_bytes()))
    }

    /// Whether a file of this size and age (in nanoseconds) may be taken.
    pub(crate) fn wants(&self, size: u64, age: i64) -> bool {
        let nanoseconds = |period: Period| i64::try_from(period.0.as_nanos()).unwrap_or(i64::MAX);
        size >= self.min_size.0 as u64
            && self.min_age.is_none_or(|least| age >= nanoseconds(least))
            && self.max_age.is_none_or(|most| age <= nanoseconds(most))
    }
}

impl Taking {
    /// Whether a file of this size and age may be taken now or later.
    pub(crate) fn will_want(&self, size: u64, age: i64) -> bool {
        let least = self.min_age.map_or(0, |least| i64::try_from(least.0.as_nanos()).unwrap_or(i64::MAX));
        self.wants(size, age.max(least))
    }
}

/// Hidden, or still being written.
pub(crate) fn is_unfinished(name: &[u8]) -> bool {
    name.starts_with(b".") || UNFINISHED.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taking(settings: serde_json::Value) -> Taking {
        serde_json::from_value(settings).unwrap()
    }

    #[test]
    fn what_is_hidden_or_unfinished_is_not_wanted() {
        let all = taking(serde_json::json!({}));
        for name in [".x", "a.tmp", "a.part", "a.filepart"] {
            assert!(!all.wants_name(name.as_bytes()), "{name}");
        }
        assert!(all.wants_name(b"a.hl7") && all.wants_name(b"\xff"));
        let some =
            taking(serde_json::json!({ "pattern": ["*.hl7", "*.txt"], "complete": { "companion": ".ok" } }));
        assert!(some.wants_name(b"a.txt") && !some.wants_name(b"a.csv") && !some.wants_name(b"a.hl7.ok"));
    }

    #[test]
    fn size_and_age_decide() {
        let young = taking(serde_json::json!({ "max_age": "1s", "min_size": "2" }));
        assert!(young.wants(2, 999_999_999) && !young.wants(1, 0) && !young.wants(5, 1_000_000_001));
    }
}
