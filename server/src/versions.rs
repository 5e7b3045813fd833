//! Which versions of each channel came into force, when and by whom; kept beside the store, which has their texts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use crate::key::write_for_owner;

pub(crate) const FILE: &str = "versions.json";

/// So many are known of each channel.
const MOST: usize = 50;

/// What is known of a channel that no file has any more is forgotten after this time.
const GONE_DAYS: i64 = 90;

/// A version that came into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) hash: String,
    pub(crate) at: Timestamp,
    /// Whoever deployed it; none where the files were found changed, or at a start.
    pub(crate) by: Option<String>,
}

type Kept = BTreeMap<String, Vec<Version>>;

/// The versions of all channels, the oldest of each first.
pub(crate) struct Versions {
    file: PathBuf,
    kept: Mutex<Kept>,
}

impl Versions {
    /// A file that cannot be read costs the list, and nothing that runs.
    pub(crate) fn open(folder: &Path) -> Self {
        let file = folder.join(FILE);
        let read = std::fs::read(&file).ok().map(|text| serde_json::from_slice::<Kept>(&text));
        let kept = match read {
            None => Kept::default(),
            Some(Ok(kept)) => kept,
            Some(Err(error)) => {
                tracing::warn!(file = %file.display(), %error, "cannot read which versions there were; the list begins anew");
                Kept::default()
            }
        };
        Self { file, kept: Mutex::new(kept) }
    }

    /// The versions of a channel, the newest first.
    pub(crate) fn of(&self, channel: &str) -> Vec<Version> {
        self.lock().get(channel).map(|all| all.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// These are in force now: what differs from before is written down.
    pub(crate) fn note(&self, running: &[(String, String)], by: Option<&str>) {
        let mut kept = self.lock();
        if !noted(&mut kept, running, by, Timestamp::now()) {
            return;
        }
        let text = serde_json::to_string(&*kept).expect("a version has text keys");
        if let Err(error) = write_for_owner(&self.file, &text) {
            tracing::warn!(file = %self.file.display(), %error, "cannot write down which versions came into force");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn noted(kept: &mut Kept, running: &[(String, String)], by: Option<&str>, at: Timestamp) -> bool {
    let mut is_other = false;
    for (channel, version) in running {
        let all = kept.entry(channel.clone()).or_default();
        if all.last().is_some_and(|last| last.hash == *version) {
            continue;
        }
        all.push(Version { hash: version.clone(), at, by: by.map(str::to_owned) });
        let surplus = all.len().saturating_sub(MOST);
        all.drain(..surplus);
        is_other = true;
    }
    let long_ago = at - (GONE_DAYS * 24).hours();
    let stands = |name: &str| running.iter().any(|(channel, _)| channel == name);
    kept.retain(|name, all| stands(name) || all.last().is_some_and(|last| last.at > long_ago));
    is_other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(version: &str) -> Vec<(String, String)> {
        vec![("lab".to_owned(), version.to_owned())]
    }

    #[test]
    fn a_version_is_noted_once_with_who_deployed_it_and_only_so_many_are_kept() {
        let (mut kept, at) = (Kept::default(), Timestamp::UNIX_EPOCH);
        assert!(noted(&mut kept, &running("a"), None, at));
        assert!(!noted(&mut kept, &running("a"), Some("marie"), at), "it was in force already");
        assert!(noted(&mut kept, &running("b"), Some("marie"), at));
        let by: Vec<_> = kept["lab"].iter().map(|one| one.by.as_deref()).collect();
        assert_eq!(by, [None, Some("marie")]);
        for number in 0..100 {
            noted(&mut kept, &running(&number.to_string()), None, at);
        }
        assert_eq!((kept["lab"].len(), kept["lab"].last().unwrap().hash.as_str()), (MOST, "99"));
    }

    #[test]
    fn a_channel_that_is_gone_is_forgotten_in_time() {
        let (mut kept, at) = (Kept::default(), Timestamp::UNIX_EPOCH);
        noted(&mut kept, &running("a"), None, at);
        noted(&mut kept, &[], None, at + 24.hours());
        assert!(kept.contains_key("lab"), "it may come back");
        noted(&mut kept, &[], None, at + (91 * 24).hours());
        assert!(kept.is_empty());
    }
}
