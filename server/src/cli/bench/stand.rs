//! What is measured: a project on the disk, and the real server that runs it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{
    Bench,
    child::Child,
    delivered::Delivered,
    place::{self, Folder},
};
use crate::{
    cli::{Complaint, Place},
    client::Client,
};

/// What channels of the project may name as `scripts/ten.rhai`.
pub(super) const SCRIPT: &str = include_str!("ten.rhai");
/// What they may name as `scripts/fhir.rhai`.
pub(super) const FHIR: &str = include_str!("fhir.rhai");

const SETTINGS: &str = "listen: 127.0.0.1:0\nreload: on_command\nlog: { level: error }\n";
/// How often a counter of the server is read.
const READ_EVERY: Duration = Duration::from_millis(50);

/// A channel of the measured project.
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) listen: SocketAddr,
    /// What stands in its file after the source.
    pub(super) rest: String,
}

impl Channel {
    /// The one channel of most scenarios, on a port of its own.
    pub(super) fn measured(rest: impl Into<String>) -> Result<Self, Complaint> {
        Self::named("measured", rest)
    }

    pub(super) fn named(name: impl Into<String>, rest: impl Into<String>) -> Result<Self, Complaint> {
        Ok(Self { name: name.into(), listen: super::ports::free(1)?[0], rest: rest.into() })
    }

    /// As many connections as the load opens may come from one address.
    fn file(&self) -> String {
        let Self { name, listen, rest } = self;
        format!(
            "name: {name}\nsource:\n  mllp: {{ listen: \"{listen}\", connections: 5000, \
             connections_per_address: 5000 }}\n{rest}"
        )
    }

    pub(super) fn write(&self, root: &Path) -> Result<(), Complaint> {
        fs::write(root.join(format!("channels/{}.yaml", self.name)), self.file()).map_err(unwritten)
    }
}

/// A running server with its folder.
pub(super) struct Stand {
    child: Option<Child>,
    folder: Folder,
}

impl Stand {
    pub(super) async fn begin(bench: &Bench, channels: &[Channel]) -> Result<Self, Complaint> {
        let folder = Folder::make(&bench.folder)?;
        for part in ["channels", "scripts"] {
            fs::create_dir_all(folder.0.join(part)).map_err(unwritten)?;
        }
        fs::write(folder.0.join("relais.yaml"), SETTINGS).map_err(unwritten)?;
        for (name, script) in [("ten", SCRIPT), ("fhir", FHIR)] {
            fs::write(folder.0.join(format!("scripts/{name}.rhai")), script).map_err(unwritten)?;
        }
        for channel in channels {
            channel.write(&folder.0)?;
        }
        let mut stand = Self { child: None, folder };
        stand.start(&[]).await?;
        Ok(stand)
    }

    /// Starts the server, with more words for `relais run`.
    pub(super) async fn start(&mut self, words: &[&str]) -> Result<(), Complaint> {
        let all = [&["run", "."], words].concat();
        self.child = Some(Child::start(&all, &self.folder.0).await?);
        Ok(())
    }

    /// Stops the server; the folder stays.
    pub(super) async fn stop(&mut self) -> Result<(), Complaint> {
        match self.child.take() {
            Some(child) => child.stop().await,
            None => Ok(()),
        }
    }

    pub(super) fn child(&self) -> &Child {
        self.child.as_ref().expect("a scenario asks the server that it has started")
    }

    pub(super) fn root(&self) -> &Path {
        &self.folder.0
    }

    pub(super) fn store(&self) -> PathBuf {
        self.folder.0.join("data")
    }

    /// What the store takes on the disk.
    pub(super) fn stored_bytes(&self) -> Result<u64, Complaint> {
        place::occupied(&self.store())
            .map_err(|error| Complaint::wrong(format!("cannot look at the store: {error}")))
    }

    pub(super) fn client(&self) -> Result<Client, Complaint> {
        Client::reach(&Place {
            project: Some(self.root().to_owned()),
            server: None,
            token: None,
            authorities: None,
        })
    }

    /// Tells `delivered` what the destination `out` of the measured channel has sent, until the task is dropped.
    pub(super) fn follow_sent(&self, delivered: Arc<Delivered>) -> Result<Following, Complaint> {
        let url = format!("{}/metrics", self.client()?.address());
        let http = reqwest::Client::builder().no_proxy().build();
        let http = http.map_err(|error| Complaint::wrong(format!("cannot speak HTTP: {error}")))?;
        Ok(Following(tokio::spawn(async move {
            loop {
                if let Ok(answer) = http.get(&url).send().await
                    && let Ok(page) = answer.text().await
                {
                    delivered.reach(super::child::number_after(&page, SENT));
                }
                tokio::time::sleep(READ_EVERY).await;
            }
        })))
    }
}

const SENT: &str = "relais_deliveries_total{channel=\"measured\",destination=\"out\",outcome=\"sent\"}";

/// A task that ends when this is dropped.
pub(super) struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn unwritten(error: std::io::Error) -> Complaint {
    Complaint::wrong(format!("cannot write the measured project: {error}"))
}
