//! Reads the audit log: its newest lines, or all of them with their hashes followed.

use std::{
    collections::VecDeque,
    fmt, fs,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, FILE, NOTHING, hash};

/// So much is read at once, from the end.
const BLOCK: u64 = 64 << 10;

/// So much of a long log is looked through for one answer.
const MOST: u64 = 64 << 20;

/// The newest lines that are wanted, the newest first. Looks through the end of the log only.
pub(super) fn newest(path: &Path, limit: usize, wanted: &dyn Fn(&Entry) -> bool) -> io::Result<Vec<Entry>> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    let (mut begin, mut rest, mut found) = (length, Vec::new(), Vec::new());
    while begin > 0 && found.len() < limit && length - begin < MOST {
        let from = begin.saturating_sub(BLOCK);
        let mut block = vec![0; usize::try_from(begin - from).map_err(io::Error::other)?];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut block)?;
        block.extend_from_slice(&rest);
        let mut lines: VecDeque<&[u8]> = block.split(|byte| *byte == b'\n').collect();
        // The first line of a block may have begun in the one before.
        let first = if from == 0 { None } else { lines.pop_front() };
        // One that is being written this moment is not whole yet.
        let entries = lines.iter().rev().filter_map(|line| serde_json::from_slice::<Entry>(line).ok());
        found.extend(entries.filter(|entry| wanted(entry)).take(limit - found.len()));
        rest = first.unwrap_or_default().to_vec();
        begin = from;
    }
    Ok(found)
}

/// What a whole log comes to.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sound {
    pub(crate) lines: u64,
    /// The hash of the last line: kept elsewhere, it proves later that nothing was cut off.
    pub(crate) hash: String,
    /// Whether the hash that was asked for stands in it.
    pub(crate) holds: bool,
    /// Its end is being written, or a crash cut it; the next start takes that away.
    pub(crate) is_cut: bool,
}

/// Where the chain of a log breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Break {
    pub(crate) line: u64,
    pub(crate) what: Broken,
    /// What is wrong, with the file and the line.
    pub(crate) words: String,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Broken {
    /// The file, or the line, cannot be read.
    Unreadable,
    /// It is no entry of a log.
    NoEntry,
    /// It has another number than its place.
    Number,
    /// It does not hold the hash of the line before.
    Hash,
}

impl fmt::Display for Break {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}

/// Reads the whole log and follows its hashes; says what is wrong, with the line.
pub(crate) fn verify(folder: &Path, holds: Option<&str>) -> Result<Sound, Break> {
    let mut lines = Lines::of(folder)?;
    let asked = holds.unwrap_or(NOTHING);
    let mut holds = asked == NOTHING;
    while let Some(entry) = lines.next() {
        entry?;
        holds |= lines.hash == asked;
    }
    Ok(Sound { lines: lines.number, hash: lines.hash, holds, is_cut: lines.is_cut })
}

/// The lines of a log from its first, as long as each follows the one before.
pub(crate) struct Lines {
    path: PathBuf,
    file: BufReader<fs::File>,
    number: u64,
    /// Of the last line that was read.
    pub(crate) hash: String,
    is_cut: bool,
    is_wrong: bool,
}

impl Lines {
    pub(crate) fn of(folder: &Path) -> Result<Self, Break> {
        let path = folder.join(FILE);
        let file = fs::File::open(&path).map_err(|error| {
            let words = format!("cannot read {}: {error}", path.display());
            Break { line: 1, what: Broken::Unreadable, words }
        })?;
        let file = BufReader::new(file);
        Ok(Self { path, file, number: 0, hash: NOTHING.to_owned(), is_cut: false, is_wrong: false })
    }

    fn read(&mut self) -> Result<Option<Entry>, Break> {
        let at = self.number + 1;
        let broken = |what: Broken, words: String| Break {
            line: at,
            what,
            words: format!("{}:{at}: {words}", self.path.display()),
        };
        let mut line = Vec::new();
        let read = self.file.read_until(b'\n', &mut line);
        read.map_err(|error| broken(Broken::Unreadable, format!("cannot be read: {error}")))?;
        if line.pop() != Some(b'\n') {
            self.is_cut = !line.is_empty();
            return Ok(None);
        }
        let entry: Entry = serde_json::from_slice(&line)
            .map_err(|error| broken(Broken::NoEntry, format!("is no entry: {error}")))?;
        if entry.number != at {
            let words = format!("has the number {}: lines are missing or were added", entry.number);
            return Err(broken(Broken::Number, words));
        }
        if entry.before != self.hash {
            let words = "does not follow the line before: one of the two was changed";
            return Err(broken(Broken::Hash, words.to_owned()));
        }
        (self.number, self.hash) = (at, hash(&line));
        Ok(Some(entry))
    }
}

impl Iterator for Lines {
    type Item = Result<Entry, Break>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_wrong {
            return None;
        }
        let read = self.read().transpose();
        self.is_wrong = matches!(read, Some(Err(_)));
        read
    }
}
