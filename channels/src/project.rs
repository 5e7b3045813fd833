//! A folder with channels, scripts, tables and settings, read as a whole.

use std::{
    collections::BTreeMap,
    path::{Path as FilePath, PathBuf},
};

use engine::{Diagnostic, Path};

use crate::{Channel, Fault, Rule, ServedTable, ServerSettings, report::Report, yaml::Node};

/// Everything that was read, and everything wrong with it.
pub struct Project {
    pub root: PathBuf,
    /// The defaults, where `relais.yaml` is missing or wrong.
    pub settings: ServerSettings,
    /// In the order of their files' names.
    pub channels: Vec<Channel>,
    /// The tables whose rows servers hold.
    pub tables: Vec<ServedTable>,
    /// Who is told of what needs a person; those alone that are right.
    pub alerts: Vec<Rule>,
    /// The files of those rules.
    pub(crate) rule_trees: Vec<Node>,
    /// Of the whole project, by file and line.
    pub faults: Vec<Fault>,
    /// The files as they were read, for the place of what is found later.
    pub(crate) report: Report,
}

/// How a project is read.
#[derive(Clone)]
pub struct Options {
    /// The file of `environments/` whose variables are used (`--environment`).
    pub environment: Option<String>,
    pub secrets: Secrets,
    /// Makes errors of warnings.
    pub strict: bool,
    /// The variables of the process; they come before those of the environment.
    pub variables: BTreeMap<String, String>,
}

/// What `${file:…}` that cannot be read means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// An error: for `run`, and for `check --secrets`.
    Needed,
    /// Nothing: for a check on another machine than the server's. No plan is made with it.
    TakenAsPresent,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            environment: None,
            secrets: Secrets::Needed,
            strict: false,
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        }
    }
}

impl Project {
    /// Adds that the other side of a channel was tried and is not there: its source, or the destination at `at`.
    ///
    /// `place` is the channel's in [`Project::channels`].
    pub fn add_unreachable(&mut self, place: usize, at: &Path, why: &str) {
        let channel = &mut self.channels[place];
        let Some(tree) = &channel.tree else { return };
        channel.faults += 1;
        self.report.faults = std::mem::take(&mut self.faults);
        self.report.add(tree, Diagnostic::error("unreachable", at.clone(), why));
        self.faults = self.report.sorted(false);
    }

    /// Adds that the server of a table was tried and cannot be asked. `place` is the table's in [`Project::tables`].
    pub fn add_unreachable_table(&mut self, place: usize, why: &str) {
        self.report.faults = std::mem::take(&mut self.faults);
        let fault = Diagnostic::error("unreachable", Path::default(), why);
        self.report.add(&self.tables[place].tree, fault);
        self.faults = self.report.sorted(false);
    }

    /// Adds that a way of a rule was tried and is not there. `place` is the rule's in [`Project::alerts`].
    pub fn add_unreachable_way(&mut self, place: usize, way: usize, why: &str) {
        let rule = &self.alerts[place];
        let at = Path::parse("tell").join(way).join(rule.tell[way].protocol.as_str());
        self.report.faults = std::mem::take(&mut self.faults);
        self.report.add(&self.rule_trees[place], Diagnostic::error("unreachable", at, why));
        self.faults = self.report.sorted(false);
    }

    /// Notes what is spoken with the other side of a channel.
    pub fn add_spoken(&mut self, place: usize, at: &Path, words: &str) {
        let Some(tree) = &self.channels[place].tree else { return };
        self.report.faults = std::mem::take(&mut self.faults);
        self.report.add(tree, Diagnostic::note("spoken", at.clone(), words));
        self.faults = self.report.sorted(false);
    }

    /// Whether `relais.yaml` is right, or missing.
    pub fn settings_are_sound(&self) -> bool {
        !self.faults.iter().any(|fault| fault.is_error() && fault.file == FilePath::new("relais.yaml"))
    }

    /// Whether nothing in the project is wrong. Warnings do not count.
    pub fn is_sound(&self) -> bool {
        !self.faults.iter().any(Fault::is_error)
    }
}
