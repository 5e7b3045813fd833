//! `relais backup`: a copy of the store as it is at one instant, while everything runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use channels::{Options, Project, Secrets};
use serde_json::json;
use store::{Directory, Saved, Sqlite};

use super::{Complaint, Ending, Exit, Place, say};
use crate::{
    beside,
    client::Client,
    terminal::{counted, sized},
};

/// Copy the store as it is at this moment into an empty folder; messages are taken and delivered meanwhile.
///
/// The running server writes the copy, so that DIR lies on its machine; without one, this command does.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the copy goes: an empty folder, or one to be made
    dir: PathBuf,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let saved = if place.server.is_some() {
        through(&Client::reach(place)?, &arguments.dir).await?
    } else {
        let folder = store_folder(place)?;
        let dir = std::path::absolute(&arguments.dir).map_err(Complaint::wrong)?;
        match Client::of_store(&folder) {
            Some(client) => through(&client, &dir).await?,
            None => directly(&folder, &dir).await?,
        }
    };
    let files = counted(saved.files, "file");
    say(format_args!("{}: {files}, {}\n", arguments.dir.display(), sized(saved.bytes)));
    Ok(Exit::Done)
}

async fn through(client: &Client, dir: &Path) -> Result<Saved, Complaint> {
    client.post_patiently(&["backup"], &json!({ "dir": dir })).await
}

/// Opens the store as a server would: what was under way when the last one ended is in doubt.
async fn directly(folder: &Path, dir: &Path) -> Result<Saved, Complaint> {
    if !folder.is_dir() {
        return Err(Complaint::wrong(format!("there is no store in {}", folder.display())));
    }
    let store = Sqlite::open(folder).map_err(Complaint::wrong)?;
    let directory = Arc::new(Directory::open(folder).map_err(Complaint::wrong)?);
    store.backup(dir, beside::of(&directory)).await.map_err(|error| Complaint::wrong(error.0))
}

/// The folder of the project's store.
pub(super) fn store_folder(place: &Place) -> Result<PathBuf, Complaint> {
    let options = Options { secrets: Secrets::TakenAsPresent, ..Options::default() };
    let project = project_of(place, &options)?;
    Ok(project.root.join(&project.settings.store.path))
}

pub(super) fn project_of(place: &Place, options: &Options) -> Result<Project, Complaint> {
    let root = place.root(None);
    if !root.is_dir() {
        return Err(Complaint::misused(format!("there is no folder {}", root.display())));
    }
    Ok(channels::load(&root, options))
}
