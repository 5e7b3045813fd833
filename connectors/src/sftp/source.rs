//! Takes the files of a folder on a server, as they come.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use engine::{Backlog, Checks, Claim, Facts, Inlet, OpenError, Opening, Source, SourceSettings, Stop};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    link::Link,
    place::{Remote, beneath},
    server::Server,
};
use crate::{
    Examine,
    flow::{
        Desk, Flow, Folders, Parts, Taking,
        place::{Location, Place as _},
    },
};

/// Takes the files of a folder on a server, each once: whole, in order, and put away by what became of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "host": "files.example.org", "user": "relais", "password": "${file:secrets/files}",
    "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
    "dir": "in", "pattern": "*.hl7", "done": "done", "refused": "refused", "failed": "failed"
}))]
pub(super) struct Settings {
    #[serde(flatten)]
    server: Server,

    /// The folder on the server: from the user's own folder on, or its whole path. Other folders that do not begin with `/`
    /// lie in it.
    #[schemars(length(min = 1))]
    dir: String,

    #[serde(flatten)]
    taking: Taking,
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        self.server.examine(root, checks);
    }
}

impl Settings {
    fn folders(&self) -> Folders {
        self.taking.folders(&self.dir, |folder| beneath(&self.dir, folder))
    }

    fn parts(&self, remote: Remote, opening: &Opening) -> Parts {
        let mut facts = Facts::new();
        for (name, value) in [
            ("connector", "sftp"),
            ("host", &self.server.host),
            ("user", &self.server.user),
            ("dir", &self.dir),
        ] {
            facts.insert(name.to_owned(), value.into());
        }
        Parts {
            place: Arc::new(remote),
            taking: self.taking.clone(),
            folders: self.folders(),
            shown: format!("{} on {}", self.dir, self.server.address()),
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
        self.server.check(checks);
        self.taking.check(checks);
    }

    fn claims(&self) -> Vec<Claim> {
        let Server { user, .. } = &self.server;
        let path = PathBuf::from(format!("sftp://{user}@{}/{}", self.server.address(), self.dir));
        vec![Claim::Folder { path, names: self.taking.names().to_vec() }]
    }

    fn usual_format(&self) -> &'static str {
        "hl7"
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        let remote = Remote::new(shared(&self.server, opening)).shown(&opening.connections);
        Ok(Box::new(Polled(self.parts(remote, opening))))
    }

    fn backlog(&self, opening: &Opening) -> Option<Arc<dyn Backlog>> {
        // A look at what lies there is shown no connection: the source is.
        let remote = Remote::new(shared(&self.server, opening));
        Some(Arc::new(self.parts(remote, opening).shelf(&opening.channel)))
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        reach(&self.server, opening, &[Location::new(&self.dir)]).await
    }

    async fn spoken(&self, opening: &Opening) -> Option<String> {
        spoken(&self.server, opening).await
    }
}

/// The connection of all channels of this server that go to the same one as the same user.
pub(super) fn shared(server: &Server, opening: &Opening) -> Arc<Link> {
    opening.shares.of(server.identity(), || Link::new(server.clone(), opening.root.clone()))
}

/// Signs in by a connection of its own, and lists the folders.
pub(super) async fn reach(server: &Server, opening: &Opening, folders: &[Location]) -> Result<(), OpenError> {
    let link = Arc::new(Link::new(server.clone(), opening.root.clone()));
    let remote = Remote::new(link);
    remote.session().await.map_err(|fault| OpenError::new(fault.to_string()))?;
    for folder in folders {
        remote.list(folder, &mut |_| {}).await.map_err(|fault| OpenError::new(fault.to_string()))?;
    }
    Ok(())
}

/// What is spoken with the server.
pub(super) async fn spoken(server: &Server, opening: &Opening) -> Option<String> {
    let link = Link::new(server.clone(), opening.root.clone());
    let spoken = link.try_out().await.ok()?;
    Some(format!("spoken with {}: {spoken}", server.address()))
}

/// A folder that is looked into by the clock.
struct Polled(Parts);

#[async_trait]
impl Source for Polled {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        Flow::run(self.0, inlet, stop).await
    }
}
