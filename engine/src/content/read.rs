//! Reading a body from where it lies.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::{Content, Form, Hash, Stretch};

/// So much is read from a file at once.
const PIECE: usize = 256 << 10;

/// Reads a body, and waits for the disk.
pub struct Reader {
    content: Content,
    at: u64,
}

impl Reader {
    pub(super) fn new(content: Content, at: u64) -> Self {
        Self { content, at }
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read_at(self.at, into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => (self.content.len() as u64).checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Gives a body piece by piece; while one is sent, the next is read.
pub struct Stream {
    content: Content,
    at: u64,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Stream {
    pub(super) fn new(content: Content) -> Self {
        Self { content, at: 0, ahead: None }
    }

    /// The next piece; none at the end. What was asked for and not waited for is not lost.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Form::Here(bytes) = &self.content.0 {
            let rest = bytes.slice(self.at as usize..);
            self.at = bytes.len() as u64;
            return Ok(Some(rest).filter(|rest| !rest.is_empty()));
        }
        if self.ahead.is_none() {
            self.look_ahead();
        }
        let Some(ahead) = &mut self.ahead else { return Ok(None) };
        let piece = ahead.await;
        self.ahead = None;
        let piece = piece.map_err(io::Error::other)??;
        self.look_ahead();
        Ok(Some(piece))
    }

    /// Begins to read the piece behind those that were asked for.
    fn look_ahead(&mut self) {
        let (at, length) = (self.at, self.content.len() as u64);
        let end = length.min(at + PIECE as u64);
        if at < end {
            self.at = end;
            let content = self.content.clone();
            self.ahead = Some(tokio::task::spawn_blocking(move || content.read(at..end)));
        }
    }
}

/// The hash of all that a reader has.
pub(super) fn hash(reader: &mut impl Read) -> io::Result<Hash> {
    let mut sha = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(Hash(sha.finalize().into())),
            Ok(read) => sha.update(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Stretch {
    /// The stretch as a body of its own.
    pub fn content(&self) -> Content {
        Content::of_stretches(vec![self.clone()])
    }
}
