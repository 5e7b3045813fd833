//! Everything that a project's code may use: its scripts, its tables, and what Relais ships.

use std::{collections::BTreeSet, path::Path};

use crate::FileDiagnostic;

/// Loaded once for a project and shared by its channels.
#[derive(Clone)]
pub struct Library {}

/// The scripts and tables that one channel uses, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// `scripts/clean.rhai`, `relais/hl7`.
    pub scripts: BTreeSet<String>,
    /// `wards`.
    pub tables: BTreeSet<String>,
}

impl Library {
    /// Reads `scripts/*.rhai` and `tables/*.csv` of a project; says everything that is wrong with them.
    pub fn load(root: &Path) -> (Library, Vec<FileDiagnostic>) {
        let _ = root;
        unimplemented!()
    }

    /// The texts of these scripts and tables, each under its name: part of what makes a channel's version.
    pub fn version_text(&self, uses: &Uses) -> String {
        let _ = uses;
        unimplemented!()
    }
}
