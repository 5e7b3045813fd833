//! Reads, writes and compares files: several pieces on their way at once, and no file ever whole in memory.

use std::{future, io, pin::pin};

use bytes::{Bytes, BytesMut};
use engine::{Content, NotWhole, Spool, StoreError};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

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
    /// What came cannot be kept here, or what is to go cannot be read here, in words.
    Here(String),
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

    async fn write(&self, at: u64, piece: Bytes) -> Result<(), Broken> {
        done(self.session.ask(WRITE, |request| request.text(&self.handle).long(at).text(&piece)).await?)
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
    let unkept = |error: StoreError| Broken::Here(error.to_string());
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

/// A body in pieces of the same length as those of [`pieces`], each with its place.
fn ours(body: &Content, from: u64) -> impl Stream<Item = Result<(u64, Bytes), Broken>> {
    let unread = |error: io::Error| Broken::Here(NotWhole::from(error).to_string());
    let rest = body.slice(from..body.len() as u64).stream();
    let blocks = stream::try_unfold((rest, from), move |(mut rest, at)| async move {
        let block = rest.next().await.map_err(unread)?;
        Ok::<_, Broken>(block.map(|block| {
            let next = at + block.len() as u64;
            ((at, block), (rest, next))
        }))
    });
    let split = |(at, block): (u64, Bytes)| {
        let begins = (0..block.len()).step_by(PIECE);
        stream::iter(begins.map(move |begins| {
            Ok((at + begins as u64, block.slice(begins..block.len().min(begins + PIECE))))
        }))
    };
    blocks.map_ok(split).try_flatten()
}

/// Whether a file holds this body.
pub(super) async fn holds(session: &Session, path: &[u8], body: &Content) -> Result<bool, Broken> {
    let file = Opened::new(session, path, FOR_READING).await?;
    let held = holds_opened(&file, body).await;
    let closed = file.close().await;
    let held = held?;
    closed?;
    Ok(held)
}

async fn holds_opened(file: &Opened<'_>, body: &Content) -> Result<bool, Broken> {
    let before = stat_of(file, body.len() as u64).await?;
    if before.size != body.len() as u64 {
        return Ok(false);
    }
    let ours = ours(body, 0).map_ok(|(_, piece)| piece);
    let theirs = stream::iter(pieces(file, before.size as usize)).buffered(AT_ONCE);
    let is_same = are_same(ours, theirs).await?;
    Ok(is_same && file.stat().await?.1 == before)
}

/// Whether two files of the server hold the same. One that cannot be opened under the `other` name is another one's.
pub(super) async fn same(session: &Session, one: &[u8], other: &[u8]) -> Result<bool, Broken> {
    let one = Opened::new(session, one, FOR_READING).await?;
    let is_same = match Opened::new(session, other, FOR_READING).await {
        Ok(other) => {
            let is_same = same_opened(&one, &other).await;
            let closed = other.close().await;
            is_same.and_then(|is_same| closed.map(|()| is_same))
        }
        Err(Broken::Refused(_)) => Ok(false),
        Err(broken) => Err(broken),
    };
    let closed = one.close().await;
    let is_same = is_same?;
    closed?;
    Ok(is_same)
}

async fn same_opened(one: &Opened<'_>, other: &Opened<'_>) -> Result<bool, Broken> {
    let ((kind, stat), (others_kind, others)) = (one.stat().await?, other.stat().await?);
    if kind != others_kind || stat.size != others.size {
        return Ok(false);
    }
    let of = |file| stream::iter(pieces(file, stat.size as usize)).buffered(AT_ONCE / 2);
    are_same(of(one), of(other)).await
}

/// Compares what comes in pieces of the same lengths, up to the first that differs.
async fn are_same(
    one: impl Stream<Item = Result<Bytes, Broken>>,
    other: impl Stream<Item = Result<Bytes, Broken>>,
) -> Result<bool, Broken> {
    let mut both = pin!(one.zip(other));
    while let Some((one, other)) = both.next().await {
        if one? != other? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes a file. Of what stands there from `stands` bytes on nothing is kept; what stands before is a beginning of it.
pub(super) async fn write(session: &Session, path: &[u8], body: &Content, stands: u64) -> Result<(), Broken> {
    // The end of what was cut may never have reached the server's disk.
    let from = stands.saturating_sub(DOUBTFUL) / PIECE as u64 * PIECE as u64;
    let how = if from == 0 { FOR_WRITING | MADE | EMPTIED } else { FOR_WRITING | MADE };
    let file = Opened::new(session, path, how).await?;
    let written = write_opened(&file, body, from).await;
    let closed = file.close().await;
    written?;
    closed
}

async fn write_opened(file: &Opened<'_>, body: &Content, from: u64) -> Result<(), Broken> {
    let pieces = ours(body, from).map_ok(|(at, piece)| file.write(at, piece));
    pieces.try_buffered(AT_ONCE).try_for_each(|()| future::ready(Ok(()))).await?;
    file.settle().await?;
    let (_, stat) = file.stat().await?;
    if stat.size == body.len() as u64 { Ok(()) } else { Err(Broken::Changed) }
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
        _ => Broken::Lost(Lost("the server answered something else than it was asked".into())),
    }
}
