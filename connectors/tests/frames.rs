//! However a stream is cut into pieces, the same frames come out of it, in bounded memory.

use bytes::Bytes;
use connectors::mllp::frame::{Found, Marks, Reader};
use proptest::{collection::vec, prelude::*};

const MAX_SIZE: usize = 40;
/// A start byte and the first two letters of a header: one more tells what they are.
const UNDECIDED: usize = 3;

/// Everything found in a stream that arrives in these pieces, and what its end leaves.
fn frames(pieces: &[&[u8]]) -> (Vec<Found>, Option<Bytes>) {
    let mut reader = Reader::new(Marks::default(), MAX_SIZE);
    let mut found = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        while let Some(next) = reader.find() {
            let is_last = matches!(next, Found::TooLong(_));
            found.push(next);
            if is_last {
                return (found, None);
            }
        }
        assert!(reader.waiting() <= MAX_SIZE + UNDECIDED, "{} bytes wait", reader.waiting());
    }
    (found, reader.finish())
}

/// Streams full of what matters: marks, headers, and something between.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just(b"\x0b".to_vec()),
        Just(b"\x1c\x0d".to_vec()),
        Just(b"\x1c".to_vec()),
        Just(b"\x0d".to_vec()),
        Just(b"\x0bMSH|^~\\&|".to_vec()),
        Just(b"MSH".to_vec()),
        Just(b"\x0bM".to_vec()),
        vec(any::<u8>(), 0..12),
    ];
    vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

fn cut<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for to in at.into_iter().chain([stream.len()]) {
        pieces.push(&stream[from..to]);
        from = to;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_split_of_any_bytes_gives_the_same_frames(
        stream in stream(),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        let byte_by_byte = frames(&single);
        prop_assert_eq!(frames(&cut(&stream, &cuts)), byte_by_byte);
    }

    #[test]
    fn what_was_wrapped_comes_out_again(bodies in vec(vec(any::<u8>(), 1..MAX_SIZE), 1..6)) {
        let marks = Marks::default();
        let bodies: Vec<Vec<u8>> = bodies.into_iter().filter(|body| !marks.are_in(body)).collect();
        let stream: Vec<u8> = bodies.iter().flat_map(|body| [b"\x0b", body.as_slice(), b"\x1c\x0d"].concat()).collect();
        let wrapped: Vec<Found> = bodies.into_iter().map(|body| Found::Frame(body.into())).collect();
        prop_assert_eq!(frames(&[&stream]), (wrapped, None));
    }
}
