//! The journal: what was answered is on disk here first, and in the files of the store later.
//!
//! A record is one write of the store: the rows that it changed, as they stand after it. Records are appended to a
//! segment, a file that was filled with zeros and synced before, so that an append changes no metadata and a sync is as
//! short as the disk allows. A segment whose rows are all in the files is written over. Each segment is sealed with a
//! number of its own: what stands behind the last record, from an earlier use, is never taken for one.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The folder of the segments, in the store's folder.
const FOLDER: &str = "journal";
/// As long as a segment is, unless one record needs more.
const SEGMENT: u64 = 1 << 20;
/// How many segments are kept for the next use, and how many from one run to the next.
const SPARE: usize = 24;
const LEFT: usize = 2;
/// At the beginning of a segment: the word, its seal, and the number of its first record.
const HEAD: usize = 20;
const WORD: [u8; 4] = *b"RLJ1";
/// Before each record: its length, its checksum and its number.
const MARK: usize = 16;

/// Where the writer appends.
pub(crate) struct Journal {
    folder: PathBuf,
    current: Option<Segment>,
    /// Full, and not all filed; oldest first.
    full: Vec<Full>,
    spare: Vec<PathBuf>,
    /// The number of the next record.
    next: u64,
    /// The next name for a segment's file.
    named: u32,
    /// The record that is being put together.
    record: Vec<u8>,
}

struct Segment {
    file: File,
    path: PathBuf,
    seal: u64,
    end: u64,
    size: u64,
}

struct Full {
    path: PathBuf,
    last: u64,
}

/// One record that was found.
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) rows: Vec<u8>,
}

impl Journal {
    /// Opens the folder; what was appended and not filed is read first, with [`found`].
    pub(crate) fn open(store: &Path, next: u64) -> io::Result<Self> {
        let folder = store.join(FOLDER);
        let spare = segments(&folder)?;
        let named = spare.iter().filter_map(|path| name_of(path)).max().map_or(0, |highest| highest + 1);
        let mut journal =
            Self { folder, current: None, full: Vec::new(), spare, next, named, record: vec![0; MARK] };
        while journal.spare.len() > LEFT {
            journal.drop_one()?;
        }
        if journal.spare.is_empty() {
            let path = journal.fresh_path();
            prepare(&path)?;
            journal.spare.push(path);
        }
        Ok(journal)
    }

    /// Adds a row to the record that is being put together.
    pub(crate) fn push(&mut self, image: &crate::rows::Image) -> io::Result<()> {
        let record = std::mem::take(&mut self.record);
        self.record = postcard::to_extend(image, record).map_err(io::Error::other)?;
        Ok(())
    }

    /// How long the record is by now: what [`Self::cut`] takes.
    pub(crate) fn len(&self) -> usize {
        self.record.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.record.len() == MARK
    }

    /// Takes back what was added behind `len`.
    pub(crate) fn cut(&mut self, len: usize) {
        self.record.truncate(len);
    }

    /// Writes the record and syncs it; returns its number. It is empty afterwards, whatever happened.
    ///
    /// After a failure nobody knows what of it is on disk; the next record goes to another segment, and voids it.
    pub(crate) fn append(&mut self) -> io::Result<u64> {
        let written = self.write();
        self.record.truncate(MARK);
        if self.record.capacity() > SEGMENT as usize {
            self.record.shrink_to(MARK);
        }
        if written.is_err()
            && let Some(segment) = self.current.take()
        {
            self.full.push(Full { path: segment.path, last: self.next });
        }
        written?;
        self.next += 1;
        Ok(self.next - 1)
    }

    fn write(&mut self) -> io::Result<()> {
        let length = self.record.len() as u64;
        let has_room = self.current.as_ref().is_some_and(|segment| segment.end + length <= segment.size);
        if !has_room {
            self.turn_over(length)?;
        }
        let segment = self.current.as_mut().ok_or_else(|| io::Error::other("no segment is open"))?;
        let sum = checksum(segment.seal, self.next, &self.record[MARK..]);
        let rows = u32::try_from(self.record.len() - MARK).map_err(io::Error::other)?;
        self.record[..4].copy_from_slice(&rows.to_be_bytes());
        self.record[4..8].copy_from_slice(&sum.to_be_bytes());
        self.record[8..MARK].copy_from_slice(&self.next.to_be_bytes());
        segment.file.write_all_at(&self.record, segment.end)?;
        segment.file.sync_data()?;
        segment.end += length;
        Ok(())
    }

    /// Goes on in another segment.
    fn turn_over(&mut self, length: u64) -> io::Result<()> {
        if let Some(segment) = self.current.take() {
            self.full.push(Full { path: segment.path, last: self.next - 1 });
        }
        let path = if let Some(path) = self.spare.pop() {
            path
        } else {
            let path = self.fresh_path();
            prepare(&path)?;
            path
        };
        let segment = Segment::begin(path.clone(), self.next, length);
        if segment.is_err() {
            self.spare.push(path);
        }
        self.current = Some(segment?);
        Ok(())
    }

    /// The rows of these records are in the files, for good.
    pub(crate) fn filed(&mut self, through: u64) {
        let (filed, full) = std::mem::take(&mut self.full).into_iter().partition(|full| full.last <= through);
        self.full = full;
        for Full { path, .. } in filed {
            let is_usual = fs::metadata(&path).is_ok_and(|file| file.len() == SEGMENT);
            if self.spare.len() < SPARE && is_usual {
                self.spare.push(path);
            } else {
                // One that stays costs room; the next opening takes it up.
                let _ = fs::remove_file(path);
            }
        }
    }

    /// The path of a segment to be prepared elsewhere, if another one is wanted soon.
    pub(crate) fn wants(&mut self) -> Option<PathBuf> {
        self.spare.is_empty().then(|| self.fresh_path())
    }

    /// Takes a segment that was prepared.
    pub(crate) fn take(&mut self, path: PathBuf) {
        self.spare.push(path);
    }

    /// The number of the last record.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }

    fn fresh_path(&mut self) -> PathBuf {
        self.named += 1;
        self.folder.join(format!("{:08}", self.named - 1))
    }

    fn drop_one(&mut self) -> io::Result<()> {
        self.spare.pop().map_or(Ok(()), fs::remove_file)
    }
}

impl Segment {
    fn begin(path: PathBuf, first: u64, length: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let mut size = file.metadata()?.len();
        if HEAD as u64 + length > size {
            size = HEAD as u64 + length;
            file.set_len(size)?;
            file.sync_all()?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seal = now.as_nanos() as u64 ^ (u64::from(std::process::id()) << 32);
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&WORD);
        head[4..12].copy_from_slice(&seal.to_be_bytes());
        head[12..].copy_from_slice(&first.to_be_bytes());
        // Synced with the first record.
        file.write_all_at(&head, 0)?;
        Ok(Self { file, path, seal, end: HEAD as u64, size })
    }
}

/// Makes a segment: zeros that are on disk.
pub(crate) fn prepare(path: &Path) -> io::Result<()> {
    let made = fill(path);
    if made.is_err() {
        let _ = fs::remove_file(path);
    }
    made
}

fn fill(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all_at(&vec![0; SEGMENT as usize], 0)?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The records behind `filed`, in order. What stands behind a torn one was never answered.
pub(crate) fn found(store: &Path, filed: u64) -> io::Result<Vec<Found>> {
    let folder = store.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let mut read: Vec<(u64, Vec<Found>)> = Vec::new();
    for path in segments(&folder)? {
        if let Some(segment) = records(&fs::read(path)?, filed) {
            read.push(segment);
        }
    }
    read.sort_by_key(|(first, _)| *first);
    let firsts: Vec<u64> = read.iter().map(|(first, _)| *first).collect();
    let mut found: Vec<Found> = Vec::new();
    for (index, (_, records)) in read.into_iter().enumerate() {
        // A segment that begins anew voids what a failed write left in the one before.
        let until = firsts.get(index + 1).copied().unwrap_or(u64::MAX);
        found.extend(records.into_iter().filter(|record| record.number < until));
    }
    Ok(found)
}

fn records(segment: &[u8], filed: u64) -> Option<(u64, Vec<Found>)> {
    if segment.get(..4)? != WORD {
        return None;
    }
    let seal = u64::from_be_bytes(segment.get(4..12)?.try_into().ok()?);
    let first = u64::from_be_bytes(segment.get(12..HEAD)?.try_into().ok()?);
    let mut rest = segment.get(HEAD..)?;
    let mut found = Vec::new();
    let mut expected = first;
    while let Some((number, rows, behind)) = record(rest, seal, expected) {
        if number > filed {
            found.push(Found { number, rows: rows.to_vec() });
        }
        expected = number + 1;
        rest = behind;
    }
    Some((first, found))
}

fn record(bytes: &[u8], seal: u64, expected: u64) -> Option<(u64, &[u8], &[u8])> {
    let (mark, rest) = bytes.split_at_checked(MARK)?;
    let length = u32::from_be_bytes(mark[..4].try_into().ok()?) as usize;
    let sum = u32::from_be_bytes(mark[4..8].try_into().ok()?);
    let number = u64::from_be_bytes(mark[8..].try_into().ok()?);
    let (rows, behind) = rest.split_at_checked(length)?;
    (number == expected && checksum(seal, number, rows) == sum).then_some((number, rows, behind))
}

fn checksum(seal: u64, number: u64, rows: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&seal.to_be_bytes());
    sum.update(&number.to_be_bytes());
    sum.update(rows);
    sum.finalize()
}

fn segments(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if name_of(&path).is_some() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn name_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rows::{Entry, Image};

    fn image(name: &str) -> Image {
        Image::Entry(Arc::new(Entry::Switch { name: name.to_owned(), value: None }))
    }

    fn append(journal: &mut Journal, name: &str) -> u64 {
        journal.push(&image(name)).unwrap();
        journal.append().unwrap()
    }

    fn names(folder: &Path, filed: u64) -> Vec<String> {
        let name = |found: &Found| match postcard::from_bytes(&found.rows).unwrap() {
            Image::Entry(entry) => match &*entry {
                Entry::Switch { name, .. } => name.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        found(folder, filed).unwrap().iter().map(name).collect()
    }

    #[test]
    fn what_was_appended_is_found_and_what_is_filed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(names(folder.path(), 0).is_empty());
        let mut journal = Journal::open(folder.path(), 1).unwrap();
        for name in ["a", "b", "c"] {
            append(&mut journal, name);
        }
        assert_eq!(names(folder.path(), 0), ["a", "b", "c"]);
        assert_eq!(names(folder.path(), 2), ["c"]);
    }

    #[test]
    fn a_torn_record_and_what_an_earlier_use_left_behind_it_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        names(folder.path(), 0);
        let mut journal = Journal::open(folder.path(), 1).unwrap();
        for name in ["a", "b", "c"] {
            append(&mut journal, name);
        }
        drop(journal);
        // Filed, and written over from its beginning: `b` and `c` stand behind.
        let mut journal = Journal::open(folder.path(), 4).unwrap();
        append(&mut journal, "d");
        assert_eq!(names(folder.path(), 3), ["d"]);
        let path = segments(&folder.path().join(FOLDER)).unwrap().remove(0);
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"x", (HEAD + MARK + 3) as u64).unwrap();
        assert!(names(folder.path(), 3).is_empty());
    }

    #[test]
    fn the_record_of_a_failed_append_is_void_once_another_stands_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        names(folder.path(), 0);
        let mut journal = Journal::open(folder.path(), 1).unwrap();
        append(&mut journal, "a");
        append(&mut journal, "failed");
        // As if the sync of the second had failed.
        journal.next = 2;
        let segment = journal.current.take().unwrap();
        journal.full.push(Full { path: segment.path, last: 2 });
        append(&mut journal, "b");
        assert_eq!(names(folder.path(), 0), ["a", "b"]);
    }

    #[test]
    fn a_record_longer_than_a_segment_is_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        names(folder.path(), 0);
        let mut journal = Journal::open(folder.path(), 1).unwrap();
        let long = "x".repeat(SEGMENT as usize + 5);
        append(&mut journal, &long);
        append(&mut journal, "b");
        assert_eq!(names(folder.path(), 0), [long, "b".to_owned()]);
    }
}
