//! A look at a file through a small window: what is passed over is never in memory.

use std::io::{Read, Seek, SeekFrom};

use super::error::{DicomError, Why};

const WIDTH: usize = 4096;

/// Bytes of a reader by their place. Looks forward mostly; it need not be able to go back where nobody does.
pub struct Window<R> {
    reader: R,
    length: u64,
    seen: Vec<u8>,
    /// The place of the first byte seen.
    start: u64,
}

impl<R: Read + Seek> Window<R> {
    /// A window on all that a reader has.
    pub fn new(mut reader: R) -> Result<Self, DicomError> {
        let length = reader.seek(SeekFrom::End(0)).map_err(|error| DicomError::read(0, error))?;
        reader.seek(SeekFrom::Start(0)).map_err(|error| DicomError::read(0, error))?;
        Ok(Self::of_length(reader, length))
    }

    /// A window on a reader that stands at its beginning and whose length is known.
    pub(crate) fn of_length(reader: R, length: u64) -> Self {
        Self { reader, length, seen: Vec::new(), start: 0 }
    }

    /// How long the whole is.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What it looks at.
    pub(crate) fn into_reader(self) -> R {
        self.reader
    }

    /// So many bytes from a place on: few, as those of a header.
    pub(crate) fn few<const N: usize>(&mut self, at: u64) -> Result<[u8; N], DicomError> {
        if at + N as u64 > self.length {
            return Err(DicomError::new(at, None, Why::Unfinished));
        }
        self.show(at, N)?;
        let from = (at - self.start) as usize;
        Ok(*self.seen[from..].first_chunk().expect("as many are seen as were asked for"))
    }

    /// The bytes of a value. The caller has looked at its length.
    pub fn bytes(&mut self, at: u64, length: u64) -> Result<Vec<u8>, DicomError> {
        if at.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(DicomError::new(at, None, Why::Unfinished));
        }
        let mut bytes = Vec::with_capacity(length as usize);
        while (bytes.len() as u64) < length {
            let here = at + bytes.len() as u64;
            self.show(here, 1)?;
            let seen = &self.seen[(here - self.start) as usize..];
            bytes.extend_from_slice(&seen[..seen.len().min((length as usize) - bytes.len())]);
        }
        Ok(bytes)
    }

    /// Moves the window until it shows so many bytes from a place on.
    fn show(&mut self, at: u64, count: usize) -> Result<(), DicomError> {
        let end = self.start + self.seen.len() as u64;
        if at >= self.start && at + count as u64 <= end {
            return Ok(());
        }
        if at >= self.start && at <= end {
            self.seen.drain(..(at - self.start) as usize);
        } else {
            self.seen.clear();
            self.reader.seek(SeekFrom::Start(at)).map_err(|error| DicomError::read(at, error))?;
        }
        self.start = at;
        self.fill(count).map_err(|error| DicomError::read(at, error))
    }

    fn fill(&mut self, count: usize) -> std::io::Result<()> {
        let kept = self.seen.len();
        self.seen.resize(WIDTH.max(count), 0);
        let mut filled = kept;
        while filled < count {
            match self.reader.read(&mut self.seen[filled..]) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.seen.truncate(filled);
        Ok(())
    }
}
