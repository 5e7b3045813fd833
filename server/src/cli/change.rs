//! What the files of a project lose against what is in force, for `relais check`.

use std::fmt::Write as _;

use channels::{Fault, InForce, Project};

use super::{Complaint, Place};
use crate::{client::Client, in_force};

/// What comes of the comparison.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) notes: Vec<Fault>,
    /// What it was compared with; or why it was not.
    words: String,
}

/// Compares a sound project with the running server's version, or with the one its last server had.
pub(super) async fn against(
    project: &Project,
    environment: Option<&str>,
    place: &Place,
) -> Result<Change, Complaint> {
    let (before, whose) = if place.server.is_some() {
        (Client::reach(place)?.get(&["promises"], &[]).await?, "that server")
    } else {
        match beside(project).await {
            Some(before) => before,
            None => return Ok(Change::default()),
        }
    };
    if before.environment.as_deref() != environment {
        let words = match &before.environment {
            Some(name) => format!("{whose} has `--environment {name}`: say it here too"),
            None => format!("{whose} has no `--environment`: leave it out"),
        };
        return Ok(Change { notes: Vec::new(), words: format!("{words}, to see what the change loses\n") });
    }
    let notes = channels::losses(project, &before);
    let words = format!("against {whose}, the change loses:\n");
    Ok(Change { words: if notes.is_empty() { String::new() } else { words }, notes })
}

/// What runs now; else what ran last.
async fn beside(project: &Project) -> Option<(InForce, &'static str)> {
    let folder = project.root.join(&project.settings.store.path);
    if let Some(client) = Client::of_store(&folder)
        && let Ok(before) = client.get(&["promises"], &[]).await
    {
        return Some((before, "the running server"));
    }
    let before = in_force::read(&folder)?;
    Some((InForce { waiting: store::waiting(&folder), ..before }, "what ran last"))
}

impl Change {
    /// A line each, for people.
    pub(super) fn told(&self) -> String {
        if self.words.is_empty() {
            return String::new();
        }
        let mut text = format!("\n{}", self.words);
        for note in &self.notes {
            let _ = writeln!(text, "  {}", in_force::line(note));
        }
        text
    }
}
