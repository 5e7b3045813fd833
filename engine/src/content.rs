//! The bytes of a message or a payload: in memory, or in files of the store from which they are read piece by piece.

mod file;
mod read;
mod spool;

use std::{fmt, io, ops::Range, sync::Arc};

use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use self::{
    file::HeldFile,
    read::{Reader, Stream},
    spool::Spool,
};

/// From this length on bytes are better in a file than in memory.
const LONG: usize = 1 << 20;

/// Stretches that are shorter are copied rather than kept apart.
const FEW: u64 = 64 << 10;

/// Who needs all of it in memory gets no more than this.
const LONGEST_WHOLE: usize = 512 << 20;

/// Bytes that are shared, never copied, and never printed.
///
/// The one place that knows where a body lies: callers ask for its length, its hash, a reader of it, or the whole.
#[derive(Clone)]
pub struct Content(Form);

#[derive(Clone)]
enum Form {
    Here(Bytes),
    Apart(Arc<HeldFile>),
    Pieced(Arc<Pieced>),
}

struct Pieced {
    /// Each with the place where it begins.
    stretches: Vec<(u64, Stretch)>,
    length: u64,
}

/// One stretch of a body: new bytes, or a range of a file.
#[derive(Clone)]
pub enum Stretch {
    Here(Bytes),
    Apart { file: Arc<HeldFile>, range: Range<u64> },
}

/// Why a body cannot be had whole.
#[derive(Debug, thiserror::Error)]
pub enum NotWhole {
    #[error("its {0} bytes are more than the {LONGEST_WHOLE} that are read into memory")]
    TooLong(usize),
    #[error("its bytes cannot be read from the store: {0}")]
    Unread(#[from] io::Error),
}

impl Content {
    /// Bytes one after the other: joined where they are few, else read from where they lie.
    pub fn of(pieces: impl IntoIterator<Item = Self>) -> io::Result<Self> {
        let stretches: Vec<Stretch> = pieces.into_iter().flat_map(|piece| piece.stretches()).collect();
        if stretches.iter().map(Stretch::length).sum::<u64>() < LONG as u64 {
            let mut whole = Vec::new();
            stretches.iter().try_for_each(|stretch| stretch.append_to(&mut whole))?;
            return Ok(whole.into());
        }
        let (mut joined, mut few) = (Vec::new(), Vec::new());
        for stretch in stretches {
            if stretch.length() < FEW {
                stretch.append_to(&mut few)?;
                continue;
            }
            if !few.is_empty() {
                joined.push(Stretch::Here(std::mem::take(&mut few).into()));
            }
            joined.push(stretch);
        }
        if !few.is_empty() {
            joined.push(Stretch::Here(few.into()));
        }
        Ok(Self::of_stretches(joined))
    }

    /// What is made of these, wherever they lie.
    pub fn of_stretches(stretches: Vec<Stretch>) -> Self {
        let mut length = 0;
        let placed = stretches.into_iter().map(|stretch| {
            let begins = length;
            length += stretch.length();
            (begins, stretch)
        });
        let stretches = placed.collect();
        Self(Form::Pieced(Arc::new(Pieced { stretches, length })))
    }

    /// What lies in a file that is held.
    pub fn in_file(file: Arc<HeldFile>) -> Self {
        Self(Form::Apart(file))
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Here(bytes) => bytes.len(),
            Form::Apart(file) => file.length() as usize,
            Form::Pieced(pieced) => pieced.length as usize,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much of memory it takes, about; an open file counts as much as a short message.
    pub fn weight(&self) -> usize {
        const OPEN_FILE: usize = 64 << 10;
        let of_stretch = |stretch: &Stretch| match stretch {
            Stretch::Here(bytes) => bytes.len(),
            Stretch::Apart { .. } => OPEN_FILE,
        };
        match &self.0 {
            Form::Here(bytes) => bytes.len(),
            Form::Apart(_) => OPEN_FILE,
            Form::Pieced(pieced) => pieced.stretches.iter().map(|(_, stretch)| of_stretch(stretch)).sum(),
        }
    }

    /// The bytes, where they are in memory.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            Form::Here(bytes) => Some(bytes),
            Form::Apart(_) | Form::Pieced(_) => None,
        }
    }

    /// All bytes in memory, for those who cannot do with less; refused where they are too many.
    pub fn whole(&self) -> Result<Bytes, NotWhole> {
        if self.len() > LONGEST_WHOLE {
            return Err(NotWhole::TooLong(self.len()));
        }
        match self.bytes() {
            Some(bytes) => Ok(bytes.clone()),
            None => Ok(self.read(0..self.len() as u64)?),
        }
    }

    /// The first bytes, so many or all.
    pub fn head(&self, most: usize) -> io::Result<Bytes> {
        self.read(0..most.min(self.len()) as u64)
    }

    /// The file that it is, where it lies in one alone.
    pub fn file(&self) -> Option<&Arc<HeldFile>> {
        match &self.0 {
            Form::Apart(file) => Some(file),
            Form::Here(_) | Form::Pieced(_) => None,
        }
    }

    /// The stretches of which it is made.
    pub fn stretches(&self) -> Vec<Stretch> {
        self.stretches_by_place().into_iter().map(|(_, stretch)| stretch).collect()
    }

    /// Some of it, without a copy.
    #[must_use]
    pub fn slice(&self, range: Range<u64>) -> Self {
        if let Form::Here(bytes) = &self.0 {
            let within = |place: u64| (place as usize).min(bytes.len());
            return bytes.slice(within(range.start)..within(range.end.max(range.start))).into();
        }
        let (mut stretches, mut length) = (Vec::new(), 0);
        for (begins, stretch) in self.stretches_by_place() {
            let from = range.start.max(begins);
            let to = range.end.min(begins + stretch.length());
            if from < to {
                stretches.push((length, stretch.slice(from - begins..to - begins)));
                length += to - from;
            }
        }
        Self(Form::Pieced(Arc::new(Pieced { stretches, length })))
    }

    /// Some bytes from a place on; none behind the end.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Form::Here(bytes) => {
                let behind = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                let count = behind.len().min(into.len());
                into[..count].copy_from_slice(&behind[..count]);
                Ok(count)
            }
            Form::Apart(file) => file.read_at(at, into),
            Form::Pieced(pieced) => {
                let behind = pieced.stretches.partition_point(|(begins, _)| *begins <= at);
                let Some((begins, stretch)) = behind.checked_sub(1).map(|place| &pieced.stretches[place])
                else {
                    return Ok(0);
                };
                stretch.read_at(at - begins, into)
            }
        }
    }

    /// The bytes of a range, which is short enough for memory.
    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        if let Form::Here(bytes) = &self.0 {
            return Ok(bytes.slice(range.start as usize..range.end as usize));
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        io::Read::read_exact(&mut self.reader_from(range.start), &mut bytes)?;
        Ok(bytes.into())
    }

    /// Reads it from its beginning, waiting for the disk where it lies there.
    pub fn reader(&self) -> Reader {
        self.reader_from(0)
    }

    fn reader_from(&self, at: u64) -> Reader {
        Reader::new(self.clone(), at)
    }

    /// Reads it piece by piece, and lets others go on meanwhile.
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone())
    }

    /// Its SHA-256: known of what lies in a file of its own, worked out for all else.
    ///
    /// What cannot be read any more has a hash like no other.
    pub fn hash(&self) -> Hash {
        match &self.0 {
            Form::Here(bytes) => Hash::of(&[bytes]),
            Form::Apart(file) => file.hash(),
            Form::Pieced(pieced) => {
                let address = (Arc::as_ptr(pieced) as usize).to_be_bytes();
                read::hash(&mut self.reader()).unwrap_or_else(|_| Hash::of(&[b"unread", &address]))
            }
        }
    }

    fn stretches_by_place(&self) -> Vec<(u64, Stretch)> {
        match &self.0 {
            Form::Here(bytes) if bytes.is_empty() => Vec::new(),
            Form::Here(bytes) => vec![(0, Stretch::Here(bytes.clone()))],
            Form::Apart(file) => {
                vec![(0, Stretch::Apart { file: Arc::clone(file), range: 0..file.length() })]
            }
            Form::Pieced(pieced) => pieced.stretches.clone(),
        }
    }
}

impl Stretch {
    pub fn length(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Apart { range, .. } => range.end - range.start,
        }
    }

    fn slice(&self, within: Range<u64>) -> Self {
        match self {
            Self::Here(bytes) => Self::Here(bytes.slice(within.start as usize..within.end as usize)),
            Self::Apart { file, range } => Self::Apart {
                file: Arc::clone(file),
                range: range.start + within.start..range.start + within.end,
            },
        }
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Here(bytes) => Content::from(bytes.clone()).read_at(at, into),
            Self::Apart { file, range } => {
                let left = (range.end - range.start).saturating_sub(at);
                let most = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                file.read_at(range.start + at, &mut into[..most])
            }
        }
    }

    fn append_to(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let begins = bytes.len();
        bytes.resize(begins + self.length() as usize, 0);
        io::Read::read_exact(&mut self.content().reader(), &mut bytes[begins..])
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here(one), Self::Here(other)) => one == other,
            (Self::Apart { file, range }, Self::Apart { file: other, range: others }) => {
                (Arc::ptr_eq(file, other) || file.hash() == other.hash()) && range == others
            }
            _ => false,
        }
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self(Form::Here(bytes.into()))
    }
}

impl Default for Content {
    fn default() -> Self {
        Self(Form::Here(Bytes::new()))
    }
}

/// The same bytes, as far as that is known without reading a file: what was pieced together is like what was pieced so too.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Here(one), Form::Here(other)) => one == other,
            (Form::Pieced(one), Form::Pieced(other)) if Arc::ptr_eq(one, other) => true,
            (Form::Pieced(_), _) | (_, Form::Pieced(_)) => {
                let (one, other) = (self.stretches(), other.stretches());
                one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| one.is(other))
            }
            _ => self.len() == other.len() && self.hash() == other.hash(),
        }
    }
}

impl Eq for Content {}

/// Shows the length alone: a body may hold a patient.
impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Content({} bytes)", self.len())
    }
}

/// A SHA-256: names bytes, versions and effects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Hashes several parts so that no two lists of parts can be confused.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut sha = Sha256::new();
        for part in parts {
            if parts.len() > 1 {
                sha.update((part.len() as u64).to_be_bytes());
            }
            sha.update(part);
        }
        Self(sha.finalize().into())
    }

    /// The hash of all that a reader has, of which little is held at a time.
    pub fn of_reader(reader: &mut impl io::Read) -> io::Result<Self> {
        read::hash(reader)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests;
