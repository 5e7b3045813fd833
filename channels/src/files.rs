//! The files of a project as they were read, so that a fault can show its line.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A file of settings ends here: a channel of this size is no channel.
const LARGEST: u64 = 1 << 20;

/// Where something stands: a file of [`Files`], and bytes of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn new(file: usize, range: Range<usize>) -> Self {
        Self { file, start: range.start, end: range.end.max(range.start) }
    }
}

/// Every file that was read, by its number.
#[derive(Clone, Default)]
pub(crate) struct Files {
    read: HashMap<usize, Arc<SourceFile>>,
    numbers: HashMap<PathBuf, usize>,
    /// The next number: one count for all threads that read a project.
    next: Arc<AtomicUsize>,
}

/// One file: its path from the project's folder, and its text without a byte order mark.
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) text: Arc<str>,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// Why a file is not text that can be looked at.
pub(crate) enum Unfit {
    Missing,
    Unreadable(io::Error),
    TooBig(u64),
    /// The first byte that is not UTF-8, with what was text before it.
    NotUtf8 {
        valid: String,
        wide: bool,
    },
}

impl Files {
    /// Keeps a file's text and gives its number.
    pub(crate) fn add(&mut self, path: PathBuf, text: &str) -> usize {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.numbers.entry(path.clone()).or_insert(number);
        self.read.insert(number, Arc::new(SourceFile::new(path, text)));
        number
    }

    pub(crate) fn get(&self, number: usize) -> &Arc<SourceFile> {
        &self.read[&number]
    }

    /// This file alone, under its number.
    pub(crate) fn only(number: usize, file: &Arc<SourceFile>) -> Self {
        Self { read: HashMap::from([(number, file.clone())]), ..Self::default() }
    }

    /// Takes over what was read beside this.
    pub(crate) fn join(&mut self, others: Self) {
        self.read.extend(others.read);
        for (path, number) in others.numbers {
            self.numbers.entry(path).or_insert(number);
        }
    }

    /// The number of the file at this path, if it was read.
    pub(crate) fn find(&self, path: &Path) -> Option<usize> {
        self.numbers.get(path).copied()
    }
}

impl SourceFile {
    fn new(path: PathBuf, text: &str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path, text: text.into(), lines }
    }

    /// Line and column, both from 1, the column in characters.
    pub(crate) fn position(&self, byte: usize) -> (usize, usize) {
        let byte = self.text.floor_char_boundary(byte.min(self.text.len()));
        let line = self.lines.partition_point(|start| *start <= byte);
        let start = self.lines[line - 1];
        (line, self.text[start..byte].chars().count() + 1)
    }

    /// The byte of a line and a column; the nearest there is.
    pub(crate) fn byte(&self, line: usize, column: usize) -> usize {
        let line = line.clamp(1, self.lines.len());
        let text = self.line(line);
        let within = text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        self.lines[line - 1] + within
    }

    /// A line without its break.
    pub(crate) fn line(&self, line: usize) -> &str {
        let Some(start) = self.lines.get(line - 1) else { return "" };
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        self.text[*start..end].trim_end_matches(['\n', '\r'])
    }
}

/// Reads a text file of bounded size. A byte order mark is left out.
pub(crate) fn read(path: &Path) -> Result<String, Unfit> {
    let file = fs::File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unfit::Missing,
        _ => Unfit::Unreadable(error),
    })?;
    let size = file.metadata().map_err(Unfit::Unreadable)?.len();
    if size > LARGEST {
        return Err(Unfit::TooBig(size));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(Unfit::Unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Unfit::TooBig(bytes.len() as u64));
    }
    decode(bytes)
}

fn decode(bytes: Vec<u8>) -> Result<String, Unfit> {
    let wide = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let valid = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            Err(Unfit::NotUtf8 { valid, wide })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_and_its_byte_is_found_again() {
        let file = SourceFile::new("a".into(), "name: é x\nb: ü\n");
        assert_eq!(file.position(0), (1, 1));
        let x = file.text.find('x').unwrap();
        assert_eq!(file.position(x), (1, 9));
        assert_eq!(file.byte(1, 9), x);
        assert_eq!(file.position(file.text.len()), (3, 1));
        assert_eq!(file.line(2), "b: ü");
        assert_eq!(file.byte(99, 99), file.text.len());
    }

    #[test]
    fn a_byte_order_mark_is_left_out() {
        let text = decode("\u{feff}name: a".as_bytes().to_vec());
        assert!(matches!(text, Ok(text) if text == "name: a"));
        assert!(
            matches!(decode(vec![b'a', 0xE9]), Err(Unfit::NotUtf8 { valid, wide: false }) if valid == "a")
        );
        assert!(matches!(decode(vec![0xFF, 0xFE, b'a', 0]), Err(Unfit::NotUtf8 { wide: true, .. })));
    }
}
