//! What a change of a project's files loses, against what a server had in force.

mod channel;
mod destination;
mod words;

use std::path::Path as FilePath;

use engine::{Diagnostic, Path};

use crate::{Channel, Fault, InForce, Project, promises::Promises};

/// Says what the files as they are now lose of what was in force: one note for each promise that is less than before.
///
/// Of channels with faults nothing is said: they do not come into force.
pub fn losses(project: &Project, before: &InForce) -> Vec<Fault> {
    let mut notes = Vec::new();
    for channel in &project.channels {
        let (Some(then), Some(now)) = (before.channels.get(&channel.name), &channel.promises) else {
            continue;
        };
        let change = Change { name: &channel.name, then, now, before };
        for note in change.channel().into_iter().chain(change.destinations()) {
            notes.extend(placed(project, channel, note));
        }
    }
    // A file that could not be read may be the one that holds it.
    if project.channels.iter().all(|channel| channel.promises.is_some()) {
        let is_gone = |name: &str| project.channels.iter().all(|channel| channel.name != name);
        for (name, then) in before.channels.iter().filter(|(name, _)| is_gone(name)) {
            notes.extend(left(project, before, (name, then)));
        }
    }
    notes.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    notes
}

/// One channel before and after.
struct Change<'c> {
    name: &'c str,
    then: &'c Promises,
    now: &'c Promises,
    before: &'c InForce,
}

/// A promise that is less than before: where the file says so, what is lost, and what to do.
struct Note {
    at: Path,
    lost: String,
    advice: String,
}

impl Note {
    fn new(at: Path, lost: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { at, lost: lost.into(), advice: advice.into() }
    }

    fn diagnostic(self) -> Diagnostic {
        Diagnostic::note("change-loses", self.at, self.lost).help(self.advice)
    }
}

fn placed(project: &Project, channel: &Channel, note: Note) -> Option<Fault> {
    Some(project.report.fault(channel.tree.as_ref()?, note.diagnostic()))
}

/// A channel that is in no file any more; under another name, if one has come with the same source.
fn left(project: &Project, before: &InForce, (name, then): (&str, &Promises)) -> Option<Fault> {
    let waiting = before.waits_in(name);
    let is_heir = |channel: &&Channel| {
        let is_new = !before.channels.contains_key(&channel.name);
        let same =
            |now: &Promises| now.file == then.file || (now.claims == then.claims && !now.claims.is_empty());
        is_new && channel.promises.as_ref().is_some_and(same)
    };
    if let Some(heir) = project.channels.iter().find(is_heir) {
        let lost = format!(
            "`{name}` is called `{}` now: {} under the old name, unsent, and copies of what it took are not known",
            heir.name,
            words::stay(waiting)
        );
        let advice = format!("let it keep the name `{name}`, or rename it when nothing waits");
        return placed(project, heir, Note::new(Path::parse("name"), lost, advice));
    }
    if waiting == Some(0) {
        return None;
    }
    let lost = format!("the channel `{name}` is in no file any more: {}, unsent", words::stay(waiting));
    let advice =
        format!("bring the file back to send it; `relais find --channel {name} --state waiting` lists it");
    Some(gone(&then.file, Note::new(Path::default(), lost, advice)))
}

/// A note about a file that is not there.
fn gone(file: &FilePath, note: Note) -> Fault {
    Fault::without_source(file.to_owned(), note.diagnostic())
}

#[cfg(test)]
mod tests;
