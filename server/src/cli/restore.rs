//! `relais restore`: brings a backup back.

use std::path::PathBuf;

use super::{Complaint, Ending, Exit, Place, backup::store_folder, say};
use crate::terminal::{counted, sized};

/// Bring a backup into the project's store, which must be empty or not there.
///
/// Every file is compared with the hash that the backup has of it. What was sent after the backup was taken is sent again.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder that `relais backup` wrote
    dir: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, place: &Place) -> Ending {
    let folder = store_folder(place)?;
    let saved = store::restore(&arguments.dir, &folder).map_err(|error| Complaint::wrong(error.0))?;
    let files = counted(saved.files, "file");
    say(format_args!("{}: {files}, {}; start it with `relais run`\n", folder.display(), sized(saved.bytes)));
    Ok(Exit::Done)
}
