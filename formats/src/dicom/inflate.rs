//! The deflated part of an instance, as if it were not: read forward, of any length, without holding it.

use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;

use super::error::{DicomError, Why};

/// The longest deflated part that is taken, as it is when inflated: few bytes grow to a thousand times as many.
pub(crate) const LONGEST_INFLATED: u64 = 64 << 20;

/// The inflated bytes behind a place of a reader. Goes forward alone; back only to its beginning.
pub(crate) struct Inflated<'r, R: Read> {
    decoder: DeflateDecoder<Taken<'r, R>>,
    starts: u64,
    at: u64,
}

/// What a decoder reads from.
struct Taken<'r, R>(&'r mut R);

impl<R: Read> Read for Taken<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl<'r, R: Read + Seek> Inflated<'r, R> {
    /// What is deflated from `starts` on. Its places count on from there, as if it stood so in the file.
    pub(crate) fn new(reader: &'r mut R, starts: u64) -> io::Result<Self> {
        reader.seek(SeekFrom::Start(starts))?;
        Ok(Self { decoder: DeflateDecoder::new(Taken(reader)), starts, at: starts })
    }

    /// The place behind the last byte, found by reading all.
    pub(crate) fn measure(reader: &'r mut R, starts: u64) -> Result<u64, DicomError> {
        let failed = |error| DicomError::read(starts, error);
        let mut inflated = Self::new(reader, starts).map_err(failed)?;
        let length =
            io::copy(&mut (&mut inflated).take(LONGEST_INFLATED + 1), &mut io::sink()).map_err(failed)?;
        if length > LONGEST_INFLATED {
            return Err(DicomError::new(starts, None, Why::Inflated(LONGEST_INFLATED)));
        }
        Ok(starts + length)
    }
}

impl<R: Read> Read for Inflated<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl<R: Read> Seek for Inflated<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(to) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        if to < self.at || to < self.starts {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let over = to - self.at;
        if io::copy(&mut self.take(over), &mut io::sink())? < over {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(to)
    }
}
