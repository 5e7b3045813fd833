//! The journal: what was answered is on disk here first, and in the files of the store later.
//!
//! A record is one write of the store: the rows that it changed, as they stand after it. Records are appended to a
//! segment, a file that was filled with zeros and synced before, so that an append changes no metadata and a sync is as
//! short as the disk allows. A segment whose rows are all in the files is written over. Each use of one is a turn with a
//! number and a seal of its own: what stands behind the last record, from an earlier use, is never taken for one, and
//! of two that begin with the same record the later turn counts. Reading back is in `replay.rs`.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
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
/// At the beginning of a segment: the word, its checksum, its seal, the number of its first record, and its turn.
pub(crate) const HEAD: usize = 32;
const WORD: [u8; 4] = *b"RLJ2";
/// Before each record: its length, its checksum and its number.
pub(crate) const MARK: usize = 16;

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
    /// The next turn.
    turn: u64,
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

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seal: u64,
    /// The number of its first record.
    pub(crate) first: u64,
    /// Of the uses of all segments, which this is.
    pub(crate) turn: u64,
}

impl Journal {
    /// Opens the folder to append record `next`; what was appended and not filed is read first, with `replay.rs`.
    pub(crate) fn open(store: &Path, next: u64) -> io::Result<Self> {
        let folder = store.join(FOLDER);
        let paths = segments(store)?;
        let named = paths.iter().filter_map(|path| name_of(path)).max().map_or(0, |highest| highest + 1);
        let mut used: Vec<(u64, PathBuf)> = Vec::with_capacity(paths.len());
        for path in paths {
            let head = Head::of(&fs::read(&path)?).ok().flatten();
            used.push((head.map_or(0, |head| head.turn), path));
        }
        used.sort();
        let turn = used.last().map_or(1, |(turn, _)| turn + 1);
        // The newest stays: it tells the next opening how far the journal went.
        for (_, path) in used.drain(..used.len().saturating_sub(LEFT)) {
            fs::remove_file(path)?;
        }
        // What is first written is first torn: never the newest, while it alone tells.
        let spare = used.into_iter().rev().map(|(_, path)| path).collect();
        let mut journal =
            Self { folder, current: None, full: Vec::new(), spare, next, named, turn, record: vec![0; MARK] };
        if journal.spare.len() < LEFT {
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
        self.turn += 1;
        let segment = Segment::begin(path.clone(), (self.next, self.turn - 1), length);
        // One that is gone is not asked for again; any other has its turn after the rest.
        if segment.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            self.spare.insert(0, path);
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
            // While none is current, it may be the newest, which tells how far the journal went.
            if self.current.is_none() || (self.spare.len() < SPARE && is_usual) {
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

    #[cfg(test)]
    pub(crate) fn as_if_the_last_append_had_failed(&mut self) {
        self.next -= 1;
        let segment = self.current.take().expect("something was appended");
        self.full.push(Full { path: segment.path, last: self.next });
    }

    fn fresh_path(&mut self) -> PathBuf {
        self.named += 1;
        self.folder.join(format!("{:08}", self.named - 1))
    }
}

impl Segment {
    fn begin(path: PathBuf, (first, turn): (u64, u64), length: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let mut size = file.metadata()?.len();
        if HEAD as u64 + length > size {
            size = HEAD as u64 + length;
            file.set_len(size)?;
            file.sync_all()?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seal = now.as_nanos() as u64 ^ (u64::from(std::process::id()) << 32);
        // Synced with the first record.
        file.write_all_at(&Head { seal, first, turn }.bytes(), 0)?;
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

impl Head {
    fn bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..4].copy_from_slice(&WORD);
        bytes[8..16].copy_from_slice(&self.seal.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_be_bytes());
        bytes[24..].copy_from_slice(&self.turn.to_be_bytes());
        let sum = crc32fast::hash(&bytes[8..]);
        bytes[4..8].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The head of a segment; `None` of one that was never used, `Err` of one that cannot be read.
    pub(crate) fn of(segment: &[u8]) -> Result<Option<Self>, ()> {
        let head = segment.get(..HEAD).unwrap_or(segment);
        if head.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let number = |at: usize| {
            head.get(at..at + 8).and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)))
        };
        let (Some(seal), Some(first), Some(turn)) = (number(8), number(16), number(24)) else {
            return Err(());
        };
        let read = Self { seal, first, turn };
        if read.bytes() == head { Ok(Some(read)) } else { Err(()) }
    }
}

/// Of one record; the seal and the number are in it, so that a record counts in its own place alone.
pub(crate) fn checksum(seal: u64, number: u64, rows: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&seal.to_be_bytes());
    sum.update(&number.to_be_bytes());
    sum.update(rows);
    sum.finalize()
}

/// The files of the journal, by name; makes the folder where there is none.
pub(crate) fn segments(store: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = store.join(FOLDER);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder)? {
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
