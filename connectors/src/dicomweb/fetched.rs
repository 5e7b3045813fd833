//! An instance that is fetched, as it comes: into a spool, or past the one that it is compared with.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use engine::{Content, Spool, Stream};
use hyper::{HeaderMap, header::CONTENT_TYPE};

use super::multipart::Unwrapping;
use crate::{
    part10::{LONGEST_META, Meta},
    web::Sink,
};

/// Keeps what comes: in memory while it is short, from then on in a file.
pub(super) struct Fetched {
    unwrapping: Unwrapping,
    spool: Spool,
    most: usize,
}

impl Fetched {
    pub(super) fn new(spool: Spool, most: usize) -> Self {
        Self { unwrapping: Unwrapping::default(), spool, most }
    }

    /// The instance, once its answer has come to its end.
    pub(super) async fn end(self) -> Result<Content, String> {
        self.unwrapping.end()?;
        self.spool.end().await.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Sink for Fetched {
    fn begin(&mut self, headers: &HeaderMap) {
        self.unwrapping = Unwrapping::begin(kind(headers));
    }

    async fn take(&mut self, piece: Bytes) -> Result<(), String> {
        for piece in self.unwrapping.feed(piece)? {
            if self.spool.len() + piece.len() as u64 > self.most as u64 {
                return Err(format!("an instance is longer than {} bytes (`max_size`)", self.most));
            }
            self.spool.write(&piece).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Compares what comes with an instance of ours, and keeps neither.
pub(super) struct Compared {
    unwrapping: Unwrapping,
    syntax: String,
    /// What came before its data set was found.
    head: Option<BytesMut>,
    /// Our data set, as far as theirs has not come.
    ours: Stream,
    piece: Bytes,
    differs: Option<String>,
}

impl Compared {
    pub(super) fn with(file: &Content, meta: &Meta) -> Self {
        Self {
            unwrapping: Unwrapping::default(),
            syntax: meta.transfer_syntax.clone(),
            head: Some(BytesMut::new()),
            ours: file.slice(meta.data_set as u64..file.len() as u64).stream(),
            piece: Bytes::new(),
            differs: None,
        }
    }

    /// In what it differs, if that is known already.
    pub(super) fn differs(&self) -> Option<&str> {
        self.differs.as_deref()
    }

    /// In what it differs, once all of it has come.
    pub(super) async fn end(mut self) -> Result<Option<String>, String> {
        self.unwrapping.end()?;
        if self.begin_comparing().await.is_ok() && (!self.piece.is_empty() || self.more().await?) {
            self.differs = Some("with other bytes".to_owned());
        }
        Ok(self.differs)
    }

    /// Looks where their data set begins, and compares what has come of it.
    async fn begin_comparing(&mut self) -> Result<(), String> {
        let Some(head) = self.head.take() else { return Ok(()) };
        let head = head.freeze();
        match Meta::read(&head) {
            Ok(theirs) if theirs.transfer_syntax != self.syntax => self.differ("in another transfer syntax"),
            Ok(theirs) => self.compare(head.slice(theirs.data_set..)).await,
            Err(why) => self.differ(&format!("which cannot be read: {why}")),
        }
    }

    async fn compare(&mut self, mut theirs: Bytes) -> Result<(), String> {
        while !theirs.is_empty() {
            if self.piece.is_empty() && !self.more().await? {
                return self.differ("with other bytes");
            }
            let length = theirs.len().min(self.piece.len());
            if theirs.split_to(length) != self.piece.split_to(length) {
                return self.differ("with other bytes");
            }
        }
        Ok(())
    }

    /// Reads on in ours; false at its end.
    async fn more(&mut self) -> Result<bool, String> {
        let read = self.ours.next().await.map_err(|error| format!("ours cannot be read: {error}"))?;
        self.piece = read.unwrap_or_default();
        Ok(!self.piece.is_empty())
    }

    fn differ(&mut self, how: &str) -> Result<(), String> {
        self.differs = Some(how.to_owned());
        Err(how.to_owned())
    }
}

#[async_trait]
impl Sink for Compared {
    fn begin(&mut self, headers: &HeaderMap) {
        self.unwrapping = Unwrapping::begin(kind(headers));
    }

    async fn take(&mut self, piece: Bytes) -> Result<(), String> {
        for piece in self.unwrapping.feed(piece)? {
            let Some(head) = &mut self.head else {
                self.compare(piece).await?;
                continue;
            };
            head.extend_from_slice(&piece);
            if head.len() >= LONGEST_META {
                self.begin_comparing().await?;
            }
        }
        Ok(())
    }
}

fn kind(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(syntax: &str, data_set: &[u8]) -> Bytes {
        let meta = Meta {
            sop_class: "1.2.3".to_owned(),
            sop_instance: "1.2.4".to_owned(),
            transfer_syntax: syntax.to_owned(),
            data_set: 0,
        };
        [meta.written(), data_set.to_vec()].concat().into()
    }

    async fn compared(ours: &Bytes, theirs: &Bytes, by: usize) -> Option<String> {
        let mut comparing = Compared::with(&ours.clone().into(), &Meta::read(ours).unwrap());
        comparing.begin(&HeaderMap::new());
        for piece in theirs.chunks(by) {
            if comparing.take(Bytes::copy_from_slice(piece)).await.is_err() {
                return comparing.differs().map(str::to_owned);
            }
        }
        comparing.end().await.unwrap()
    }

    #[tokio::test]
    async fn what_comes_is_compared_by_its_data_set_however_it_comes() {
        let long: Vec<u8> = (0..200_000_u32).map(|place| place as u8).collect();
        let syntax = "1.2.840.10008.1.2.1";
        for data_set in [&long[..], &long[..10], &[]] {
            let ours = file(syntax, data_set);
            for by in [1000, 70_000, 1 << 20] {
                assert_eq!(compared(&ours, &file(syntax, data_set), by).await, None);
                let longer = file(syntax, &[data_set, &[1; 8]].concat());
                assert!(
                    compared(&ours, &longer, by).await.is_some()
                        && compared(&longer, &ours, by).await.is_some()
                );
                let other = compared(&ours, &file("1.2.840.10008.1.2", data_set), by).await;
                assert_eq!(other.as_deref(), Some("in another transfer syntax"));
            }
        }
        let mut changed = long.clone();
        changed[150_000] ^= 1;
        let differs = compared(&file(syntax, &long), &file(syntax, &changed), 4096).await;
        assert_eq!(differs.as_deref(), Some("with other bytes"));
        assert!(compared(&file(syntax, &long), &Bytes::from_static(b"no image"), 4).await.is_some());
    }
}
