//! Sends each instance to an archive (C-STORE) over associations that are used again.

mod send;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use engine::{Checks, Destination, DestinationSettings, Doubt, OpenError, Opening};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::send::Sender;
use super::{ae::Title, association::Calling};
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
    }

    /// The same instance a second time is the same instance.
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(Sender::new(self.calling(opening)?, self)))
    }

    /// Has the archive say that it is there (C-ECHO).
    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let echoed = self.calling(opening)?.echo(Instant::now() + TRY).await;
        echoed.map_err(|why| OpenError::new(format!("cannot send to {}: {why}", self.connect)))
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
