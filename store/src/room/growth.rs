//! How fast room goes: sizes noted with their time beside the store, and the days that are left at that pace.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The notes, in the store's folder: on each line seconds since 1970, bytes used, bytes free.
const FILE: &str = "growth";
/// How often a size is noted, and for how long it counts.
const EVERY: Duration = Duration::from_mins(10);
const COUNTS: Duration = Duration::from_hours(24);
/// A shorter time says nothing of a day.
const SHORTEST: Duration = Duration::from_hours(1);

/// How large the store was, and what was free beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) used: u64,
    pub(super) free: u64,
}

/// The sizes of the last day, oldest first.
pub(super) struct Growth {
    path: PathBuf,
    notes: VecDeque<(u64, Size)>,
}

impl Growth {
    /// What is written there. What cannot be read is begun anew.
    pub(super) fn read(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let notes = text.lines().filter_map(|line| {
            let mut numbers = line.split(' ').map(str::parse);
            let mut next = || numbers.next()?.ok();
            Some((next()?, Size { used: next()?, free: next()? }))
        });
        Self { notes: notes.collect(), path }
    }

    /// Takes note of a size, where it is time to.
    pub(super) fn note(&mut self, now: SystemTime, size: Size) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // A clock that was set back has notes of what is still to come.
        self.notes.retain(|(at, _)| *at <= now && now - at <= COUNTS.as_secs());
        if self.notes.back().is_some_and(|(at, _)| now - at < EVERY.as_secs()) {
            return;
        }
        self.notes.push_back((now, size));
        if let Err(error) = self.write() {
            tracing::debug!(%error, "cannot note how large the store is");
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let mut text = String::new();
        for (at, Size { used, free }) in &self.notes {
            let _ = writeln!(text, "{at} {used} {free}");
        }
        let beside = self.path.with_extension("new");
        fs::write(&beside, text)?;
        fs::rename(&beside, &self.path)
    }

    /// Days until the floor or the budget is reached, at the pace between the oldest note and the newest.
    pub(super) fn days_until_full(&self, floor: u64, budget: Option<u64>) -> Option<f64> {
        let ((began, first), (ended, last)) = (self.notes.front()?, self.notes.back()?);
        if ended - began < SHORTEST.as_secs() {
            return None;
        }
        let days = (ended - began) as f64 / 86_400.0;
        let disk = days_left(last.free.saturating_sub(floor), first.free as f64 - last.free as f64, days);
        let own = budget.and_then(|budget| {
            days_left(budget.saturating_sub(last.used), last.used as f64 - first.used as f64, days)
        });
        [disk, own].into_iter().flatten().min_by(f64::total_cmp)
    }
}

/// How long what is left lasts where so much went in so many days; `None` where nothing goes.
fn days_left(left: u64, went: f64, days: f64) -> Option<f64> {
    (went > 0.0).then(|| left as f64 / went * days)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn after(hours: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_hours(500_000 + hours)
    }

    fn grown(folder: &Path, hours: &[(u64, u64, u64)]) -> Growth {
        let mut growth = Growth::read(folder);
        for (hour, used, free) in hours {
            growth.note(after(*hour), Size { used: used * GB, free: free * GB });
        }
        growth
    }

    #[test]
    fn days_are_left_as_the_last_day_went() {
        let folder = tempfile::tempdir().unwrap();
        let growth = grown(folder.path(), &[(0, 10, 41), (12, 12, 39)]);
        // 4 GB a day: 38 are left above the floor, 8 below the budget.
        assert_eq!(growth.days_until_full(GB, None), Some(9.5));
        assert_eq!(growth.days_until_full(GB, Some(20 * GB)), Some(2.0));
    }

    #[test]
    fn an_hour_is_needed_and_what_is_older_than_a_day_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let mut growth = grown(folder.path(), &[(0, 10, 40)]);
        assert_eq!(growth.days_until_full(0, None), None);
        growth.note(after(30), Size { used: 20 * GB, free: 30 * GB });
        assert_eq!(growth.days_until_full(0, None), None, "the first is forgotten");
        growth.note(after(31), Size { used: 20 * GB, free: 30 * GB });
        assert_eq!(growth.days_until_full(0, Some(40 * GB)), None, "nothing grows");
    }

    #[test]
    fn what_was_noted_outlasts_a_restart_and_a_file_of_nonsense_is_none() {
        let folder = tempfile::tempdir().unwrap();
        drop(grown(folder.path(), &[(0, 10, 40)]));
        let growth = grown(folder.path(), &[(24, 11, 39)]);
        assert_eq!(growth.days_until_full(GB, None), Some(38.0));
        fs::write(folder.path().join(FILE), "7 x\n\u{7f}\n1 2\n").unwrap();
        assert!(Growth::read(folder.path()).notes.is_empty());
    }

    #[test]
    fn a_clock_that_was_set_back_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let growth = grown(folder.path(), &[(10, 10, 40), (2, 10, 40)]);
        assert_eq!(growth.notes.len(), 1);
    }
}
