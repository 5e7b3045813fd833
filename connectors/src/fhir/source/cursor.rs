//! How far a search has come, kept beside the store.
//!
//! It moves only once everything before it is durable. One that is lost or old makes the search look further back, and
//! nothing come twice: each version of a resource is a message of its own, which the store knows again.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use engine::Hash;
use jiff::Timestamp;

/// When the last whole search began, by the server's clock.
pub(super) struct Cursor {
    path: PathBuf,
    since: Option<Timestamp>,
}

impl Cursor {
    /// Reads that of one search. Another search of the same channel begins anew.
    pub(super) fn open(folder: &Path, channel: &str, (base, search): (&str, &str)) -> io::Result<Self> {
        let named = Hash::of(&[channel.as_bytes(), base.as_bytes(), search.as_bytes()]).to_string();
        let path = folder.join(format!("{named:.32}.search"));
        let since = match fs::read_to_string(&path) {
            // One that a crash has torn is none.
            Ok(text) => text.trim().parse().ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path, since })
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Moves it, durably.
    pub(super) fn to(&mut self, since: Timestamp) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        writeln!(file, "{since}")?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        File::open(folder)?.sync_all()?;
        self.since = Some(since);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_search_and_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("notes");
        let open = |search: &str| Cursor::open(&notes, "lab", ("http://h/fhir", search)).unwrap();
        let when: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
        open("Patient").to(when).unwrap();
        assert_eq!(open("Patient").since(), Some(when));
        assert_eq!(open("Patient?active=true").since(), None);
    }
}
