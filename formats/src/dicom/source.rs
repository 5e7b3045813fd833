//! Where an instance lies: bytes that can be had from any place, in memory or not.

use std::{
    any::Any,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;

/// Bytes by their place.
pub trait Source: Any + Send + Sync {
    /// How many there are.
    fn length(&self) -> u64;

    /// Some bytes from a place on; none behind the end.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Itself, for who made it and knows of which kind it is.
    fn as_any(&self) -> &dyn Any;
}

impl Source for Bytes {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let behind = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = behind.len().min(into.len());
        into[..count].copy_from_slice(&behind[..count]);
        Ok(count)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Reads a source from its beginning, or from where it is told to.
#[derive(Clone)]
pub(crate) struct Reader {
    source: Arc<dyn Source>,
    at: u64,
}

impl Reader {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self { source, at: 0 }
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(self.at, into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.length().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A stretch of an instance as it shall be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands in the source.
    Kept(Range<u64>),
    /// New bytes.
    Written(Bytes),
}

impl Piece {
    /// How long it is.
    pub fn length(&self) -> u64 {
        match self {
            Self::Kept(range) => range.end - range.start,
            Self::Written(bytes) => bytes.len() as u64,
        }
    }

    /// Puts one behind the others, as one with the last where the two belong together.
    pub(crate) fn push(pieces: &mut Vec<Self>, piece: Self) {
        match (pieces.last_mut(), piece) {
            (Some(Self::Kept(before)), Self::Kept(behind)) if before.end == behind.start => {
                before.end = behind.end;
            }
            (_, piece) if piece.length() > 0 => pieces.push(piece),
            _ => {}
        }
    }
}
