//! Writes each message to a file of its own, or adds it to one.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{
    Checks, Destination, DestinationSettings, Doubt, Facts, Note, OpenError, Opening, Outbound, Response,
    SendError,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    append::{self, Turn, Turns},
    folder::Folder,
    name::Name,
    place::Placing,
    rounds::Folders,
};
use crate::{Examine, flow::Existing};

/// Writes messages to files. A file counts as sent once it is durable and in place.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "dir": "out", "name": "${msg[\"MSH-10\"]}.hl7" }))]
pub(super) struct Settings {
    /// The folder, from the project's folder on. One inside the project is made when it is missing.
    #[schemars(length(min = 1))]
    dir: String,

    /// The name of the file; with `/`, in a folder below. It never leads out of `dir`. By default the
    /// message's number and its own mark, with `.msg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("x-template" = true))]
    name: Option<String>,

    /// Adds each message at the end of the file instead of making a new one.
    #[serde(default)]
    append: bool,

    /// What to do when a file of this name holds something else: `number` adds a number to the name, `replace`
    /// puts the new file in its place, `refuse` gives the message up.
    #[serde(default)]
    existing: Existing,
}

impl Examine for Settings {}

#[async_trait]
impl DestinationSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        if self.append && self.name.is_none() {
            checks.error("missing-field", "", "`append` needs the `name` of the file to add to");
        }
    }

    /// The same bytes under the same name are one file; an appended text is looked for where it would stand.
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        let files = Files {
            folder: Folder::new(&opening.root, &self.dir),
            name: self.name.clone(),
            existing: self.existing,
            folders: Arc::default(),
        };
        if self.append {
            Ok(Box::new(Appender { files, turns: Turns::default() }))
        } else {
            Ok(Box::new(files))
        }
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let folder = Folder::new(&opening.root, &self.dir);
        let tried = tokio::task::spawn_blocking(move || folder.try_writing()).await;
        let tried = tried.unwrap_or_else(|error| Err(format!("the work on the disk did not end: {error}")));
        tried.map_err(OpenError::new)
    }
}

/// Writes each message to a file of its own.
struct Files {
    folder: Folder,
    name: Option<String>,
    existing: Existing,
    /// Those that its workers make durable together.
    folders: Arc<Folders>,
}

impl Files {
    fn name(&self, outbound: &Outbound) -> Result<Name, SendError> {
        let usual = || format!("{}-{:.8}.msg", outbound.message, outbound.effect.to_string());
        let written = self.name.clone().unwrap_or_else(usual);
        Name::read(outbound.text("name", &written)).map_err(SendError::refused)
    }

    fn response(&self, name: &str) -> Response {
        let path = format!("{}/{name}", self.folder.shown().trim_end_matches('/'));
        let mut facts = Facts::new();
        facts.insert("name".to_owned(), name.into());
        facts.insert("path".to_owned(), path.into());
        Response { body: None, facts }
    }
}

#[async_trait]
impl Destination for Files {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let name = self.name(outbound)?;
        let (folder, existing, folders) = (self.folder.clone(), self.existing, Arc::clone(&self.folders));
        let (body, hidden) = (outbound.body.clone(), format!(".{:.32}.tmp", outbound.effect.to_string()));
        let placed = blocking(move || {
            let opened = folder.open(&name)?;
            let (folder, opened, folders) = (&folder, &opened, &*folders);
            let placing =
                Placing { folder, opened, folders, hidden, file: &name.file, body: &body, existing };
            placing.run().map(|file| name.with(&file))
        });
        placed.await.map(|name| self.response(&name))
    }
}

/// Adds each message to the end of a file.
struct Appender {
    files: Files,
    turns: Turns,
}

impl Appender {
    async fn turn(&self, outbound: &Outbound) -> Result<Turn, SendError> {
        let name = self.files.name(outbound)?;
        let mut turn = append::open(&self.files.folder, &name).await?;
        let (previous, body) = (outbound.previous.clone(), outbound.body.whole()?);
        blocking(move || {
            turn.recall(previous.as_ref(), &body)?;
            Ok(turn)
        })
        .await
    }
}

#[async_trait]
impl Destination for Appender {
    async fn prepare(&self, outbound: &Outbound) -> Option<Note> {
        // A turn of this delivery that was never used would keep the file from itself.
        drop(self.turns.take(&outbound.effect));
        let turn = self.turn(outbound).await;
        let note = turn.as_ref().ok().and_then(Turn::note);
        self.turns.put(outbound.effect, turn);
        note
    }

    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let turn = match self.turns.take(&outbound.effect) {
            Some(turn) => turn?,
            None => self.turn(outbound).await?,
        };
        let name = self.files.name(outbound)?;
        let body = outbound.body.whole()?;
        blocking(move || turn.write(&body)).await?;
        Ok(self.files.response(&name.with(&name.file)))
    }
}

/// Work on the disk leaves the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SendError> + Send + 'static,
) -> Result<T, SendError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(SendError::unknown(format!("the work on the disk did not end: {error}"))),
    }
}
