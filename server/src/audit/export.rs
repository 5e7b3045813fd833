//! The whole audit log for others, some of it at a time: a log may be larger than memory.

use std::{fmt, path::Path};

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Break, Entry, Lines,
    fhir::{self, BUNDLE},
};

/// So much is made at once, and a line more.
const PIECE: usize = 64 << 10;

/// In which form the lines go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// A line each, as they are kept
    #[default]
    Jsonl,
    /// One FHIR R4 bundle of `AuditEvent`s
    Fhir,
}

impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Jsonl => "as JSON lines",
            Self::Fhir => "as FHIR AuditEvents",
        })
    }
}

/// Lines on their way out. Where the chain breaks it ends with that, behind the lines that are sound.
pub(crate) struct Export {
    lines: Lines,
    form: Form,
    since: Option<Timestamp>,
    is_begun: bool,
    is_over: bool,
    broken: Option<Break>,
}

impl Export {
    /// Those since then, or all.
    pub(crate) fn of(folder: &Path, form: Form, since: Option<Timestamp>) -> Result<Self, Break> {
        let lines = Lines::of(folder)?;
        Ok(Self { lines, form, since, is_begun: false, is_over: false, broken: None })
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        self.since.is_none_or(|since| entry.at.parse::<Timestamp>().is_ok_and(|at| at >= since))
    }

    fn add(&mut self, entry: &Entry, piece: &mut String) {
        let line = match self.form {
            Form::Jsonl => serde_json::to_string(entry).expect("an entry has text keys") + "\n",
            Form::Fhir => {
                let before = if self.is_begun { BUNDLE[1] } else { BUNDLE[0] };
                format!("{before}{}", fhir::entry(entry, &self.lines.hash))
            }
        };
        self.is_begun = true;
        piece.push_str(&line);
    }

    /// What stands behind the last line.
    fn end(&mut self) -> &'static str {
        self.is_over = true;
        match (self.form, self.is_begun) {
            (Form::Jsonl, _) => "",
            (Form::Fhir, true) => BUNDLE[2],
            (Form::Fhir, false) => "{\"resourceType\":\"Bundle\",\"type\":\"collection\"}\n",
        }
    }
}

impl Iterator for Export {
    type Item = Result<String, Break>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(broken) = self.broken.take() {
            return Some(Err(broken));
        }
        let mut piece = String::new();
        while !self.is_over && piece.len() < PIECE {
            match self.lines.next() {
                Some(Ok(entry)) if self.is_wanted(&entry) => self.add(&entry, &mut piece),
                Some(Ok(_)) => {}
                Some(Err(broken)) => (self.is_over, self.broken) = (true, Some(broken)),
                None => piece.push_str(self.end()),
            }
        }
        if piece.is_empty() { self.broken.take().map(Err) } else { Some(Ok(piece)) }
    }
}
