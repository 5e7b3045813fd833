//! Looks at reasons: each is written down, but not each time that a page is drawn anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Audit, Deed};
use crate::accounts::Caller;

/// For so long one line stands for all looks of one person at one place.
const STANDS: Duration = Duration::from_mins(15);

/// Beyond so many the ones that are over are forgotten.
const MANY: usize = 1000;

/// Who looked at reasons, and where, in the last quarter of an hour.
#[derive(Clone, Default)]
pub(super) struct Looks(Arc<Mutex<HashMap<(String, String), Instant>>>);

impl Audit {
    /// Whether a look at reasons is in the log: it stands there, or was written now.
    pub(crate) async fn notes_look(&self, caller: &Caller, place: &str) -> bool {
        let key = (caller.name.clone(), place.to_owned());
        if self.looks.stands(&key) {
            return true;
        }
        if let Err(error) = self.write(Deed::of(caller, "see reasons", place)).await {
            tracing::error!(%error, "cannot write a look at reasons into the audit log; their kinds are shown");
            return false;
        }
        self.looks.note(key);
        true
    }
}

impl Looks {
    fn stands(&self, key: &(String, String)) -> bool {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.get(key).is_some_and(|at| at.elapsed() < STANDS)
    }

    fn note(&self, key: (String, String)) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= MANY {
            latest.retain(|_, at| at.elapsed() < STANDS);
        }
        latest.insert(key, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::{End, FILE, NOTHING},
        *,
    };
    use crate::accounts::{Door, Sees};

    fn caller(name: &str) -> Caller {
        Caller {
            name: name.to_owned(),
            rights: Vec::new(),
            sees: Sees::Everything,
            door: Door::Key,
            from: None,
        }
    }

    #[tokio::test]
    async fn one_line_stands_for_the_looks_of_one_person_at_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        for (name, place) in
            [("ada", "/channels"), ("ada", "/channels"), ("ada", "/episodes"), ("bob", "/channels")]
        {
            assert!(audit.notes_look(&caller(name), place).await);
        }
        let written = fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(written.matches("see reasons").count(), 3, "{written}");
    }

    #[tokio::test]
    async fn what_cannot_be_written_down_is_not_taken_for_noted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, "").unwrap();
        // Opened to be read: no line gets in.
        let end =
            End { file: fs::File::open(&path).unwrap(), number: 0, hash: NOTHING.to_owned(), length: 0 };
        let audit = Audit { path, end: Arc::new(Mutex::new(end)), looks: Looks::default() };
        for _ in 0..2 {
            assert!(!audit.notes_look(&caller("ada"), "/channels").await);
        }
    }
}
