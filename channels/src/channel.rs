//! One channel of a project, as its file describes it.

use std::{path::PathBuf, time::Duration};

use engine::{Ages, Hash, Plan};

use crate::{promises::Promises, trial::Trial, yaml::Node};

/// What was found in one file of `channels/`.
pub struct Channel {
    /// The name it gives itself; the file's, where it gives none.
    pub name: String,
    /// Relative to the project.
    pub file: PathBuf,
    pub enabled: bool,
    pub description: Option<String>,
    pub tags: Vec<String>,
    /// Ready to run. `None` where the channel has faults, or where a secret was only taken as present.
    pub plan: Option<Plan>,
    pub ages: Ages,
    /// Where the story of its files is written, from the process's folder on.
    pub log_file: Option<PathBuf>,
    /// Names its file and every script, table and source it uses.
    pub version: Hash,
    /// What it promises; `None` where a part could not be read.
    pub promises: Option<Promises>,
    /// Errors in its file; the whole of them is in [`crate::Project::faults`].
    pub faults: usize,
    pub warnings: usize,
    /// The names of its `tests:`.
    pub tests: Vec<String>,
    /// What runs them; `None` where the steps do not compile.
    pub(crate) trial: Option<Trial>,
    /// Its file, for the place of what is found later; `None` where it is not even YAML.
    pub(crate) tree: Option<Node>,
}

impl Channel {
    /// Whether nothing is wrong with it. Warnings do not count.
    pub fn is_sound(&self) -> bool {
        self.faults == 0
    }

    /// A file that is not even YAML.
    pub(crate) fn unread(file: PathBuf, (faults, warnings): (usize, usize)) -> Self {
        let days = |days: u64| Duration::from_hours(24 * days);
        Self {
            name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            file,
            enabled: true,
            description: None,
            tags: Vec::new(),
            plan: None,
            log_file: None,
            ages: Ages { content: days(30), errors: days(90), metadata: days(365) },
            version: Hash::of(&[]),
            promises: None,
            faults,
            warnings,
            tests: Vec::new(),
            trial: None,
            tree: None,
        }
    }
}
