//! What is wrong with what a person wrote, and where.

use std::{
    fmt,
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

/// Where in a file, from its top: `destinations.0.mllp.connect`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Vec<String>);

impl Path {
    /// Reads a dotted path. Keys that hold dots cannot be written so: use [`Path::join`].
    pub fn parse(dotted: &str) -> Self {
        Self(dotted.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    #[must_use]
    pub fn join(&self, part: impl fmt::Display) -> Self {
        let mut parts = self.0.clone();
        parts.push(part.to_string());
        Self(parts)
    }

    #[must_use]
    pub fn under(&self, tail: &Path) -> Self {
        Self(self.0.iter().chain(&tail.0).cloned().collect())
    }

    pub fn parts(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("."))
    }
}

/// A warning or a note never changes an exit code, breaks a channel or holds a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
    /// Worth knowing: nothing is wrong.
    Note,
}

/// One complaint about one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Names the page in `docs/errors`.
    pub code: &'static str,
    pub severity: Severity,
    pub at: Path,
    pub place: Place,
    pub message: String,
    pub help: Option<String>,
    /// When what it warns of ends, in seconds of the system's time: a certificate.
    pub ends: Option<NonZeroU32>,
}

/// What exactly at a path is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// The value that stands there.
    #[default]
    Value,
    /// The key it stands under.
    Key,
    /// A line and a column, both from 1, inside the text that stands there: a script.
    Inside { line: usize, column: usize },
}

impl Diagnostic {
    pub fn error(code: &'static str, at: Path, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            at,
            place: Place::Value,
            message: message.into(),
            help: None,
            ends: None,
        }
    }

    pub fn warning(code: &'static str, at: Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, at, message) }
    }

    pub fn note(code: &'static str, at: Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(code, at, message) }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says when what it warns of ends.
    #[must_use]
    pub fn ending(mut self, when: SystemTime) -> Self {
        let seconds = when.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.ends = NonZeroU32::new(u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }

    /// When what it warns of ends.
    pub fn ends(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::from(self.ends?.get())))
    }

    #[must_use]
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

/// Collects every complaint about one part of a channel, under its path.
pub struct Checks<'a> {
    beneath: Path,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Checks<'a> {
    pub fn new(beneath: Path, found: &'a mut Vec<Diagnostic>) -> Self {
        Self { beneath, found }
    }

    /// The same complaints about a part of this part.
    #[must_use]
    pub fn within(&mut self, field: &str) -> Checks<'_> {
        Checks { beneath: self.beneath.under(&Path::parse(field)), found: self.found }
    }

    /// Complains about a field, named by its dotted path from this part.
    pub fn error(&mut self, code: &'static str, field: &str, message: impl Into<String>) {
        self.add(Diagnostic::error(code, Path::parse(field), message));
    }

    /// Takes a complaint whose path starts at this part.
    pub fn add(&mut self, mut diagnostic: Diagnostic) {
        diagnostic.at = self.beneath.under(&diagnostic.at);
        self.found.push(diagnostic);
    }
}
