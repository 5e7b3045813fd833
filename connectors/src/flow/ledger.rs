//! Remembers which files that stay in their folder were taken, so that none is read again; as many as the folder holds.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use engine::Hash;
use rustix::fs::{FlockOperation, flock};

use super::place::{Location, Stat};

/// How often to try whether the source before this one has let go.
const LOOKS: Duration = Duration::from_millis(20);
/// So many lines more than notes, and the file is written anew.
const SLACK: usize = 1000;

/// The notes of one source. While it is open, no other of the same channel reads or claims.
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    /// By which the claims of this engine are told from another's.
    owner: String,
    notes: HashMap<u64, Note>,
    lines: usize,
    round: u32,
}

/// The notes as somebody else reads them.
#[derive(Default)]
pub(super) struct Noted {
    pub(super) owner: String,
    notes: HashMap<u64, u64>,
}

impl Noted {
    /// Whether this file was taken as it stands.
    pub(super) fn knows(&self, at: &Location, stat: Stat) -> bool {
        !self.notes.is_empty() && self.notes.get(&key(at)) == Some(&mark(stat))
    }
}

/// How a file stood when it was taken, and in which look it was last there.
#[derive(Clone, Copy)]
struct Note {
    stat: u64,
    seen: u32,
}

impl Ledger {
    /// Opens the notes of a channel; waits until the source that had them before is gone.
    pub(super) async fn open(folder: &Path, channel: &str) -> io::Result<Self> {
        let (folder, path) = (folder.to_owned(), path(folder, channel));
        loop {
            let (folder, path) = (folder.clone(), path.clone());
            let opened = tokio::task::spawn_blocking(move || {
                fs::create_dir_all(&folder)?;
                Self::try_open(&path)
            });
            if let Some(ledger) = opened.await.map_err(io::Error::other)?? {
                return Ok(ledger);
            }
            tokio::time::sleep(LOOKS).await;
        }
    }

    /// Reads the notes of a channel whoever has them; there are none where they cannot be read.
    pub(super) fn peek(folder: &Path, channel: &str) -> Noted {
        let mut noted = Noted::default();
        let Ok(file) = File::open(path(folder, channel)) else { return noted };
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            match read(&line) {
                Some(Line::Owner(owner)) => owner.clone_into(&mut noted.owner),
                Some(Line::Taken(at, stat)) => drop(noted.notes.insert(at, stat)),
                Some(Line::Again(at)) => drop(noted.notes.remove(&at)),
                None => {}
            }
        }
        noted
    }

    /// Forgets a file in the notes of a channel that nobody has open.
    pub(super) fn forget_closed(folder: &Path, channel: &str, at: &Location) -> io::Result<()> {
        let busy = || io::Error::other("the flow is just starting; try again");
        Self::try_open(&path(folder, channel))?.ok_or_else(busy)?.forget(at)
    }

    /// `None` while somebody else has it.
    fn try_open(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let mut ledger = Self {
            path: path.to_owned(),
            file,
            owner: String::new(),
            notes: HashMap::new(),
            lines: 0,
            round: 0,
        };
        ledger.read()?;
        Ok(Some(ledger))
    }

    fn read(&mut self) -> io::Result<()> {
        let reader = BufReader::new(self.file.try_clone()?);
        for line in reader.lines() {
            self.lines += 1;
            // A line that a crash has torn says nothing; its file is known by its message.
            let Ok(line) = line else { continue };
            match read(&line) {
                Some(Line::Owner(owner)) => owner.clone_into(&mut self.owner),
                Some(Line::Taken(at, stat)) => drop(self.notes.insert(at, Note { stat, seen: 0 })),
                Some(Line::Again(at)) => drop(self.notes.remove(&at)),
                None => {}
            }
        }
        if self.owner.is_empty() {
            self.owner = random();
            writeln!(self.file, "owner {}", self.owner)?;
            self.file.sync_all()?;
        }
        Ok(())
    }

    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    /// Whether this file was taken as it stands. Counts it as being there still.
    pub(super) fn knows(&mut self, at: &Location, stat: Stat) -> bool {
        if self.notes.is_empty() {
            return false;
        }
        let round = self.round;
        self.notes.get_mut(&key(at)).is_some_and(|note| {
            note.seen = round;
            note.stat == mark(stat)
        })
    }

    /// Notes that this file was taken as it stands.
    pub(super) fn note(&mut self, at: &Location, stat: Stat) -> io::Result<()> {
        let (key, stat) = (key(at), mark(stat));
        writeln!(self.file, "taken {key:016x} {stat:016x}")?;
        self.notes.insert(key, Note { stat, seen: self.round });
        self.lines += 1;
        Ok(())
    }

    /// Lets this file be taken as if it had not been.
    pub(super) fn forget(&mut self, at: &Location) -> io::Result<()> {
        writeln!(self.file, "again {:016x}", key(at))?;
        self.notes.remove(&key(at));
        self.lines += 1;
        Ok(())
    }

    pub(super) fn begin_look(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Forgets the files that the look did not find.
    pub(super) fn end_look(&mut self) -> io::Result<()> {
        let round = self.round;
        self.notes.retain(|_, note| note.seen == round);
        if self.lines > 2 * self.notes.len() + SLACK { self.write_anew() } else { Ok(()) }
    }

    fn write_anew(&mut self) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut writer = BufWriter::new(File::create(&fresh)?);
        writeln!(writer, "owner {}", self.owner)?;
        for (key, note) in &self.notes {
            writeln!(writer, "taken {key:016x} {:016x}", note.stat)?;
        }
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        let file = OpenOptions::new().read(true).append(true).open(&fresh)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        fs::rename(&fresh, &self.path)?;
        self.file = file;
        self.lines = self.notes.len() + 1;
        Ok(())
    }
}

/// What a line says.
enum Line<'a> {
    Owner(&'a str),
    Taken(u64, u64),
    Again(u64),
}

fn read(line: &str) -> Option<Line<'_>> {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["owner", owner] if owner.len() == 16 => Some(Line::Owner(owner)),
        ["taken", at, stat] => Some(Line::Taken(number(at)?, number(stat)?)),
        ["again", at] => Some(Line::Again(number(at)?)),
        _ => None,
    }
}

fn path(folder: &Path, channel: &str) -> PathBuf {
    folder.join(format!("{:.32}.files", Hash::of(&[channel.as_bytes()]).to_string()))
}

fn key(at: &Location) -> u64 {
    first_eight(&Hash::of(&[at.base.as_bytes(), &at.trail]))
}

fn mark(stat: Stat) -> u64 {
    first_eight(&Hash::of(&[&stat.size.to_be_bytes(), &stat.modified.to_be_bytes()]))
}

fn first_eight(hash: &Hash) -> u64 {
    let (first, _) = hash.0.split_first_chunk().expect("a hash has more than eight bytes");
    u64::from_be_bytes(*first)
}

/// Sixteen digits that nobody else draws.
pub(super) fn random() -> String {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random numbers");
    format!("{:016x}", u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(size: u64) -> Stat {
        Stat { size, modified: 1 }
    }

    #[tokio::test]
    async fn what_was_noted_is_known_after_a_restart_and_forgotten_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (Location::new("in").join(b"1"), Location::new("in").join(b"2"));
        let mut ledger = Ledger::open(folder.path(), "lab").await.unwrap();
        let owner = ledger.owner().to_owned();
        ledger.note(&one, stat(1)).unwrap();
        ledger.note(&two, stat(1)).unwrap();
        drop(ledger);
        let mut ledger = Ledger::open(folder.path(), "lab").await.unwrap();
        assert_eq!(ledger.owner(), owner);
        ledger.begin_look();
        assert!(ledger.knows(&one, stat(1)) && !ledger.knows(&one, stat(2)));
        ledger.end_look().unwrap();
        assert!(!ledger.knows(&two, stat(1)));
    }

    #[tokio::test]
    async fn it_grows_no_longer_than_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path(), "lab").await.unwrap();
        for number in 0..5000_u32 {
            let at = Location::new("in").join(&number.to_be_bytes());
            ledger.begin_look();
            ledger.note(&at, stat(1)).unwrap();
            ledger.end_look().unwrap();
        }
        let lines = fs::read_to_string(&ledger.path).unwrap().lines().count();
        assert!(lines < 2 * SLACK, "{lines}");
        assert_eq!(ledger.notes.len(), 1);
    }

    #[tokio::test]
    async fn one_source_has_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Ledger::open(folder.path(), "lab").await.unwrap();
        let mut second = std::pin::pin!(Ledger::open(folder.path(), "lab"));
        assert!(tokio::time::timeout(LOOKS * 3, second.as_mut()).await.is_err());
        drop(first);
        assert!(second.await.is_ok());
    }
}
