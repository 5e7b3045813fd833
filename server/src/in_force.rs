//! What a server has in force, written beside its store: what a later change is told by, also while no server runs.

use std::{fs, io, path::Path};

use channels::{Fault, InForce, Project};

use crate::key::write_for_owner;

pub(crate) const FILE: &str = "in-force.json";

/// What the server with its store in `folder` has in force, or had when it ended.
pub(crate) fn read(folder: &Path) -> Option<InForce> {
    serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()
}

pub(crate) fn write(folder: &Path, in_force: &InForce) -> io::Result<()> {
    write_for_owner(&folder.join(FILE), &serde_json::to_string(in_force)?)
}

/// Puts what a project promises in the place of what was promised before: of all its channels, or of one.
///
/// Of a channel with faults the promises stay that were kept before, for when it is repaired.
pub(crate) fn renew(in_force: &mut InForce, project: &Project, only: Option<&str>) {
    let meant = |name: &str| only.is_none_or(|only| only == name);
    // A file that could not be read may be the one that holds it.
    let all_read = project.channels.iter().all(|channel| channel.promises.is_some());
    let stands = |name: &str| project.channels.iter().any(|channel| channel.name == name);
    in_force.channels.retain(|name, _| !meant(name) || !all_read || stands(name));
    for channel in project.channels.iter().filter(|channel| meant(&channel.name)) {
        if let Some(promises) = &channel.promises {
            in_force.channels.insert(channel.name.clone(), promises.clone());
        }
    }
}

/// A note in one line: where, what is lost, and what to do.
pub(crate) fn line(note: &Fault) -> String {
    let advice = note.diagnostic.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{}:{}: {}{advice}", note.file.display(), note.line, note.diagnostic.message)
}

/// Says in the log what a change has lost.
pub(crate) fn log(notes: &[Fault]) {
    for note in notes {
        let place = format!("{}:{}", note.file.display(), note.line);
        let advice = note.diagnostic.help.as_deref().unwrap_or_default();
        tracing::warn!(place, advice, "{}", note.diagnostic.message);
    }
}
