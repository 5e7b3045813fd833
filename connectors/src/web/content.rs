//! What bodies are called on the wire, and how they are unpacked.

use std::io::Read;

use bytes::Bytes;
use engine::{Content, NotWhole};
use flate2::read::MultiGzDecoder;
use hyper::{HeaderMap, header};

/// So much of a body tells what it is, where it is not all in memory.
const TELLING: usize = 4096;

/// Enough of a body to say what it looks like.
pub(crate) fn beginning(body: &Content) -> Result<Bytes, NotWhole> {
    if let Some(bytes) = body.bytes() {
        return Ok(bytes.clone());
    }
    let head = body.head(TELLING)?;
    let sound = match std::str::from_utf8(&head) {
        // A character may be cut in two.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => head.len(),
    };
    Ok(head.slice(..sound))
}

/// What a body looks like, in the words of `Content-Type`.
pub(crate) fn usual_type(body: &[u8]) -> &'static str {
    let begins = |start: &[u8]| body.trim_ascii_start().starts_with(start);
    if [b"MSH", b"FHS", b"BHS"].iter().any(|segment| begins(*segment)) {
        "application/hl7-v2"
    } else if begins(b"{") || begins(b"[") {
        "application/json"
    } else if begins(b"<") {
        "application/xml"
    } else if std::str::from_utf8(body).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}

/// Why a body cannot be unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packed {
    /// In a way that is not known here.
    Unknown,
    /// It is broken.
    Broken,
    /// It is longer than allowed once it is unpacked.
    Long,
}

/// A body as it was before its sender packed it, no longer than `most` bytes.
pub(crate) fn unpack(headers: &HeaderMap, body: Bytes, most: usize) -> Result<Bytes, Packed> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(body) };
    match encoding.as_bytes().to_ascii_lowercase().as_slice() {
        b"" | b"identity" => Ok(body),
        b"gzip" | b"x-gzip" => gunzip(&body, most),
        _ => Err(Packed::Unknown),
    }
}

fn gunzip(packed: &[u8], most: usize) -> Result<Bytes, Packed> {
    let mut body = Vec::new();
    let reading = MultiGzDecoder::new(packed).take(most as u64 + 1).read_to_end(&mut body);
    match reading {
        Ok(length) if length > most => Err(Packed::Long),
        Ok(_) => Ok(body.into()),
        Err(_) => Err(Packed::Broken),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(body: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn gzip() -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, "gzip".parse().unwrap())])
    }

    #[test]
    fn a_packed_body_is_unpacked_and_no_longer_than_allowed() {
        assert_eq!(unpack(&gzip(), packed(b"hello"), 5), Ok(Bytes::from_static(b"hello")));
        assert_eq!(unpack(&gzip(), packed(&vec![0; 10_000_000]), 1000), Err(Packed::Long));
        assert_eq!(unpack(&gzip(), Bytes::from_static(b"hello"), 1000), Err(Packed::Broken));
        assert_eq!(unpack(&gzip(), packed(b"hello").slice(..20), 1000), Err(Packed::Broken));
        assert_eq!(unpack(&HeaderMap::new(), Bytes::from_static(b"hello"), 5).unwrap(), "hello");
    }

    #[test]
    fn a_body_is_called_what_it_looks_like() {
        assert_eq!(usual_type(b"MSH|^~\\&|A"), "application/hl7-v2");
        assert_eq!(usual_type(b" {\"a\": 1}"), "application/json");
        assert_eq!(usual_type(b"<Bundle/>"), "application/xml");
        assert_eq!(usual_type("été".as_bytes()), "text/plain; charset=utf-8");
        assert_eq!(usual_type(b"\xff\xfe"), "application/octet-stream");
    }
}
