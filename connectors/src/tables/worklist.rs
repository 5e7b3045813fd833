//! A modality worklist as a table.

use std::{path::Path as FilePath, time::Duration};

use async_trait::async_trait;
use engine::{Checks, LookupError};
use formats::dicom::Path;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use super::{Holder, Misses, Row, Shape, not_now, timeout, wrong};
use crate::{
    dicom::{Calling, Title, Unfound, Worklist},
    setting::{Address, Period},
    tls::{self, Side, Tls},
};

/// How long a connection is quiet before TCP asks whether the other side is still there.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// Asks a modality worklist (C-FIND): the entry that has the keys is the row.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Where to connect: `ris.example.org:104`.
    connect: Address,

    /// Our AE title.
    #[serde(default)]
    ae: Title,

    /// The worklist's AE title.
    called_ae: Title,

    /// What a lookup says, all of it: elements by keyword or tag, through sequences.
    #[schemars(example = serde_json::json!(["AccessionNumber"]))]
    keys: Vec<String>,

    /// What an entry is asked for, likewise.
    #[schemars(example = serde_json::json!(["StudyInstanceUID", "ScheduledProcedureStepSequence.ScheduledStationAETitle"]))]
    columns: Vec<String>,

    /// How long one answer may take. The message waits.
    #[serde(default = "timeout")]
    timeout: Period,

    /// TLS: `authorities` to trust (the system's by default) and, where the worklist asks for it, `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,
}

impl Settings {
    pub(super) fn check(&self, root: &FilePath, checks: &mut Checks<'_>) {
        let mut checks = checks.within("dicom");
        for (name, texts) in [("keys", &self.keys), ("columns", &self.columns)] {
            if texts.is_empty() {
                checks.error("wrong-value", name, "names no element");
            }
            for (place, text) in texts.iter().enumerate() {
                if let Err(error) = Path::parse(text) {
                    checks.error("wrong-value", &format!("{name}.{place}"), error.to_string());
                }
            }
        }
        if let Some(tls) = &self.tls {
            tls.check(Side::Connects, "tls", &mut checks);
            tls.examine(Side::Connects, root, "tls", &mut checks);
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout.0
    }

    pub(super) fn shape(&self) -> Shape {
        Shape {
            keys: self.keys.clone(),
            columns: Some(self.columns.clone()),
            source: format!("{} at {}", self.called_ae, self.connect),
            misses: Misses::AreEmpty,
        }
    }

    pub(super) fn holder(self, root: &FilePath) -> Result<Asking, String> {
        let tls = self.tls.as_ref().map(|tls| tls::Connector::new(tls, root)).transpose()?;
        let columns = self.columns.into_iter().map(|text| read(&text).map(|path| (text, path)));
        let columns = columns.collect::<Result<_, _>>()?;
        let calling = Calling {
            address: self.connect,
            tls,
            ours: self.ae,
            theirs: self.called_ae,
            within: self.timeout.0,
            keep_alive: KEEP_ALIVE,
            shown: None,
        };
        Ok(Asking { worklist: Worklist::new(calling), columns, timeout: self.timeout.0 })
    }
}

/// A worklist that is asked, over an association for each question.
pub(super) struct Asking {
    worklist: Worklist,
    columns: Vec<(String, Path)>,
    timeout: Duration,
}

fn read(text: &str) -> Result<Path, String> {
    Path::parse(text).map_err(|error| error.to_string())
}

#[async_trait]
impl Holder for Asking {
    async fn row(&self, keys: &[(String, String)]) -> Result<Option<Row>, LookupError> {
        // An empty key would be anything's.
        if keys.iter().any(|(_, text)| text.trim().is_empty()) {
            return Ok(None);
        }
        let keys = keys.iter().map(|(name, text)| read(name).map(|path| (path, text.clone())));
        let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(wrong)?;
        let paths: Vec<Path> = self.columns.iter().map(|(_, path)| path.clone()).collect();
        let found = self.worklist.find(&keys, &paths, Instant::now() + self.timeout).await;
        let mut found = found.map_err(|unfound| match unfound {
            Unfound::NotNow(why) => not_now(why),
            Unfound::Wrong(why) => wrong(why),
        })?;
        let Some(texts) = found.pop() else { return Ok(None) };
        if !found.is_empty() {
            return Err(wrong("the worklist has several entries: nobody could say which is meant"));
        }
        let named = self.columns.iter().map(|(name, _)| name.clone());
        Ok(Some(
            named.zip(texts.into_iter().map(|text| Some(text).filter(|text| !text.is_empty()))).collect(),
        ))
    }

    async fn reach(&self) -> Result<(), String> {
        self.worklist.reach(Instant::now() + self.timeout).await
    }
}
