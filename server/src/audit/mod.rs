//! The audit log: who did what and who looked at what, each line holding the hash of the one before.

mod export;
mod fhir;
mod looks;
mod read;

use std::{
    fs,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(crate) use export::{Export, Form};
use read::Lines;
pub(crate) use read::{Break, Sound, verify};

use crate::accounts::{Caller, secret::hex};

pub(crate) const FILE: &str = "audit.jsonl";

/// A line is never longer: what it is about is cut to fit.
const LONGEST: usize = 16 << 10;

/// What a path or a name in it may take.
const SUBJECT: usize = 300;

/// What stands before the first line.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    /// RFC 3339, UTC.
    pub(crate) at: String,
    pub(crate) who: String,
    /// The address it came from.
    pub(crate) from: Option<String>,
    /// What was done: `see content`, `stop a channel`.
    pub(crate) what: String,
    /// What it was done to. Nothing of a message.
    pub(crate) subject: String,
    /// The status of the answer.
    pub(crate) status: u16,
    /// The SHA-256 of the line before, in hex.
    pub(crate) before: String,
}

/// Appends to the log. A line is durable when `write` returns.
#[derive(Clone)]
pub(crate) struct Audit {
    path: PathBuf,
    end: Arc<Mutex<End>>,
    looks: looks::Looks,
}

struct End {
    file: fs::File,
    number: u64,
    hash: String,
    /// Something was half written: it is cut off before the next line.
    length: u64,
}

/// What was done, of whoever did it.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    pub(crate) who: String,
    pub(crate) from: Option<String>,
    pub(crate) what: String,
    pub(crate) subject: String,
    pub(crate) status: u16,
}

impl Deed {
    pub(crate) fn of(caller: &Caller, what: &str, subject: &str) -> Self {
        Self {
            who: caller.name.clone(),
            from: caller.from.map(|from| from.to_string()),
            what: what.to_owned(),
            subject: subject.to_owned(),
            status: 200,
        }
    }
}

impl Audit {
    /// The log in the store's folder. A last line that a crash cut was never answered for, and is taken away.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let mut file = fs::File::options().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let length = file.metadata()?.len();
        let begin = length.saturating_sub(2 * LONGEST as u64);
        file.seek(SeekFrom::Start(begin))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole == 0 && begin > 0 {
            return Err(io::Error::other(format!("{} ends in no line; move it away", path.display())));
        }
        let length = begin + whole as u64;
        file.set_len(length)?;
        let last = tail[..whole]
            .strip_suffix(b"\n")
            .map(|lines| lines.rsplit(|byte| *byte == b'\n').next().unwrap_or(lines));
        let (number, hash) = match last {
            None => (0, NOTHING.to_owned()),
            Some(line) => {
                let entry: Entry = serde_json::from_slice(line).map_err(|error| {
                    io::Error::other(format!("the last line of {} cannot be read: {error}", path.display()))
                })?;
                (entry.number, hash(line))
            }
        };
        fs::File::open(folder)?.sync_all()?;
        let end = Arc::new(Mutex::new(End { file, number, hash, length }));
        Ok(Self { path, end, looks: looks::Looks::default() })
    }

    /// Writes a line where no request waits for the disk.
    pub(crate) async fn write(&self, deed: Deed) -> io::Result<()> {
        let end = Arc::clone(&self.end);
        let written = tokio::task::spawn_blocking(move || {
            let mut end = end.lock().expect("no holder of this lock panics");
            end.append(deed)
        });
        written.await.map_err(io::Error::other)?
    }

    /// The newest lines of `who`, or of everybody; older than number `before`, the newest first.
    pub(crate) async fn latest(
        &self,
        who: Option<String>,
        before: Option<u64>,
        limit: usize,
    ) -> io::Result<Vec<Entry>> {
        let path = self.path.clone();
        let wanted = move |entry: &Entry| {
            before.is_none_or(|before| entry.number < before)
                && who.as_ref().is_none_or(|who| *who == entry.who)
        };
        let read = tokio::task::spawn_blocking(move || read::newest(&path, limit, &wanted));
        read.await.map_err(io::Error::other)?
    }

    /// The folder that it lies in.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path.parent().expect("the log is a file in a folder").to_owned()
    }
}

impl End {
    fn append(&mut self, deed: Deed) -> io::Result<()> {
        let entry = Entry {
            number: self.number + 1,
            at: Timestamp::now().to_string(),
            who: deed.who.chars().take(SUBJECT).collect(),
            from: deed.from,
            what: deed.what,
            subject: deed.subject.chars().take(SUBJECT).collect(),
            status: deed.status,
            before: self.hash.clone(),
        };
        let line = serde_json::to_string(&entry).map_err(io::Error::other)?;
        // What a full disk cut before goes away; the file is opened to append.
        self.file.set_len(self.length)?;
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()?;
        self.length += line.len() as u64 + 1;
        (self.number, self.hash) = (entry.number, hash(line.as_bytes()));
        Ok(())
    }
}

fn hash(line: &[u8]) -> String {
    hex(&Sha256::digest(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(subject: &str) -> Deed {
        Deed {
            who: "ada".to_owned(),
            from: None,
            what: "see content".to_owned(),
            subject: subject.to_owned(),
            status: 200,
        }
    }

    async fn filled() -> (tempfile::TempDir, Audit) {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        for number in 1..=3 {
            audit.write(deed(&format!("message {number}"))).await.unwrap();
        }
        (folder, audit)
    }

    #[tokio::test]
    async fn a_log_goes_on_where_it_ended_and_is_whole() {
        let (folder, audit) = filled().await;
        drop(audit);
        let audit = Audit::open(folder.path()).unwrap();
        audit.write(deed("message 4")).await.unwrap();
        let sound = verify(folder.path(), None).unwrap();
        assert_eq!(sound.lines, 4);
        assert!(verify(folder.path(), Some(&sound.hash)).unwrap().holds);
        assert!(!verify(folder.path(), Some("00")).unwrap().holds);
        let newest = audit.latest(None, Some(4), 2).await.unwrap();
        assert_eq!(newest.iter().map(|entry| entry.number).collect::<Vec<_>>(), [3, 2]);
        assert!(audit.latest(Some("bob".to_owned()), None, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_line_that_was_changed_taken_away_or_added_is_found() {
        let (folder, _audit) = filled().await;
        let path = folder.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let changed = text.replace("message 2", "message 9");
        let shorter = format!("{}\n{}\n", lines[0], lines[2]);
        let doubled = format!("{text}{}\n", lines[2]);
        for (wrong, line) in [(changed, 3), (shorter, 2), (doubled, 4)] {
            fs::write(&path, wrong).unwrap();
            let found = verify(folder.path(), None).unwrap_err();
            assert_eq!(found.line, line, "{found}");
            let lines = Export::of(folder.path(), Form::Jsonl, None).unwrap();
            let out: Vec<_> = lines.collect();
            assert_eq!(out.last(), Some(&Err(found.clone())), "what goes out ends with what is wrong");
            assert_eq!(out[0].as_ref().unwrap().lines().count() as u64, line - 1);
            assert!(found.words.contains(".jsonl:"), "{found}");
        }
    }

    #[tokio::test]
    async fn the_newest_lines_of_a_long_log_are_found_from_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        for number in 1..=700 {
            let who = if number % 7 == 0 { "bob" } else { "ada" };
            audit.write(Deed { who: who.to_owned(), ..deed(&"long ".repeat(60)) }).await.unwrap();
        }
        let numbers = |entries: Vec<Entry>| entries.iter().map(|entry| entry.number).collect::<Vec<_>>();
        let of_bob = audit.latest(Some("bob".to_owned()), None, 1000).await.unwrap();
        assert_eq!(numbers(of_bob), (1..=100).rev().map(|number| number * 7).collect::<Vec<_>>());
        assert_eq!(numbers(audit.latest(None, Some(3), 9).await.unwrap()), [2, 1]);
        assert_eq!(numbers(audit.latest(None, None, 2).await.unwrap()), [700, 699]);
    }

    #[tokio::test]
    async fn a_long_log_goes_out_in_pieces_from_whatever_time_on() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        for _ in 0..700 {
            audit.write(deed(&"long ".repeat(60))).await.unwrap();
        }
        let pieces = |form: Form, since: Option<&str>| {
            let since = since.map(|since| since.parse().unwrap());
            Export::of(folder.path(), form, since).unwrap().map(Result::unwrap).collect::<Vec<_>>()
        };
        let lines = pieces(Form::Jsonl, None);
        assert!(lines.len() > 2 && lines.iter().all(|piece| piece.len() < 128 << 10), "{}", lines.len());
        assert_eq!(lines.concat(), fs::read_to_string(folder.path().join(FILE)).unwrap());
        let bundle = |since| {
            let text = pieces(Form::Fhir, since).concat();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        assert_eq!(bundle(None)["entry"].as_array().unwrap().len(), 700);
        let of_nothing = bundle(Some("2999-01-01T00:00:00Z"));
        assert_eq!(of_nothing, serde_json::json!({ "resourceType": "Bundle", "type": "collection" }));
        assert!(pieces(Form::Jsonl, Some("2999-01-01T00:00:00Z")).is_empty());
    }

    #[tokio::test]
    async fn a_line_that_a_crash_cut_is_taken_away() {
        let (folder, audit) = filled().await;
        drop(audit);
        let path = folder.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}{{\"number\":4,\"at")).unwrap();
        assert!(verify(folder.path(), None).unwrap().is_cut, "a torn end is no change of what was written");
        let audit = Audit::open(folder.path()).unwrap();
        audit.write(deed("message 4")).await.unwrap();
        assert_eq!(verify(folder.path(), None).unwrap().lines, 4);
    }
}
