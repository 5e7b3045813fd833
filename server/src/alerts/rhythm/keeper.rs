//! The rhythms of all channels, kept beside the store.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{Place, Rhythm};
use crate::{key::write_for_owner, terminal::lasting};

pub(crate) const RHYTHMS: &str = "rhythms.json";

/// A look that comes later than this was none: the machine slept, or the clock was set.
const LONGEST: f64 = 120.0;

/// The rhythms of a server, and what each channel had received at the last look.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Keeper {
    rhythms: BTreeMap<String, Rhythm>,
    /// When the last message of each came, or when it was first looked at.
    last: BTreeMap<String, Timestamp>,
    #[serde(skip)]
    received: BTreeMap<String, (Timestamp, u64)>,
    #[serde(skip)]
    file: PathBuf,
    #[serde(skip)]
    zone: Option<TimeZone>,
}

/// How the rhythm of a channel stands.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Standing {
    pub(crate) silent_seconds: f64,
    pub(crate) usual_per_hour: f64,
    pub(crate) missed: f64,
    pub(crate) limit: Option<f64>,
    pub(crate) words: String,
}

impl Keeper {
    pub(crate) fn open(folder: &Path, zone: TimeZone) -> Self {
        let file = folder.join(RHYTHMS);
        let read = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        Self { file, zone: Some(zone), ..read.unwrap_or_default() }
    }

    /// Looks at a channel that runs. Says for how long nothing has come, if that is longer than its rhythm explains.
    pub(crate) fn look(&mut self, channel: &str, received: u64, now: Timestamp) -> Option<Standing> {
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let before = self.received.insert(channel.to_owned(), (now, received));
        let has_come = before.map_or(received > 0, |(_, before)| received > before);
        if has_come || !self.last.contains_key(channel) {
            self.last.insert(channel.to_owned(), now);
        }
        let (then, before) = before?;
        let seconds = now.duration_since(then).as_secs_f64();
        let rhythm = self.rhythms.entry(channel.to_owned()).or_default();
        if (0.0..LONGEST).contains(&seconds) {
            rhythm.watch(Place::of(now, &zone), seconds, received.saturating_sub(before) as f64);
        }
        rhythm.is_silent().then(|| Standing::of(rhythm))
    }

    /// When its last message came.
    pub(crate) fn last(&self, channel: &str) -> Option<Timestamp> {
        self.last.get(channel).copied()
    }

    /// It is not watched now: stopped, paused, or there is something wrong with it that has an episode of its own.
    pub(crate) fn look_away(&mut self, channel: &str) {
        self.received.remove(channel);
    }

    /// Forgets the channels that are no more.
    pub(crate) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.rhythms.retain(|name, _| is_there(name));
        self.last.retain(|name, _| is_there(name));
    }

    /// The rhythm of a channel, for whoever shows it.
    pub(crate) fn rhythm(&self, channel: &str) -> Option<(&Rhythm, Standing)> {
        let rhythm = self.rhythms.get(channel)?;
        Some((rhythm, Standing::of(rhythm)))
    }

    pub(crate) fn write(&self) {
        let text = serde_json::to_string(self).expect("a rhythm has text keys");
        if let Err(error) = write_for_owner(&self.file, &text) {
            tracing::warn!(file = %self.file.display(), %error, "cannot write down the rhythms of the channels");
        }
    }
}

impl Standing {
    fn of(rhythm: &Rhythm) -> Self {
        let (seconds, usual) = (rhythm.silent_seconds(), rhythm.usual_now());
        let silent = lasting(std::time::Duration::from_secs_f64(seconds.max(0.0)));
        let usual_words = match usual {
            usual if usual >= 9.5 => format!("{usual:.0}/h are usual now"),
            usual if usual >= 0.95 => format!("{usual:.1}/h are usual now"),
            usual => format!("{:.1}/day are usual at this hour", usual * 24.0),
        };
        let missed = rhythm.missed();
        let words = format!("silent {silent}; {usual_words}, {missed:.0} messages are missing");
        Self { silent_seconds: seconds, usual_per_hour: usual, missed, limit: rhythm.limit(), words }
    }
}
