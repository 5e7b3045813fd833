//! What a program writes: all of it is read, so that it never waits for us, and so much is kept.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The beginning and the end of what came, up to as much as is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    most: usize,
    beginning: Vec<u8>,
    end: VecDeque<u8>,
    /// How much came in all.
    came: u64,
}

impl Kept {
    /// Keeps so much: half of it from the beginning, where more comes, and half from the end.
    pub(super) fn both_ends(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Takes all that comes, until the other side ends it.
    pub(super) async fn take_all(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut part = vec![0; 16 * 1024];
        // A side that breaks has ended too.
        while let Ok(count @ 1..) = from.read(&mut part).await {
            self.add(&part[..count]);
        }
    }

    fn add(&mut self, part: &[u8]) {
        self.came += part.len() as u64;
        let room = (self.most - self.most / 2).saturating_sub(self.beginning.len());
        let (first, rest) = part.split_at(room.min(part.len()));
        self.beginning.extend_from_slice(first);
        self.end.extend(rest);
        let over = self.end.len().saturating_sub(self.most / 2);
        self.end.drain(..over);
    }

    /// How much came that is not kept.
    pub(super) fn left_out(&self) -> u64 {
        self.came - (self.beginning.len() + self.end.len()) as u64
    }

    /// What is kept, as text: where something is left out, it says how much.
    pub(super) fn text(&self) -> String {
        let (one, two) = self.end.as_slices();
        let end = [one, two].concat();
        if self.left_out() == 0 {
            return String::from_utf8_lossy(&[self.beginning.as_slice(), &end].concat()).into_owned();
        }
        let (beginning, end) = (String::from_utf8_lossy(&self.beginning), String::from_utf8_lossy(&end));
        format!("{beginning}\n… {} bytes are left out …\n{end}", self.left_out())
    }
}

/// The first so many bytes of what a program writes, where they are its answer.
#[derive(Debug, Default)]
pub(super) struct Whole {
    most: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) is_cut: bool,
}

impl Whole {
    pub(super) fn up_to(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Takes all that comes, until the other side ends it.
    pub(super) async fn take_all(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut part = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut part).await {
            let room = self.most - self.bytes.len();
            self.bytes.extend_from_slice(&part[..count.min(room)]);
            self.is_cut |= count > room;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_a_flood_both_ends_are_kept() {
        let mut kept = Kept::both_ends(8);
        kept.take_all(&b"abcd"[..]).await;
        kept.take_all(vec![b'.'; 40_000].as_slice()).await;
        kept.take_all(&b"wxyz"[..]).await;
        assert_eq!(kept.text(), "abcd\n… 40000 bytes are left out …\nwxyz");
        let mut short = Kept::both_ends(9);
        short.take_all(&b"12345"[..]).await;
        short.take_all(&b"6789"[..]).await;
        assert_eq!((short.text().as_str(), short.left_out()), ("123456789", 0));
    }

    #[tokio::test]
    async fn of_a_long_answer_the_beginning_is_taken() {
        let mut whole = Whole::up_to(3);
        whole.take_all(&b"abc"[..]).await;
        assert!(!whole.is_cut);
        whole.take_all(&b"d"[..]).await;
        assert_eq!((whole.bytes.as_slice(), whole.is_cut), (&b"abc"[..], true));
    }
}
