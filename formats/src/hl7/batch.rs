//! Batches: several messages between FHS, BHS, BTS and FTS.

use std::{borrow::Cow, ops::Range};

use super::{ParseError, Why, lines::lines, pieces};
use crate::charset;

/// Where the messages of a batch stand, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Batch {
    /// The bytes of each message; the first has number 1.
    pub messages: Vec<Range<usize>>,
    /// What is odd about the batch, though it can be read.
    pub flags: Vec<Flag>,
}

/// What is odd about a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// BTS-1 says another number of messages than there are.
    MessageCount {
        /// What BTS-1 says.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// FTS-1 says another number of batches than there are.
    BatchCount {
        /// What FTS-1 says.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// A BHS without its BTS, or an FHS without its FTS: the end may have been cut.
    NoTrailer,
}

/// Finds the messages of a batch; none if the bytes do not begin with FHS or BHS.
pub fn split(bytes: &[u8]) -> Result<Option<Batch>, ParseError> {
    let (text, width) = narrow(bytes);
    let mut found = lines(&text).peekable();
    let first = found.peek().map(|line| Kind::of(&text[line.clone()]));
    if !matches!(first, Some(Kind::FileHeader | Kind::BatchHeader)) {
        return Ok(None);
    }
    let mut walk = Walk::default();
    for line in found {
        walk.step(&text, &line).map_err(|why| ParseError { at: line.start * width, why })?;
    }
    walk.end(text.len());
    for message in &mut walk.batch.messages {
        *message = message.start * width..message.end * width;
    }
    Ok(Some(walk.batch))
}

/// One byte per character for UTF-16, so that all places are the same times two; other bytes as they are.
fn narrow(bytes: &[u8]) -> (Cow<'_, [u8]>, usize) {
    let Some(charset) = charset::wide(bytes) else { return (Cow::Borrowed(bytes), 1) };
    let low = usize::from(charset.name() == "UTF-16BE");
    let (pairs, _) = bytes.as_chunks::<2>();
    let letter = |pair: &[u8; 2]| match (pair[1 - low], pair[low]) {
        (0, byte) if byte.is_ascii() => byte,
        (0xFE, 0xFF) => b' ',
        _ => 0x80,
    };
    (Cow::Owned(pairs.iter().map(letter).collect()), 2)
}

#[derive(PartialEq)]
enum Kind {
    FileHeader,
    BatchHeader,
    Message,
    BatchTrailer,
    FileTrailer,
    Other,
}

impl Kind {
    fn of(line: &[u8]) -> Kind {
        if line.get(3).is_some_and(u8::is_ascii_alphanumeric) {
            return Kind::Other;
        }
        match line.first_chunk::<3>() {
            Some(b"FHS") => Kind::FileHeader,
            Some(b"BHS") => Kind::BatchHeader,
            Some(b"MSH") => Kind::Message,
            Some(b"BTS") => Kind::BatchTrailer,
            Some(b"FTS") => Kind::FileTrailer,
            _ => Kind::Other,
        }
    }
}

/// What is open while the lines are walked.
#[derive(Default)]
struct Walk {
    batch: Batch,
    /// Where the message began that is being read.
    message: Option<usize>,
    /// How many messages the open batch had before it began.
    open_batch: Option<usize>,
    open_file: bool,
    batches: u64,
}

impl Walk {
    fn step(&mut self, text: &[u8], line: &Range<usize>) -> Result<(), Why> {
        let kind = Kind::of(&text[line.clone()]);
        if kind == Kind::Other {
            return if self.message.is_some() { Ok(()) } else { Err(Why::OutsideMessage) };
        }
        self.end_message(line.start);
        match kind {
            Kind::FileHeader => self.open_file = true,
            Kind::BatchHeader => {
                self.end_batch();
                self.open_batch = Some(self.batch.messages.len());
                self.batches += 1;
            }
            Kind::Message => self.message = Some(line.start),
            Kind::BatchTrailer => self.check_messages(count(&text[line.clone()])),
            Kind::FileTrailer => self.check_batches(count(&text[line.clone()])),
            Kind::Other => {}
        }
        Ok(())
    }

    fn end(&mut self, at: usize) {
        self.end_message(at);
        self.end_batch();
        if self.open_file {
            self.flag(Flag::NoTrailer);
        }
    }

    fn end_message(&mut self, at: usize) {
        let start = self.message.take();
        self.batch.messages.extend(start.map(|start| start..at));
    }

    fn end_batch(&mut self) {
        if self.open_batch.take().is_some() {
            self.flag(Flag::NoTrailer);
        }
    }

    fn check_messages(&mut self, said: Option<u64>) {
        let before = self.open_batch.take().unwrap_or_default();
        let found = (self.batch.messages.len() - before) as u64;
        if let Some(said) = said.filter(|said| *said != found) {
            self.flag(Flag::MessageCount { said, found });
        }
    }

    fn check_batches(&mut self, said: Option<u64>) {
        self.end_batch();
        self.open_file = false;
        let found = self.batches;
        if let Some(said) = said.filter(|said| *said != found) {
            self.flag(Flag::BatchCount { said, found });
        }
    }

    fn flag(&mut self, flag: Flag) {
        if !self.batch.flags.contains(&flag) {
            self.batch.flags.push(flag);
        }
    }
}

/// The number in the first field of a trailer.
fn count(trailer: &[u8]) -> Option<u64> {
    let delimiter = *trailer.get(3)?;
    let field = &trailer[pieces::nth(trailer, delimiter, 1).ok()?];
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Flag, split};

    fn parts(text: &str) -> (Vec<&str>, Vec<Flag>) {
        let batch = split(text.as_bytes()).unwrap().unwrap();
        (batch.messages.into_iter().map(|message| &text[message]).collect(), batch.flags)
    }

    #[test]
    fn each_message_of_a_batch_is_found_with_its_bytes() {
        let text = "FHS|^~\\&\rBHS|^~\\&\rMSH|1\rPID|1\r\nMSH|2\rPID|2\rBTS|2\rFTS|1\r";
        assert_eq!(parts(text), (vec!["MSH|1\rPID|1\r\n", "MSH|2\rPID|2\r"], vec![]));
    }

    #[test]
    fn wrong_counts_and_missing_trailers_are_flagged() {
        let (_, flags) = parts("FHS|\nBHS|\nMSH|1\nBTS|7\nFTS|3\n");
        assert_eq!(flags, [Flag::MessageCount { said: 7, found: 1 }, Flag::BatchCount { said: 3, found: 1 }]);
        assert_eq!(parts("BHS|^~\\&\rMSH|1\rPID|1").1, [Flag::NoTrailer]);
        assert_eq!(parts("BHS|^~\\&\rBTS|\r"), (vec![], vec![]));
    }

    #[test]
    fn a_file_may_hold_several_batches() {
        let (messages, flags) = parts("FHS|\rBHS|\rMSH|1\rBTS|1\rBHS|\rMSH|2\rMSH|3\rBTS|2\rFTS|2");
        assert_eq!((messages.len(), flags.len()), (3, 0));
    }

    #[test]
    fn what_is_no_batch_is_said_to_be_none() {
        assert_eq!(split(b"MSH|^~\\&|\rPID|1\r"), Ok(None));
        assert_eq!(split(b""), Ok(None));
        assert_eq!(split(b"BHSA|"), Ok(None));
    }

    #[test]
    fn a_segment_outside_any_message_is_refused_with_its_place() {
        let error = split(b"BHS|\rPID|1\rMSH|1\rBTS|1").unwrap_err();
        assert_eq!(error.at, 5);
    }

    #[test]
    fn a_batch_in_utf_16_is_split_at_the_right_bytes() {
        let wide: Vec<u8> = "\u{feff}BHS|\rMSH|é\rBTS|1".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let batch = split(&wide).unwrap().unwrap();
        let expected: Vec<u8> = "MSH|é\r".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(&wide[batch.messages[0].clone()], expected);
    }
}
