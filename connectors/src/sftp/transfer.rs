//! Reads and writes whole files: several pieces on their way at once.

use bytes::{Bytes, BytesMut};
use engine::{Content, Spool, StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    packet::{
        Answer, CLOSE, EMPTIED, EXTENDED, FOR_READING, FOR_WRITING, FSTAT, MADE, OPEN, READ, Refusal, WRITE,
    },
    session::{Lost, Session},
};
use crate::flow::place::{Kind, Stat};

/// What every server takes in one piece.
const PIECE: usize = 32 * 1024;
/// So many pieces are on their way at once.
const AT_ONCE: usize = 32;
/// Of a file that was cut, so much of what stands there is written again.
const DOUBTFUL: u64 = 1024 * 1024;

/// Why a file could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    Lost(Lost),
    Refused(Refusal),
    /// It is not what it was when it was opened.
    Changed,
    /// It cannot be taken, in words.
    Unfit(String),
    /// What came cannot be kept, in words.
    Unkept(String),
}

impl From<Lost> for Broken {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

/// A file that is open on the server.
struct Opened<'a> {
    session: &'a Session,
    handle: Bytes,
}

impl<'a> Opened<'a> {
    async fn new(session: &'a Session, path: &[u8], how: u32) -> Result<Self, Broken> {
        match session.ask(OPEN, |request| request.text(path).number(how).number(0)).await? {
            Answer::Handle(handle) => Ok(Self { session, handle }),
            answer => Err(odd(&answer)),
        }
    }

    async fn stat(&self) -> Result<(Kind, Stat), Broken> {
        match self.session.ask(FSTAT, |request| request.text(&self.handle)).await? {
            Answer::Attributes(kind, stat) => Ok((kind, stat)),
            answer => Err(odd(&answer)),
        }
    }

    /// Reads a piece whole: a server may give less than it was asked for.
    async fn read(&self, from: usize, length: usize) -> Result<Bytes, Broken> {
        let mut piece = BytesMut::with_capacity(length);
        while piece.len() < length {
            let (at, rest) = ((from + piece.len()) as u64, (length - piece.len()) as u32);
            let asked =
                self.session.ask(READ, |request| request.text(&self.handle).long(at).number(rest)).await?;
            match asked {
                Answer::Content(content) if !content.is_empty() && content.len() <= rest as usize => {
                    piece.extend_from_slice(&content);
                }
                Answer::Content(_) | Answer::Refused(Refusal::End) => return Err(Broken::Changed),
                answer => return Err(odd(&answer)),
            }
        }
        Ok(piece.freeze())
    }

    async fn write(&self, at: usize, piece: &[u8]) -> Result<(), Broken> {
        done(self.session.ask(WRITE, |request| request.text(&self.handle).long(at as u64).text(piece)).await?)
    }

    /// Makes it durable, where the server can.
    async fn settle(&self) -> Result<(), Broken> {
        if !self.session.has("fsync@openssh.com") {
            return Ok(());
        }
        done(
            self.session
                .ask(EXTENDED, |request| request.text(b"fsync@openssh.com").text(&self.handle))
                .await?,
        )
    }

    async fn close(self) -> Result<(), Broken> {
        done(self.session.ask(CLOSE, |request| request.text(&self.handle)).await?)
    }
}

/// Reads a whole file that is no longer than `longest`: one that is long goes to the disk as it comes.
pub(super) async fn read_into(
    session: &Session,
    path: &[u8],
    longest: u64,
    spool: Spool,
) -> Result<(Content, Stat), Broken> {
    let file = Opened::new(session, path, FOR_READING).await?;
    let read = spool_opened(&file, longest, spool).await;
    let closed = file.close().await;
    let read = read?;
    closed?;
    Ok(read)
}

async fn spool_opened(file: &Opened<'_>, longest: u64, mut spool: Spool) -> Result<(Content, Stat), Broken> {
    let before = stat_of(file, longest).await?;
    let unkept = |error: StoreError| Broken::Unkept(error.to_string());
    let mut pieces = stream::iter(pieces(file, before.size as usize)).buffered(AT_ONCE);
    while let Some(piece) = pieces.next().await {
        spool.write(&piece?).await.map_err(unkept)?;
    }
    let (_, after) = file.stat().await?;
    if after != before {
        return Err(Broken::Changed);
    }
    Ok((spool.end().await.map_err(unkept)?, after))
}

async fn stat_of(file: &Opened<'_>, longest: u64) -> Result<Stat, Broken> {
    match file.stat().await? {
        (Kind::File, stat) if stat.size <= longest => Ok(stat),
        (Kind::File, _) => Err(Broken::Unfit(format!("it is longer than `max_size`, {longest} bytes"))),
        _ => Err(Broken::Unfit("it is no file".to_owned())),
    }
}

/// Reads of all pieces of a file, in order.
fn pieces(
    file: &Opened<'_>,
    size: usize,
) -> impl Iterator<Item = impl Future<Output = Result<Bytes, Broken>>> {
    (0..size).step_by(PIECE).map(move |from| file.read(from, PIECE.min(size - from)))
}

/// Reads a whole file that is no longer than `longest`.
pub(super) async fn read(session: &Session, path: &[u8], longest: u64) -> Result<(Bytes, Stat), Broken> {
    let file = Opened::new(session, path, FOR_READING).await?;
    let read = read_opened(&file, longest).await;
    let closed = file.close().await;
    let read = read?;
    closed?;
    Ok(read)
}

async fn read_opened(file: &Opened<'_>, longest: u64) -> Result<(Bytes, Stat), Broken> {
    let before = stat_of(file, longest).await?;
    let pieces = stream::iter(pieces(file, before.size as usize));
    let pieces: Vec<Bytes> = pieces.buffered(AT_ONCE).try_collect().await?;
    let (_, after) = file.stat().await?;
    if after != before {
        return Err(Broken::Changed);
    }
    let whole = match <[Bytes; 1]>::try_from(pieces) {
        Ok([only]) => only,
        Err(pieces) => pieces.concat().into(),
    };
    Ok((whole, after))
}

/// Writes a file. Of what stands there from `stands` bytes on nothing is kept; what stands before is a beginning of it.
pub(super) async fn write(session: &Session, path: &[u8], bytes: &[u8], stands: u64) -> Result<(), Broken> {
    // The end of what was cut may never have reached the server's disk.
    let from = stands.saturating_sub(DOUBTFUL) as usize / PIECE * PIECE;
    let how = if from == 0 { FOR_WRITING | MADE | EMPTIED } else { FOR_WRITING | MADE };
    let file = Opened::new(session, path, how).await?;
    let written = write_opened(&file, bytes, from).await;
    let closed = file.close().await;
    written?;
    closed
}

async fn write_opened(file: &Opened<'_>, bytes: &[u8], from: usize) -> Result<(), Broken> {
    let pieces = (from..bytes.len()).step_by(PIECE);
    let pieces = pieces.map(|at| file.write(at, &bytes[at..bytes.len().min(at + PIECE)]));
    let mut pieces = stream::iter(pieces).buffered(AT_ONCE);
    while let Some(written) = pieces.next().await {
        written?;
    }
    file.settle().await?;
    let (_, stat) = file.stat().await?;
    if stat.size == bytes.len() as u64 { Ok(()) } else { Err(Broken::Changed) }
}

pub(super) fn done(answer: Answer) -> Result<(), Broken> {
    match answer {
        Answer::Done => Ok(()),
        answer => Err(odd(&answer)),
    }
}

/// A refusal, or an answer to something else than was asked.
pub(super) fn odd(answer: &Answer) -> Broken {
    match answer {
        Answer::Refused(refusal) => Broken::Refused(*refusal),
        _ => Broken::Lost(Lost("the server answered something else than it was asked".to_owned())),
    }
}
