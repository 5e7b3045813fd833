//! `relais restore`: brings a backup back.

use std::{fmt::Write as _, path::PathBuf};

use channels::{Options, Project, Secrets};
use store::Comes;

use super::{Complaint, Ending, Exit, Place, backup::project_of, say};
use crate::terminal::{counted, sized};

/// Bring a backup into the project's store, which must be empty or not there.
///
/// Every file is compared with the hash that the backup has of it. What was sent after the backup was taken is sent again,
/// unless it comes held.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder that `relais backup` wrote
    dir: PathBuf,
    /// Hold every destination: nothing is sent until `relais release`
    #[arg(long)]
    hold: bool,
}

pub(crate) fn run(arguments: &Arguments, place: &Place) -> Ending {
    let project = project_of(place, &Options { secrets: Secrets::TakenAsPresent, ..Options::default() })?;
    let folder = project.root.join(&project.settings.store.path);
    let comes = if arguments.hold { Comes::Held(destinations(&project)) } else { Comes::AsItWas };
    let saved = store::restore(&arguments.dir, &folder, &comes).map_err(|error| Complaint::wrong(error.0))?;
    let files = counted(saved.files, "file");
    let mut words =
        format!("{}: {files}, {}; start it with `relais run`\n", folder.display(), sized(saved.bytes));
    if arguments.hold {
        let _ = writeln!(
            words,
            "every destination is held: look at `relais find --state waiting`, drop what arrived, then `relais release`"
        );
    }
    say(words);
    Ok(Exit::Done)
}

/// Channel and name of each that stands in the files.
fn destinations(project: &Project) -> Vec<(String, String)> {
    let named = project.channels.iter().filter_map(|channel| Some((channel, channel.promises.as_ref()?)));
    named
        .flat_map(|(channel, promises)| {
            promises.destinations().map(|name| (channel.name.clone(), name.to_owned()))
        })
        .collect()
}
