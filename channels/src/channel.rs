//! One channel of a project, as its file describes it.

use std::path::PathBuf;

use engine::{Ages, Hash, Plan};

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
    /// Names its file and every script, table and source it uses.
    pub version: Hash,
    /// Errors in its file; the whole of them is in [`crate::Project::faults`].
    pub faults: usize,
    pub warnings: usize,
    /// The names of its `tests:`.
    pub tests: Vec<String>,
}

impl Channel {
    /// Whether nothing is wrong with it. Warnings do not count.
    pub fn is_sound(&self) -> bool {
        self.faults == 0
    }
}
