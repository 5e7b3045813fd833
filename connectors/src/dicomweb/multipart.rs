//! Bodies of several parts (`multipart/related`), as DICOMweb sends instances: written around one, split as they come.

use bytes::{Buf, Bytes, BytesMut};
use engine::Content;
use memchr::memmem;

/// The longest head of a part.
const LONGEST_HEAD: usize = 16 * 1024;

/// The longest boundary that is taken. The standard's 70 are too few for Orthanc, which writes 73.
const LONGEST_BOUNDARY: usize = 200;

/// The boundary that a content type names.
pub(super) fn boundary(kind: &str) -> Option<String> {
    let (name, parameters) = kind.split_once(';')?;
    if !name.trim().eq_ignore_ascii_case("multipart/related") {
        return None;
    }
    parameter(parameters, "boundary").filter(|found| !found.is_empty() && found.len() <= LONGEST_BOUNDARY)
}

/// One parameter of a content type; semicolons within quotes belong to their value.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, behind) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(';').map_or((after, ""), |(value, _)| (value, &after[value.len()..])),
        };
        if name.trim_matches([' ', ';', '\t']).eq_ignore_ascii_case(wanted) {
            return Some(value.trim().to_owned());
        }
        rest = behind.trim_start_matches([' ', ';', '\t']);
    }
}

/// What stands around one instance.
pub(super) struct Around {
    pub(super) boundary: String,
}

impl Around {
    /// A boundary that stands in no instance by any likelihood.
    pub(super) fn new() -> Self {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system has random numbers");
        Self { boundary: format!("{:032x}", u128::from_be_bytes(bytes)) }
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/related; type=\"application/dicom\"; boundary={}", self.boundary)
    }

    /// A body of these instances.
    pub(super) fn pieces(&self, instances: impl IntoIterator<Item = Content>) -> Vec<Content> {
        let mut pieces = Vec::new();
        for instance in instances {
            let end = if pieces.is_empty() { "" } else { "\r\n" };
            let head = format!("{end}--{}\r\nContent-Type: application/dicom\r\n\r\n", self.boundary);
            pieces.extend([Bytes::from(head).into(), instance]);
        }
        pieces.push(Bytes::from(format!("\r\n--{}--\r\n", self.boundary)).into());
        pieces
    }
}

/// The instance within an answer, as it comes: its first part, or all of it where it has none.
#[derive(Default)]
pub(super) struct Unwrapping {
    splitter: Option<Splitter>,
    is_whole: bool,
}

impl Unwrapping {
    /// What the answer calls itself.
    pub(super) fn begin(kind: Option<&str>) -> Self {
        let splitter = kind.and_then(boundary).map(|boundary| Splitter::new(&boundary));
        Self { is_whole: splitter.is_none(), splitter }
    }

    /// What a piece of the answer brings of the instance.
    pub(super) fn feed(&mut self, piece: Bytes) -> Result<Vec<Bytes>, String> {
        let Some(splitter) = &mut self.splitter else { return Ok(vec![piece]) };
        let mut found = Vec::new();
        if self.is_whole {
            return Ok(found);
        }
        splitter.feed(&piece);
        loop {
            match splitter.next().map_err(str::to_owned)? {
                Some(Found::Head(_)) => {}
                Some(Found::Piece(piece)) => found.push(piece),
                Some(Found::End) => {
                    self.is_whole = true;
                    return Ok(found);
                }
                Some(Found::Over) | None => return Ok(found),
            }
        }
    }

    /// Whether the instance has come to its end.
    pub(super) fn end(&self) -> Result<(), String> {
        if self.is_whole { Ok(()) } else { Err("its answer holds no whole part".to_owned()) }
    }
}

/// Splits a body as it comes; holds no more of it than a boundary's length, or a head's.
pub(super) struct Splitter {
    /// A line's end, two dashes, the boundary.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    at: At,
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A part begins: its `Content-Type`.
    Head(Option<String>),
    Piece(Bytes),
    /// The part has come to its end.
    End,
    /// The last one has.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Before,
    Delimiter,
    Head,
    Part,
    Behind,
}

impl Splitter {
    pub(super) fn new(boundary: &str) -> Self {
        // The first boundary may stand at the very beginning: what ends a line is taken to stand before it.
        Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            buffer: BytesMut::from(&b"\r\n"[..]),
            at: At::Before,
        }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) {
        if self.at != At::Behind {
            self.buffer.extend_from_slice(chunk);
        }
    }

    /// Whether the last part has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.at == At::Behind
    }

    /// The next thing found; `None` until more is fed.
    pub(super) fn next(&mut self) -> Result<Option<Found>, &'static str> {
        loop {
            match self.at {
                At::Before => {
                    let Some(found) = memmem::find(&self.buffer, &self.delimiter) else {
                        let passed = self.buffer.len().saturating_sub(self.delimiter.len());
                        self.buffer.advance(passed);
                        return Ok(None);
                    };
                    self.buffer.advance(found + self.delimiter.len());
                    self.at = At::Delimiter;
                }
                At::Delimiter => match self.behind_delimiter()? {
                    Some(at) => self.at = at,
                    None => return Ok(None),
                },
                At::Head => return self.head(),
                At::Part => return Ok(self.piece()),
                At::Behind => return Ok(Some(Found::Over)),
            }
        }
    }

    /// Two dashes end the body, the end of a line begins a part.
    fn behind_delimiter(&mut self) -> Result<Option<At>, &'static str> {
        if self.buffer.starts_with(b"--") {
            self.buffer.clear();
            return Ok(Some(At::Behind));
        }
        let Some(end) = memmem::find(&self.buffer, b"\r\n") else {
            return if self.buffer.len() > LONGEST_HEAD { Err(NO_PART) } else { Ok(None) };
        };
        if self.buffer[..end].iter().any(|byte| !matches!(byte, b' ' | b'\t')) {
            return Err(NO_PART);
        }
        // The line's end stays: a head without lines begins with the empty one.
        self.buffer.advance(end);
        Ok(Some(At::Head))
    }

    fn head(&mut self) -> Result<Option<Found>, &'static str> {
        let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
            return if self.buffer.len() > LONGEST_HEAD {
                Err("the head of a part is too long")
            } else {
                Ok(None)
            };
        };
        let head = self.buffer.split_to(end + 4);
        self.at = At::Part;
        // An empty part ends at once: the delimiter brings its own line's end.
        let lines = String::from_utf8_lossy(&head).into_owned();
        let kind = lines.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
        });
        Ok(Some(Found::Head(kind)))
    }

    fn piece(&mut self) -> Option<Found> {
        match memmem::find(&self.buffer, &self.delimiter) {
            Some(0) => {
                self.buffer.advance(self.delimiter.len());
                self.at = At::Delimiter;
                Some(Found::End)
            }
            Some(end) => Some(Found::Piece(self.buffer.split_to(end).freeze())),
            None => {
                let sure = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
                (sure > 0).then(|| Found::Piece(self.buffer.split_to(sure).freeze()))
            }
        }
    }
}

const NO_PART: &str = "what stands behind a boundary begins no part";

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"ignored\r\n--b\r\nContent-Type: application/dicom\r\n\r\none\r\n-\r\n--b \r\ncontent-type:x\r\n\r\n\r\n--b\r\n\r\ntwo\r\n--b--\r\nignored";

    fn split(by: usize) -> Vec<(Option<String>, Vec<u8>)> {
        let mut splitter = Splitter::new("b");
        let mut parts = Vec::new();
        for chunk in BODY.chunks(by) {
            splitter.feed(chunk);
            while let Some(found) = splitter.next().unwrap() {
                match found {
                    Found::Head(kind) => parts.push((kind, Vec::new())),
                    Found::Piece(piece) => parts.last_mut().unwrap().1.extend_from_slice(&piece),
                    Found::End => {}
                    Found::Over => return parts,
                }
            }
        }
        panic!("it did not come to its end");
    }

    #[test]
    fn a_body_is_split_the_same_however_it_comes() {
        let whole = split(BODY.len());
        assert_eq!(whole[0], (Some("application/dicom".to_owned()), b"one\r\n-".to_vec()));
        assert_eq!(whole[1], (Some("x".to_owned()), Vec::new()));
        assert_eq!(whole[2], (None, b"two".to_vec()));
        for by in 1..BODY.len() {
            assert_eq!(split(by), whole, "{by}");
        }
    }

    #[test]
    fn what_is_written_around_an_instance_is_split_again() {
        let around = Around::new();
        let body =
            Content::of(around.pieces([Bytes::from_static(b"DICM--").into()])).unwrap().whole().unwrap();
        for by in [1, 7, body.len()] {
            let mut unwrapping = Unwrapping::begin(Some(&around.content_type()));
            let pieces =
                body.chunks(by).flat_map(|piece| unwrapping.feed(Bytes::copy_from_slice(piece)).unwrap());
            assert_eq!(pieces.collect::<Vec<_>>().concat(), b"DICM--");
            assert!(unwrapping.end().is_ok());
        }
        let mut cut = Unwrapping::begin(Some(&around.content_type()));
        cut.feed(body.slice(..body.len() - 40)).unwrap();
        assert!(cut.end().is_err());
        assert_eq!(Unwrapping::begin(Some("application/dicom")).feed(body.clone()).unwrap(), [body]);
    }

    #[test]
    fn a_boundary_is_found_among_other_parameters() {
        let of = |kind: &str| boundary(kind);
        assert_eq!(of("multipart/related; type=\"a;boundary=x\"; boundary=\"y z\"").unwrap(), "y z");
        assert_eq!(of("Multipart/Related;boundary=abc;type=x").unwrap(), "abc");
        assert!(of("multipart/form-data; boundary=x").is_none() && of("multipart/related").is_none());
    }

    #[test]
    fn what_is_no_part_ends_it() {
        let mut splitter = Splitter::new("b");
        splitter.feed(b"--bx\r\n\r\n");
        assert!(splitter.next().is_err());
        let mut endless = Splitter::new("b");
        endless.feed(b"--b\r\n");
        endless.feed(&vec![b'a'; 2 * LONGEST_HEAD]);
        assert!(endless.next().is_err());
    }
}
