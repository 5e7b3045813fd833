//! Writes each message to a file of its own on a server.

use std::path::Path;

use async_trait::async_trait;
use engine::{
    Checks, Destination, DestinationSettings, Doubt, Facts, OpenError, Opening, Outbound, Response, SendError,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{place::Remote, putting::Putting, server::Server, source::shared};
use crate::{
    Examine,
    file::name::Name,
    flow::{Existing, place::Location},
};

/// Writes messages to files on a server. A file counts as sent once it is whole and has its name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "host": "files.example.org", "user": "relais", "password": "${file:secrets/files}",
    "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
    "dir": "out", "name": "${msg[\"MSH-10\"]}.hl7"
}))]
pub(super) struct Settings {
    #[serde(flatten)]
    server: Server,

    /// The folder on the server: from the user's own folder on, or its whole path. It has to be there.
    #[schemars(length(min = 1))]
    dir: String,

    /// The name of the file; with `/`, in a folder below, made when it is missing. It never leads out of `dir`. By default
    /// the message's number and its own mark, with `.msg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("x-template" = true))]
    name: Option<String>,

    /// What to do when a file of this name holds something else: `number` adds a number to the name, `replace`
    /// puts the new file in its place, `refuse` gives the message up.
    #[serde(default)]
    existing: Existing,
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        self.server.examine(root, checks);
    }
}

#[async_trait]
impl DestinationSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        self.server.check(checks);
    }

    /// The same bytes under the same name are one file.
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(Files {
            remote: Remote::new(shared(&self.server, opening)).shown(&opening.connections),
            dir: Location::new(&self.dir),
            name: self.name.clone(),
            existing: self.existing,
        }))
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        super::source::reach(&self.server, opening, &[Location::new(&self.dir)]).await
    }

    async fn spoken(&self, opening: &Opening) -> Option<String> {
        super::source::spoken(&self.server, opening).await
    }
}

struct Files {
    remote: Remote,
    dir: Location,
    name: Option<String>,
    existing: Existing,
}

#[async_trait]
impl Destination for Files {
    async fn send(&self, outbound: &Outbound) -> Result<Response, SendError> {
        let usual = || format!("{}-{:.8}.msg", outbound.message, outbound.effect.to_string());
        let written = self.name.clone().unwrap_or_else(usual);
        let name = Name::read(outbound.text("name", &written)).map_err(SendError::refused)?;
        let hidden = format!(".{:.32}.tmp", outbound.effect.to_string());
        let putting = Putting {
            remote: &self.remote,
            dir: &self.dir,
            name: &name,
            hidden: &hidden,
            body: &outbound.body,
            existing: self.existing,
        };
        let got = name.with(&putting.run().await?);
        let mut facts = Facts::new();
        facts.insert("host".to_owned(), self.remote.link.server().host.as_str().into());
        facts.insert(
            "path".to_owned(),
            format!("{}/{got}", self.dir.to_string().trim_end_matches('/')).into(),
        );
        facts.insert("name".to_owned(), got.into());
        Ok(Response { body: None, facts })
    }
}
