//! The packets of SFTP version 3: requests written, answers read. Names are bytes, as the server has them.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::flow::place::{Entry, Kind, Stat};

pub(super) const INIT: u8 = 1;
pub(super) const VERSION: u8 = 2;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const LSTAT: u8 = 7;
pub(super) const FSTAT: u8 = 8;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const RMDIR: u8 = 15;
pub(super) const RENAME: u8 = 18;
pub(super) const EXTENDED: u8 = 200;

const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

/// How a file is opened.
pub(super) const FOR_READING: u32 = 0x01;
pub(super) const FOR_WRITING: u32 = 0x02;
pub(super) const MADE: u32 = 0x08;
pub(super) const EMPTIED: u32 = 0x10;

/// The longest packet that is taken from a server.
pub(super) const LONGEST: usize = 512 * 1024;

/// Why a server said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    End,
    Missing,
    Denied,
    /// It says no more than that: the name is taken, the disk is full…
    Failure,
    Unsupported,
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Refused(Refusal),
    Handle(Bytes),
    Content(Bytes),
    Entries(Vec<Entry>),
    Attributes(Kind, Stat),
    Extended(Bytes),
}

/// A request as it is written: its kind, its number, and what follows.
pub(super) struct Request(BytesMut);

impl Request {
    pub(super) fn new(kind: u8, number: u32) -> Self {
        let mut bytes = BytesMut::with_capacity(64);
        bytes.put_u32(0);
        bytes.put_u8(kind);
        bytes.put_u32(number);
        Self(bytes)
    }

    #[must_use]
    pub(super) fn text(mut self, text: &[u8]) -> Self {
        self.0.put_u32(text.len() as u32);
        self.0.put_slice(text);
        self
    }

    #[must_use]
    pub(super) fn number(mut self, number: u32) -> Self {
        self.0.put_u32(number);
        self
    }

    #[must_use]
    pub(super) fn long(mut self, number: u64) -> Self {
        self.0.put_u64(number);
        self
    }

    pub(super) fn finish(mut self) -> Bytes {
        let length = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0.freeze()
    }
}

/// Reads the answer to a request: its number, and what it says. `None` where it is none.
pub(super) fn read(mut packet: Bytes) -> Option<(u32, Answer)> {
    let kind = packet.try_get_u8().ok()?;
    let number = packet.try_get_u32().ok()?;
    let answer = match kind {
        STATUS => match packet.try_get_u32().ok()? {
            0 => Answer::Done,
            1 => Answer::Refused(Refusal::End),
            2 => Answer::Refused(Refusal::Missing),
            3 => Answer::Refused(Refusal::Denied),
            8 => Answer::Refused(Refusal::Unsupported),
            _ => Answer::Refused(Refusal::Failure),
        },
        HANDLE => Answer::Handle(text(&mut packet)?),
        DATA => Answer::Content(text(&mut packet)?),
        NAME => Answer::Entries(entries(&mut packet)?),
        ATTRS => attributes(&mut packet).map(|(kind, stat)| Answer::Attributes(kind, stat))?,
        EXTENDED_REPLY => Answer::Extended(packet),
        _ => return None,
    };
    Some((number, answer))
}

/// Reads what a server says of itself: its version, and the names of its extensions.
pub(super) fn version(mut packet: Bytes) -> Option<(u32, Vec<Bytes>)> {
    if packet.try_get_u8().ok()? != VERSION {
        return None;
    }
    let version = packet.try_get_u32().ok()?;
    let mut extensions = Vec::new();
    while packet.has_remaining() {
        extensions.push(text(&mut packet)?);
        text(&mut packet)?;
    }
    Some((version, extensions))
}

fn text(packet: &mut Bytes) -> Option<Bytes> {
    let length = packet.try_get_u32().ok()? as usize;
    (length <= packet.remaining()).then(|| packet.split_to(length))
}

fn entries(packet: &mut Bytes) -> Option<Vec<Entry>> {
    let count = packet.try_get_u32().ok()? as usize;
    // Each has two lengths and flags at least: what says more is not believed.
    let mut entries = Vec::with_capacity(count.min(packet.remaining() / 12));
    for _ in 0..count {
        let name = text(packet)?.to_vec();
        text(packet)?;
        let (kind, stat) = attributes(packet)?;
        entries.push(Entry { name, kind, stat });
    }
    Some(entries)
}

fn attributes(packet: &mut Bytes) -> Option<(Kind, Stat)> {
    let flags = packet.try_get_u32().ok()?;
    let mut stat = Stat::default();
    // A server that does not say what it is may hold anything: then it is not taken.
    let mut kind = Kind::Other;
    if flags & 0x1 != 0 {
        stat.size = packet.try_get_u64().ok()?;
    }
    if flags & 0x2 != 0 {
        packet.try_get_u64().ok()?;
    }
    if flags & 0x4 != 0 {
        kind = match packet.try_get_u32().ok()? & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Folder,
            _ => Kind::Other,
        };
    }
    if flags & 0x8 != 0 {
        packet.try_get_u32().ok()?;
        stat.modified = i64::from(packet.try_get_u32().ok()?) * 1_000_000_000;
    }
    if flags & 0x8000_0000 != 0 {
        for _ in 0..packet.try_get_u32().ok()? {
            text(packet)?;
            text(packet)?;
        }
    }
    Some((kind, stat))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listing_keeps_names_that_are_no_text() {
        let packet = Request::new(NAME, 7)
            .number(1)
            .text(b"a\xff.hl7")
            .text(b"-rw-r--r-- long name")
            .number(0x4 | 0x8 | 0x1)
            .long(5)
            .number(0o100_644)
            .number(1)
            .number(2);
        let (number, answer) = read(packet.finish().slice(4..)).unwrap();
        let stat = Stat { size: 5, modified: 2_000_000_000 };
        assert_eq!(
            (number, answer),
            (7, Answer::Entries(vec![Entry { name: b"a\xff.hl7".to_vec(), kind: Kind::File, stat }]))
        );
    }

    #[test]
    fn an_answer_that_ends_early_is_none() {
        let whole = Request::new(HANDLE, 1).text(b"handle").finish();
        for end in 4..whole.len() {
            assert_eq!(read(whole.slice(4..end)), None, "{end}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_server_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(Bytes::from(bytes.clone()));
            let _ = version(Bytes::from(bytes));
        }
    }
}
