//! Remembers why files were refused, failed or left, and which of their messages are to blame, as long as they lie there.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use engine::Hash;
use serde::{Deserialize, Serialize};

use super::place::{Location, Stat};

/// So many lines more than files, and the notes are written anew.
const SLACK: usize = 1000;

/// The notes of one channel. Losing a line costs a person a name on the command line, and nothing else.
pub(super) struct Away {
    path: PathBuf,
    lock: Mutex<()>,
}

/// Why a file lies where it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    /// Where it was put.
    pub(super) at: Written,
    /// Where it lay when it was seen.
    pub(super) from: Written,
    /// The folder of the claim that it had; `None` where it had none.
    pub(super) sweep: Option<String>,
    pub(super) state: Lies,
    pub(super) size: u64,
    pub(super) modified: i64,
    /// Those of its messages that did not get through.
    #[serde(default)]
    pub(super) messages: Vec<u64>,
    pub(super) why: Option<String>,
}

/// What is said of a file by where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Lies {
    Refused,
    Failed,
    Left,
    /// Nothing any more.
    Over,
}

/// A location that can be written down: what is no plain letter of its trail stands as `%E9`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Written {
    base: String,
    trail: String,
}

impl Lies {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Left => "left",
            Self::Over => "over",
        }
    }
}

impl Note {
    pub(super) fn stat(&self) -> Stat {
        Stat { size: self.size, modified: self.modified }
    }
}

impl Written {
    pub(super) fn of(at: &Location) -> Self {
        let mut trail = String::with_capacity(at.trail.len());
        for byte in &at.trail {
            match byte {
                b'!'..=b'~' if *byte != b'%' => trail.push(char::from(*byte)),
                byte => {
                    let _ = write!(trail, "%{byte:02X}");
                }
            }
        }
        Self { base: at.base.to_string(), trail }
    }

    pub(super) fn location(&self) -> Location {
        let mut trail = Vec::with_capacity(self.trail.len());
        let mut rest = self.trail.as_bytes();
        while let Some((byte, behind)) = rest.split_first() {
            let coded = rest.get(1..3).and_then(|digits| std::str::from_utf8(digits).ok());
            let decoded =
                coded.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
            trail.push(decoded.unwrap_or(*byte));
            rest = if decoded.is_some() { &rest[3..] } else { behind };
        }
        Location::new(&self.base).join(&trail)
    }
}

impl Away {
    pub(super) fn new(folder: &Path, channel: &str) -> Self {
        let name = format!("{:.32}.away", Hash::of(&[channel.as_bytes()]).to_string());
        Self { path: folder.join(name), lock: Mutex::default() }
    }

    /// Notes why a file lies where it does; the last word counts.
    pub(super) fn note(&self, note: &Note) -> io::Result<()> {
        let line = serde_json::to_string(note).map_err(io::Error::other)? + "\n";
        let _lock = self.lock();
        OpenOptions::new().append(true).create(true).open(&self.path)?.write_all(line.as_bytes())
    }

    /// Every note that still says something.
    pub(super) fn read(&self) -> io::Result<Vec<Note>> {
        let _lock = self.lock();
        Ok(self.lines()?.1)
    }

    /// Forgets the notes of files that lie there no more, where they are worth the trouble.
    pub(super) fn forget(&self, gone: &HashSet<Written>) -> io::Result<()> {
        let _lock = self.lock();
        let (lines, mut notes) = self.lines()?;
        notes.retain(|note| !gone.contains(&note.at));
        if lines <= 2 * notes.len() + SLACK {
            return Ok(());
        }
        let fresh = self.path.with_extension("away-new");
        let mut writer = BufWriter::new(File::create(&fresh)?);
        for note in &notes {
            writeln!(writer, "{}", serde_json::to_string(note).map_err(io::Error::other)?)?;
        }
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&fresh, &self.path)
    }

    /// Whether it has grown so long that somebody should look what of it still lies there.
    pub(super) fn is_long(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|known| known.len() > 4_000_000)
    }

    /// How many lines there are, and what the last of each file says.
    fn lines(&self) -> io::Result<(usize, Vec<Note>)> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, Vec::new())),
            Err(error) => return Err(error),
        };
        let (mut lines, mut places, mut notes) = (0, HashMap::new(), Vec::<Note>::new());
        for line in BufReader::new(file).lines() {
            lines += 1;
            // A line that a crash has torn says nothing.
            let Some(note) = line.ok().and_then(|line| serde_json::from_str::<Note>(&line).ok()) else {
                continue;
            };
            if let Some(place) = places.get(&note.at) {
                notes[*place] = note;
            } else {
                places.insert(note.at.clone(), notes.len());
                notes.push(note);
            }
        }
        notes.retain(|note| note.state != Lies::Over);
        Ok((lines, notes))
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], state: Lies) -> Note {
        let at = Written::of(&Location::new("failed").join(name));
        Note {
            at: at.clone(),
            from: at,
            sweep: None,
            state,
            size: 1,
            modified: 2,
            messages: vec![7],
            why: None,
        }
    }

    #[test]
    fn any_name_is_written_down_and_read_back() {
        for name in [b"a.hl7".as_slice(), b"z\xff \n'$(x)%41/b", b"%", b"%4"] {
            let at = Location::new("in").join(name);
            assert_eq!(Written::of(&at).location(), at);
        }
    }

    #[test]
    fn the_last_word_of_a_file_counts_and_what_is_gone_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let away = Away::new(folder.path(), "lab");
        assert!(away.read().unwrap().is_empty());
        for _ in 0..600 {
            away.note(&note(b"a", Lies::Failed)).unwrap();
            away.note(&note(b"b", Lies::Left)).unwrap();
        }
        away.note(&note(b"a", Lies::Refused)).unwrap();
        away.note(&note(b"b", Lies::Over)).unwrap();
        let notes = away.read().unwrap();
        assert_eq!(notes.iter().map(|note| note.state).collect::<Vec<_>>(), [Lies::Refused]);
        away.forget(&HashSet::from([notes[0].at.clone()])).unwrap();
        assert_eq!(fs::metadata(&away.path).unwrap().len(), 0);
    }
}
