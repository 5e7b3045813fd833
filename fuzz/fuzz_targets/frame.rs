//! Feeds arbitrary bytes to the reader of frames: cut anywhere, they give the same frames, and never more than the limit.

#![no_main]

use connectors::mllp::frame::{Found, Marks, Reader};

const LIMIT: usize = 4096;

/// What stands in the stream, when it comes in pieces of `cut` bytes; garbage between frames aside.
fn frames(bytes: &[u8], cut: usize) -> Vec<Found> {
    let mut reader = Reader::new(Marks::default(), LIMIT);
    let mut frames = Vec::new();
    for piece in bytes.chunks(cut.max(1)) {
        reader.feed(piece);
        while let Some(found) = reader.find() {
            match found {
                // How much of a frame without an end has come when it is given up depends on the cut.
                Found::TooLong(_) => return frames,
                Found::Stray(_) => {}
                Found::Frame(ref body) => {
                    assert!(body.len() <= LIMIT);
                    frames.push(found);
                }
                Found::Part { .. } => frames.push(found),
            }
        }
    }
    frames
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    assert_eq!(frames(bytes, usize::from(*cut)), frames(bytes, bytes.len()));
});
