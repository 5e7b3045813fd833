//! Sends each instance to an archive (C-STORE) over associations that are used again.

mod commit;
mod reports;
mod send;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use engine::{Checks, Claim, Destination, DestinationSettings, Doubt, OpenError, Opening};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::{
    commit::{Commitment, Committing},
    send::Sender,
};
use super::{ae::Title, association::Calling, commitment};
use crate::{
    Examine,
    setting::{Address, Period},
    tls::{self, Side, Tls},
};

/// How long an archive that is only tried may take to answer.
const TRY: Duration = Duration::from_secs(5);

/// Sends each message, a DICOM file, by C-STORE, and goes by the status of the answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "connect": "pacs.example.org:104", "ae": "RELAIS", "called_ae": "PACS" }))]
pub(in crate::dicom) struct Settings {
    /// Where to connect.
    connect: Address,

    /// Our AE title.
    #[serde(default)]
    ae: Title,

    /// The archive's AE title.
    called_ae: Title,

    /// What a status of the group A7 (out of resources) means. `wait`: the archive is full, and nothing is given up for
    /// it. `refuse`: it will not take this instance, and the next one goes; some archives, Orthanc among them, answer so
    /// to whatever they cannot store.
    #[serde(default)]
    out_of_resources: OutOfResources,

    /// Has the archive say that it keeps what it took (storage commitment): only then an instance counts as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Commitment", example = serde_json::json!({ "within": "5m", "listen": "0.0.0.0:11113" }))]
    commitment: Option<Commitment>,

    /// How long one attempt may take, from connecting to the answer.
    #[serde(default = "timeout")]
    timeout: Period,

    /// How long connecting and agreeing on an association may take.
    #[serde(default = "connect_timeout")]
    connect_timeout: Period,

    /// TLS: `authorities` to trust (the system's by default) and, where the archive asks for it, `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,

    /// An association that was not used for so long is ended and a new one begun. Archives end idle ones by themselves,
    /// often after half a minute.
    #[serde(default = "idle")]
    idle: Period,

    /// How long a connection is quiet before TCP asks whether the archive is still there.
    #[serde(default = "keep_alive")]
    keep_alive: Period,
}

/// What a status of the group A7 means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum OutOfResources {
    #[default]
    Wait,
    Refuse,
}

fn timeout() -> Period {
    Period::seconds(300)
}

fn connect_timeout() -> Period {
    Period::seconds(10)
}

fn idle() -> Period {
    Period::seconds(10)
}

fn keep_alive() -> Period {
    Period::seconds(60)
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        if let Some(tls) = &self.tls {
            tls.examine(Side::Connects, root, "tls", checks);
        }
        if let Some(tls) = self.commitment.as_ref().and_then(|commitment| commitment.tls.as_ref()) {
            tls.examine(Side::Listens, root, "commitment.tls", checks);
        }
    }
}

#[async_trait]
impl DestinationSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        if let Some(tls) = &self.tls {
            tls.check(Side::Connects, "tls", checks);
        }
        for (name, period) in [("timeout", self.timeout), ("connect_timeout", self.connect_timeout)] {
            if period.0.is_zero() {
                checks.error("period-too-short", name, "no attempt could succeed");
            }
        }
        if let Some(commitment) = &self.commitment {
            commitment.check(checks);
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let listen = self.commitment.as_ref().and_then(|commitment| commitment.listen);
        listen.filter(|listen| listen.0.port() != 0).map(|listen| Claim::Port(listen.0)).into_iter().collect()
    }

    /// The same instance a second time is the same instance.
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        let calling = self.calling(opening)?;
        let committing = match &self.commitment {
            Some(commitment) => {
                Some(Committing::open(commitment, &self.ae, self.keep_alive.0, opening).await?)
            }
            None => None,
        };
        Ok(Box::new(Sender::new(calling, self, committing)))
    }

    /// Has the archive say that it is there (C-ECHO), and whether it commits itself where it is to.
    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let (calling, deadline) = (self.calling(opening)?, Instant::now() + TRY);
        let failed = |why: String| OpenError::new(format!("cannot send to {}: {why}", self.connect));
        calling.echo(deadline).await.map_err(failed)?;
        if self.commitment.is_some() {
            let association = calling.open(&[commitment::sort()], deadline).await;
            let association = association.map_err(|why| failed(why.words))?;
            let is_spoken = association.first().is_some();
            association.release(deadline).await;
            if !is_spoken {
                return Err(failed(commit::unspoken()));
            }
        }
        Ok(())
    }
}

impl Settings {
    fn calling(&self, opening: &Opening) -> Result<Calling, OpenError> {
        let tls = self.tls.as_ref().map(|tls| tls::Connector::new(tls, &opening.root)).transpose();
        let tls = tls.map_err(|why| OpenError::new(format!("cannot connect to {}: {why}", self.connect)))?;
        Ok(Calling {
            address: self.connect.clone(),
            tls,
            ours: self.ae.clone(),
            theirs: self.called_ae.clone(),
            within: self.connect_timeout.0,
            keep_alive: self.keep_alive.0,
            shown: Some(opening.connections.clone()),
        })
    }
}
