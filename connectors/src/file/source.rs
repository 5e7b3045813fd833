//! Takes the files of a folder of this machine, as they come.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use engine::{Backlog, Checks, Claim, Facts, Inlet, OpenError, Opening, Source, SourceSettings, Stop};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind, RenameMode},
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;

use super::{folder::Folder, here::Here};
use crate::{
    Examine,
    flow::{Desk, Flow, Folders, Parts, Taking, place::Location},
};

/// Takes the files of a folder, each once: whole, in order, and put away by what became of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "dir": "in", "pattern": "*.hl7", "done": "done", "refused": "refused", "failed": "failed" }))]
pub(super) struct Settings {
    /// The folder, from the project's folder on. One inside the project is made when it is missing.
    #[schemars(length(min = 1))]
    dir: String,

    #[serde(flatten)]
    taking: Taking,
}

impl Examine for Settings {}

impl Settings {
    fn folders(&self) -> Folders {
        self.taking.folders(&self.dir, Location::new)
    }

    fn parts(&self, opening: &Opening) -> Parts {
        let mut facts = Facts::new();
        facts.insert("connector".to_owned(), "file".into());
        facts.insert("dir".to_owned(), self.dir.as_str().into());
        Parts {
            place: Arc::new(Here { root: opening.root.clone() }),
            taking: self.taking.clone(),
            folders: self.folders(),
            shown: self.dir.clone(),
            filtered: opening.words.filtered,
            facts,
            notes: opening.notes.clone(),
            trouble: opening.trouble.clone(),
            desk: Desk::of(opening),
        }
    }
}

#[async_trait]
impl SourceSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        self.taking.check(checks);
        let folders = self.folders();
        for (name, folder) in folders.beside() {
            if folder.to_string().trim_end_matches('/') == self.dir.trim_end_matches('/') {
                checks.error(
                    "wrong-value",
                    name,
                    format!("`{name}` is the folder that files are taken from"),
                );
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let path = Path::new(&self.dir).components().collect();
        vec![Claim::Folder { path, names: self.taking.names().to_vec() }]
    }

    fn usual_format(&self) -> &'static str {
        "hl7"
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        Ok(Box::new(Watched {
            parts: self.parts(opening),
            folder: Folder::new(&opening.root, &self.dir),
            path: opening.root.join(&self.dir),
        }))
    }

    fn backlog(&self, opening: &Opening) -> Option<Arc<dyn Backlog>> {
        Some(Arc::new(self.parts(opening).shelf(&opening.channel)))
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let mut folders = vec![(Folder::new(&opening.root, &self.dir), self.taking.leaves())];
        for (_, folder) in self.folders().beside() {
            folders.push((Folder::new(&opening.root, &folder.to_string()), false));
        }
        let trying = tokio::task::spawn_blocking(move || {
            folders.into_iter().try_for_each(|(folder, only_read)| {
                if only_read { folder.try_reading() } else { folder.try_writing() }
            })
        });
        let tried =
            trying.await.unwrap_or_else(|error| Err(format!("the work on the disk did not end: {error}")));
        tried.map_err(OpenError::new)
    }
}

/// A folder that is looked into again and again, and as soon as something comes.
struct Watched {
    parts: Parts,
    folder: Folder,
    path: std::path::PathBuf,
}

#[async_trait]
impl Source for Watched {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let Self { parts, folder, path } = *self;
        let (bell, mode) = (Arc::clone(&parts.desk.bell), depth(&parts.taking));
        let watching = tokio::task::spawn_blocking(move || {
            // Looking finds a missing folder again, and says so.
            let _ = folder.opened();
            watch(&path, mode, bell)
        });
        let watcher = watching.await.ok().flatten();
        if watcher.is_none() {
            tracing::info!(
                channel = inlet.channel(),
                "the system does not watch the folder; it is looked into by the clock alone"
            );
        }
        Flow::run(parts, inlet, stop).await
    }
}

fn depth(taking: &Taking) -> RecursiveMode {
    if taking.is_recursive() { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive }
}

/// Rings the bell when a file comes or is ended. `None` where the system cannot: shares, or no watches left.
fn watch(path: &Path, mode: RecursiveMode, bell: Arc<Notify>) -> Option<RecommendedWatcher> {
    let heard = move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| is_news(&event)) {
            bell.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(heard).ok()?;
    watcher.watch(path, mode).ok()?;
    Some(watcher)
}

/// What we do ourselves, hidden, is none.
fn is_news(event: &Event) -> bool {
    let comes = matches!(
        event.kind,
        EventKind::Create(_)
            | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both))
            | EventKind::Access(AccessKind::Close(AccessMode::Write))
    );
    let name = event.paths.last().and_then(|path| path.file_name());
    comes && name.is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
}
