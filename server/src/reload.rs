//! Watches the project's files, and brings them into force once they have been still.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::{
    fleet::{Changes, Deployment, Fleet},
    in_force,
};

/// How long the files must have been still: an editor or a copy may still be writing.
const STILL: Duration = Duration::from_secs(1);

/// What of a project is watched; its store changes all the time.
const FOLDERS: [&str; 6] = ["channels", "scripts", "tables", "environments", "sources", "alerts"];

/// The files of a project under watch. Begun before they are first read, so that no change falls between.
pub(crate) struct Watch {
    root: PathBuf,
    watcher: RecommendedWatcher,
    changed: mpsc::UnboundedReceiver<()>,
}

impl Watch {
    pub(crate) fn begin(root: &Path) -> notify::Result<Self> {
        let root = root.canonicalize()?;
        let (tell, changed) = mpsc::unbounded_channel();
        let watcher = watch(&root, tell)?;
        Ok(Self { root, watcher, changed })
    }

    /// Reloads when files change, until the task is dropped.
    pub(crate) async fn reload(mut self, fleet: Arc<Fleet>) {
        while self.changed.recv().await.is_some() {
            // Each further change begins the wait anew.
            while let Ok(Some(())) = tokio::time::timeout(STILL, self.changed.recv()).await {}
            // A folder may have come, or been put in place of another.
            watch_folders(&mut self.watcher, &self.root);
            deploy_all(&fleet).await;
        }
    }
}

/// Brings the files into force and says in the log what came of it.
pub(crate) async fn deploy_all(fleet: &Fleet) {
    match fleet.deploy(None, None).await {
        Ok(Deployment::InForce(changes)) => say(&changes),
        Ok(Deployment::Refused(faults)) => {
            for fault in &faults {
                let place = format!("{}:{}:{}", fault.file.display(), fault.line, fault.column);
                tracing::warn!(place, code = fault.diagnostic.code, "{}", fault.diagnostic.message);
            }
            tracing::warn!(
                faults = faults.len(),
                "the files changed and are not in force; the version before goes on"
            );
        }
        Err(error) => tracing::warn!(%error, "cannot bring the files into force"),
    }
}

fn say(changes: &Changes) {
    for change in &changes.made {
        tracing::info!("{change}");
    }
    in_force::log(&changes.losses);
    for setting in &changes.wait_for_restart {
        tracing::warn!(setting, "changed in relais.yaml, and takes effect when the server is restarted");
    }
}

fn watch(root: &Path, tell: mpsc::UnboundedSender<()>) -> notify::Result<RecommendedWatcher> {
    let within = root.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours = match event {
            Ok(event) => !event.kind.is_access() && event.paths.iter().any(|path| counts(&within, path)),
            // Events may have been lost: look.
            Err(_) => true,
        };
        if ours {
            let _ = tell.send(());
        }
    })?;
    watcher.watch(root, RecursiveMode::NonRecursive)?;
    watch_folders(&mut watcher, root);
    Ok(watcher)
}

fn watch_folders(watcher: &mut RecommendedWatcher, root: &Path) {
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        if folder.is_dir()
            && let Err(error) = watcher.watch(&folder, RecursiveMode::Recursive)
        {
            tracing::warn!(folder = %folder.display(), %error, "cannot watch a folder of the project");
        }
    }
}

fn counts(root: &Path, path: &Path) -> bool {
    let within: PathBuf = path.strip_prefix(root).unwrap_or(path).to_owned();
    within == Path::new("relais.yaml") || FOLDERS.iter().any(|folder| within.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_project_is_made_of_counts() {
        let root = Path::new("/project");
        for file in ["relais.yaml", "channels/a.yaml", "scripts/deep/b.rhai", "tables", "environments/x.yaml"]
        {
            assert!(counts(root, &root.join(file)), "{file} does not count");
        }
        for file in ["data/relais.db-wal", "out/x.hl7", "README.md", "channels.yaml"] {
            assert!(!counts(root, &root.join(file)), "{file} counts");
        }
    }
}
