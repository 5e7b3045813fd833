//! Long bodies read for whoever looks into them: one stretch after the other, each with the end of the one before.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
};

use super::Large;
use crate::rows::{Body, StretchRow};

/// So much is read at once.
pub(crate) const STRETCH: usize = 1 << 20;
/// A stretch begins so much before the end of the one before: nothing that is looked for is longer.
pub(crate) const OVERLAP: usize = 4 << 10;
/// A first line is no longer: it says the charset of what follows, and stands in front of each stretch.
const LINE: usize = 1 << 10;

impl Large {
    /// The bytes of a body from here on, so many as are read at once, and where the next stretch begins. Of what lies apart no seal is
    /// compared: whoever reads all of it at once does that.
    pub(crate) fn stretch(&self, body: &Body, from: u64) -> io::Result<(Vec<u8>, Option<u64>)> {
        // One more than is wanted says that there are more.
        let mut bytes = self.piece(body, from, STRETCH + 1)?;
        let next = (bytes.len() > STRETCH).then(|| from + (STRETCH - OVERLAP) as u64);
        bytes.truncate(STRETCH);
        let stretch = between_characters(&bytes);
        if from == 0 {
            return Ok((stretch.to_vec(), next));
        }
        let head = self.piece(body, 0, LINE)?;
        Ok(([first_line(&head), stretch].concat(), next))
    }

    /// At most so many bytes of a body from here on.
    fn piece(&self, body: &Body, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let (mut bytes, mut skipped) = (Vec::new(), from);
        let whole = |name: &str| StretchRow::Apart { name: name.to_owned(), from: 0, to: u64::MAX };
        let rows = match body {
            Body::Here(here) => vec![StretchRow::Here(here.clone())],
            Body::Apart(name) => vec![whole(name)],
            Body::Pieced(rows) => rows.clone(),
        };
        for row in rows {
            let left = (most - bytes.len()) as u64;
            match row {
                StretchRow::Here(here) => {
                    let begin = skipped.min(here.len() as u64);
                    skipped -= begin;
                    here[begin as usize..].take(left).read_to_end(&mut bytes)?
                }
                StretchRow::Apart { name, from, to } => {
                    let mut file = File::open(self.folder.join(name))?;
                    let length = to.min(file.metadata()?.len()).saturating_sub(from);
                    let begin = skipped.min(length);
                    skipped -= begin;
                    file.seek(SeekFrom::Start(from + begin))?;
                    file.take((length - begin).min(left)).read_to_end(&mut bytes)?
                }
            };
        }
        Ok(bytes)
    }
}

/// The same without the characters of UTF-8 that its ends divide: they would make a text of another charset of all of it.
fn between_characters(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
    let inside = &bytes[begin..];
    match std::str::from_utf8(inside) {
        Ok(_) => inside,
        Err(error) if error.error_len().is_none() => &inside[..error.valid_up_to()],
        Err(_) => bytes,
    }
}

/// Up to the end of the line, where it ends in what was read; of UTF-16, both bytes of that.
fn first_line(head: &[u8]) -> &[u8] {
    let Some(end) = head.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else { return &[] };
    let end = if head.contains(&0) { (end + 2) & !1 } else { end + 1 };
    &head[..end.min(head.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_does_not_begin_or_end_within_a_character() {
        let text = "é€𝄞".as_bytes();
        for (from, to, wanted) in
            [(0, 9, "é€𝄞"), (1, 9, "€𝄞"), (0, 8, "é€"), (3, 9, "𝄞"), (3, 7, ""), (6, 8, "")]
        {
            assert_eq!(between_characters(&text[from..to]), wanted.as_bytes(), "{from}..{to}");
        }
        // What is no UTF-8 at all is cut where it was asked to be.
        assert_eq!(between_characters(b"\x80\xE9t\xE9 "), b"\x80\xE9t\xE9 ");
    }

    #[test]
    fn a_first_line_is_whole() {
        assert_eq!(first_line(b"MSH|1\rPID|1"), b"MSH|1\r");
        assert_eq!(first_line(b"M\0\r\0P\0"), b"M\0\r\0");
        assert_eq!(first_line(b"\0M\0\r\0P"), b"\0M\0\r");
        assert_eq!(first_line(b"DICM"), b"");
    }
}
